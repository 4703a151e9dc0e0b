import type { HeaderList } from "../protocol.ts";
import { type Content, takeContent, toBytes } from "./body.ts";
import { sent } from "./entry.ts";
import { fail, failWith, send, sendEmpty, sendJson, sendStream, textHeaders } from "./invocation.ts";
import { encodeText, stringifyJson } from "./primordials.ts";
import { headerListOf, isOwnResponse, Response } from "./response.ts";
import { isStream, wholeBytes } from "./stream.ts";

const invalid = (message: string) => failWith("invalid_response", message);

/** Sends what the handler returned. Never throws. */
export function reply(value: unknown): void {
  try {
    if (value instanceof Response) replyResponse(value);
    else if (value === null || value === undefined) sendEmpty(204);
    else if (typeof value === "string") send(textHead(), encodeText(value));
    else if (value instanceof Uint8Array) send(bytesHead(), value);
    else if (value instanceof ArrayBuffer) send(bytesHead(), new Uint8Array(value));
    else if (isStream(value)) sendStream(bytesHead(), value);
    else if (value !== sent) replyJson(value);
  } catch (error) {
    fail(error);
  }
}

const bytesHeaders: HeaderList = [["content-type", "application/octet-stream"]];
const textHead = () => ({ status: 200, headers: textHeaders });
const bytesHead = () => ({ status: 200, headers: bytesHeaders });

function replyJson(value: unknown): void {
  let text: string | undefined;
  try {
    text = stringifyJson(value);
    if (text !== undefined) sendJson(text);
    else invalid(`The handler's result cannot be written as JSON: it is a ${typeof value}`);
  } catch (error) {
    invalid(`The handler's result cannot be written as JSON: ${(error as Error)?.message}`);
  }
}

function replyResponse(response: Response): void {
  if (!isOwnResponse(response)) {
    const { body, status, statusText, headers } = response;
    replyResponse(new Response(body, { status, statusText, headers }));
    return;
  }
  const { status, statusText } = response;
  let content: Content;
  try {
    if (status === 0) throw new TypeError("It is Response.error()");
    content = takeContent(response);
  } catch (error) {
    invalid(`The response that the handler returned cannot be sent: ${(error as Error).message}`);
    return;
  }
  const headers = headerListOf(response);
  const head = statusText === "" ? { status, headers } : { status, statusText, headers };
  const whole = isStream(content) ? wholeBytes(content) : null;
  if (whole) send(head, whole);
  else if (isStream(content)) sendStream(head, content);
  else send(head, toBytes(content));
}
