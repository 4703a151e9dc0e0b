import { Event, RequestFlag } from "../protocol.ts";
import { beginTime } from "./clock.ts";
import { Context } from "./context.ts";
import { type Entry, findEntry, listenIfExported } from "./entry.ts";
import type { Incoming } from "./head.ts";
import { hostError, settle } from "./host.ts";
import { abort, begin, fail, sendFailure, uncaught } from "./invocation.ts";
import { ownBody, sourceStream } from "./pipes.ts";
import { noBytes, parseJson, resolved, then } from "./primordials.ts";
import { reportSoon } from "./rejections.ts";
import { reply, replyResponse } from "./reply.ts";
import { responseState } from "./response.ts";
import { checkTimers } from "./timers.ts";
import { setVariables } from "./variables.ts";

let registered: Record<string, unknown> = {};
let entry: Entry = () => {
  throw new Error("No function is registered");
};

/** Called once, at build time, with the namespace of the function's module. */
export function register(namespace: Record<string, unknown>): void {
  registered = namespace;
  listenIfExported(namespace);
}

/** Top-level code has run, and what it has left to the microtask queue. */
function build(): void {
  try {
    entry = findEntry(registered);
    checkTimers();
  } catch (error) {
    sendFailure(error);
  }
  registered = {};
}

/** The host's only way in. */
export function dispatch(event: Event, id: number, text: string, bytes: Uint8Array | null): void {
  try {
    if (event === Event.request) handle(id, text, bytes);
    else if (event === Event.complete) settle(id, null, text, bytes ?? noBytes);
    else if (event === Event.reject) settle(id, hostError(text), "", noBytes);
    else if (event === Event.abort) abort();
    else if (event === Event.variables) setVariables(parseJson(text) as Record<string, string>);
    else if (event === Event.built) build();
  } catch (error) {
    uncaught(error);
  }
}

function handle(flags: number, text: string, bytes: Uint8Array | null): void {
  const incoming: Incoming = {
    content:
      (flags & RequestFlag.stream) === 0 ? (bytes as Uint8Array<ArrayBuffer> | null) : sourceStream(ownBody),
    text,
    lines: null,
  };
  begin((flags & RequestFlag.head) !== 0);
  beginTime(incoming);
  reportSoon();
  const result = entry(new Context(incoming), incoming);
  const response = responseState(result);
  if (response !== null) replyResponse(response);
  else if (typeof (result as PromiseLike<unknown> | null)?.then === "function") {
    then(resolved(result), reply, fail);
  } else reply(result);
}
