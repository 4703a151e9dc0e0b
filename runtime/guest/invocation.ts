import type { GuestError, HeaderList } from "../protocol.ts";
import { Op, ResponseFlag } from "../protocol.ts";
import { eachHeader, type Headers } from "./headers.ts";
import { host } from "./host.ts";
import { inspect } from "./inspect.ts";
import { ownBody, pump } from "./pipes.ts";
import { isArray, resolved, stringifyJson, then } from "./primordials.ts";
import { stackOf } from "./stacks.ts";
import { discard, type ReadableStream } from "./stream.ts";

// One image serves one request, so what belongs to the invocation is module state.
let answered = true;
let bodyless = false;
let waiting = 0;
let aborted = false;
let abortListener: ((reason?: unknown) => void) | null = null;

export function begin(isHead: boolean): void {
  bodyless = isHead;
  answered = false;
  waiting = 0;
  aborted = false;
  abortListener = null;
}

type Header = HeaderList | Headers | null;

/** The header lists of bodies that say what they are: shared, so that the most frequent heads are known and need not be written. */
export const jsonHeaders: HeaderList = [["content-type", "application/json"]];
export const textHeaders: HeaderList = [["content-type", "text/plain;charset=UTF-8"]];
const jsonHead = writeHead(200, jsonHeaders, "", 0);
const textHead = writeHead(200, textHeaders, "", 0);

function headOf(status: number, headers: Header, statusText: string, flags: number): string {
  if (status === 200 && flags === 0 && statusText === "") {
    if (headers === jsonHeaders) return jsonHead;
    if (headers === textHeaders) return textHead;
  }
  return writeHead(status, headers, statusText, flags);
}

/** A response's head in lines, as the host reads it. */
function writeHead(status: number, headers: Header, statusText: string, flags: number): string {
  let text = `${status}\n${flags}\n${statusText}`;
  const add = (value: string, name: string) => {
    text += `\n${name}\n${value}`;
  };
  if (isArray(headers)) for (const pair of headers) add(pair[1], pair[0]);
  else if (headers !== null) eachHeader(headers, add);
  return text;
}

/** Sends a response whose body follows as the stream brings it. */
export function sendStream(status: number, headers: Header, body: ReadableStream, statusText = ""): void {
  if (answered || bodyless || aborted) {
    discard(body);
    send(status, headers, null, statusText);
    return;
  }
  answered = true;
  working();
  host(Op.respond, headOf(status, headers, statusText, ResponseFlag.stream | ResponseFlag.more));
  then(pump(body, ownBody), settled, (error) => {
    if (!aborted) sendFailure(error);
    settled();
  });
}

export function send(
  status: number,
  headers: Header,
  body: string | Uint8Array | null,
  statusText = "",
): void {
  if (answered) return;
  answered = true;
  const head = headOf(status, headers, statusText, waiting > 0 ? ResponseFlag.more : 0);
  if (body === null || bodyless) host(Op.respond, head);
  else host(Op.respond, head, body);
}

/** Ends the invocation with a thrown value. */
export function fail(reason: unknown): void {
  if (answered) return;
  answered = true;
  sendFailure(reason);
}

/** Tells the host of a failure, whatever has been answered. */
export function sendFailure(reason: unknown): void {
  host(Op.fail, stringifyJson(describe(reason)));
}

export function failWith(code: string, message: string): void {
  if (answered) return;
  answered = true;
  host(Op.fail, stringifyJson({ name: "TypeError", message, code } satisfies GuestError));
}

let intercept: (reason: unknown) => boolean = () => false;

/** `listener` hears of uncaught errors first, and says whether that was enough. */
export function interceptErrors(listener: (reason: unknown) => boolean): void {
  intercept = listener;
}

/** An error that nothing awaits: thrown by a timer's callback or an event listener. */
export function uncaught(reason: unknown): void {
  if (!intercept(reason)) unhandled(reason, "Uncaught");
}

/** The error is the invocation's, or the log's when that is over. */
export function unhandled(reason: unknown, what: string): void {
  if (answered) logError(`${what} ${inspect(reason)}`);
  else fail(reason);
}

function logError(message: string): void {
  host(Op.log, stringifyJson({ level: "error", message }));
}

/** Something goes on that keeps the invocation going: {@link settled} ends it. */
export function working(): void {
  waiting++;
}

export function settled(): void {
  if (--waiting === 0 && answered) host(Op.done);
}

export function waitUntil(work: unknown): void {
  working();
  then(resolved(work), settled, (reason) => {
    logError(`A promise given to waitUntil was rejected: ${inspect(reason)}`);
    settled();
  });
}

/** Calls the listener when the client goes away, at once if it has. */
export function onAbort(listener: (reason?: unknown) => void): void {
  if (aborted) listener();
  else abortListener = listener;
}

/** The client has gone. A handler that does not listen to that is given up; what `waitUntil` holds goes on. */
export function abort(): void {
  aborted = true;
  if (abortListener) abortListener(new DOMException("The client went away", "AbortError"));
  else {
    answered = true;
    if (waiting === 0) host(Op.done);
  }
}

/** The parts of a thrown value that the host gets. Getters of the function's own errors may throw. */
function describe(reason: unknown): GuestError {
  try {
    if (!(reason instanceof Error)) return { name: "Error", message: `Thrown value: ${inspect(reason)}` };
    const { code } = reason as { code?: unknown };
    const error: GuestError = {
      name: clip(`${reason.name}`, 256),
      message: clip(`${reason.message}`, 8_192),
      stack: clip(stackWithCauses(reason), 16_384),
    };
    if (typeof code === "string") error.code = clip(code, 256);
    return error;
  } catch {
    return { name: "Error", message: "The function threw a value that cannot be read" };
  }
}

const clip = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length)}…` : text;

function stackWithCauses(error: Error): string {
  let stack = stackOf(error);
  let { cause } = error;
  for (let depth = 0; cause instanceof Error && depth < 4; depth++) {
    stack += `\nCaused by: ${cause.name}: ${cause.message}\n${stackOf(cause)}`;
    cause = cause.cause;
  }
  return stack;
}

/** An empty answer with this status. */
export function sendEmpty(status: number, headers: HeaderList | null = null): void {
  send(status, headers, null);
}
