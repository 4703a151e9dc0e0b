import type { GuestError, HeaderList, ResponseHead } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { forgetPending, host } from "./host.ts";
import { inspect, stackOf } from "./inspect.ts";
import { ownBody, pump } from "./pipes.ts";
import { encodeText, noBytes, resolved, stringifyJson, then } from "./primordials.ts";
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
  forgetPending();
}

/** The header lists of bodies that say what they are: shared, so that the most frequent heads are known and need no serialization. */
export const jsonHeaders: HeaderList = [["content-type", "application/json"]];
export const textHeaders: HeaderList = [["content-type", "text/plain;charset=UTF-8"]];
const jsonHead = stringifyJson({ status: 200, headers: jsonHeaders });
const textHead = stringifyJson({ status: 200, headers: textHeaders });

function serialize(head: ResponseHead): string {
  const { status, headers } = head;
  if (status === 200 && !head.more && !head.stream && head.statusText === undefined) {
    if (headers === jsonHeaders) return jsonHead;
    if (headers === textHeaders) return textHead;
  }
  return stringifyJson(head);
}

export function sendJson(text: string): void {
  send({ status: 200, headers: jsonHeaders }, encodeText(text));
}

/** Sends a response whose body follows as the stream brings it. */
export function sendStream(head: ResponseHead, body: ReadableStream): void {
  if (answered || bodyless || aborted) {
    discard(body);
    send(head, noBytes);
    return;
  }
  head.stream = true;
  working();
  send(head, noBytes);
  then(pump(body, ownBody), settled, (error) => {
    if (!aborted) sendFailure(error);
    settled();
  });
}

export function send(head: ResponseHead, body: Uint8Array): void {
  if (answered) return;
  answered = true;
  if (waiting > 0) head.more = true;
  host(Op.respond, serialize(head), bodyless ? noBytes : body);
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
export function sendEmpty(status: number, headers: HeaderList = []): void {
  send({ status, headers }, noBytes);
}
