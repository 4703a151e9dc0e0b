import type { HeaderList } from "../protocol.ts";
import { type Content, takeContent } from "./body.ts";
import { sent } from "./entry.ts";
import { fail, failWith, jsonHeaders, send, sendEmpty, sendStream, textHeaders } from "./invocation.ts";
import { stringifyJson } from "./primordials.ts";
import { Response, type ResponseState, responseState } from "./response.ts";
import { isStream, wholeContent } from "./stream.ts";

const invalid = (message: string) => failWith("invalid_response", message);
const bytesHeaders: HeaderList = [["content-type", "application/octet-stream"]];

/** Sends what the handler returned. Never throws. */
export function reply(value: unknown): void {
  try {
    const state = responseState(value);
    if (state !== null) replyResponse(state);
    else if (value === null || value === undefined) sendEmpty(204);
    else if (typeof value === "string") send(200, textHeaders, value.toWellFormed());
    else if (value instanceof Response) replyForeign(value);
    else if (value instanceof Uint8Array) send(200, bytesHeaders, value);
    else if (value instanceof ArrayBuffer) send(200, bytesHeaders, new Uint8Array(value));
    else if (isStream(value)) sendStream(200, bytesHeaders, value);
    else if (value !== sent) replyJson(value);
  } catch (error) {
    fail(error);
  }
}

function replyJson(value: unknown): void {
  let text: string | undefined;
  try {
    text = stringifyJson(value);
    if (text !== undefined) send(200, jsonHeaders, text);
    else invalid(`The handler's result cannot be written as JSON: it is a ${typeof value}`);
  } catch (error) {
    invalid(`The handler's result cannot be written as JSON: ${(error as Error)?.message}`);
  }
}

/** Of a package's class that inherits from ours and has made itself. */
function replyForeign({ body, status, statusText, headers }: Response): void {
  replyResponse(responseState(new Response(body, { status, statusText, headers }))!);
}

/** Sends a response. Never throws. */
export function replyResponse(state: ResponseState): void {
  const { status } = state;
  let content: Content;
  try {
    if (status === 0) throw new TypeError("It is Response.error()");
    content = takeContent(state);
  } catch (error) {
    invalid(`The response that the handler returned cannot be sent: ${(error as Error).message}`);
    return;
  }
  const statusText = state.rest === undefined ? "" : state.rest.statusText;
  const whole = isStream(content) ? wholeContent(content) : content;
  if (whole === undefined) sendStream(status, state.headers, content as never, statusText);
  else send(status, state.headers, whole, statusText);
}
