import { Event, HeadLine, RequestFlag } from "../protocol.ts";
import { beginTime } from "./clock.ts";
import { Context } from "./context.ts";
import { type Entry, findEntry, listenIfExported } from "./entry.ts";
import { type Head, headLine } from "./head.ts";
import { hostError, settle } from "./host.ts";
import { abort, begin, fail, sendFailure, uncaught } from "./invocation.ts";
import { clearEntries } from "./performance.ts";
import { ownBody, sourceStream } from "./pipes.ts";
import { parseJson, resolved, then } from "./primordials.ts";
import { reportSoon } from "./rejections.ts";
import { reply } from "./reply.ts";
import { Response } from "./response.ts";
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
export function dispatch(event: Event, id: number, text: string, bytes: Uint8Array): void {
  try {
    if (event === Event.request) handle(id, text, bytes);
    else if (event === Event.complete) settle(id, null, text, bytes);
    else if (event === Event.reject) settle(id, hostError(text), "", bytes);
    else if (event === Event.abort) abort();
    else if (event === Event.variables) setVariables(parseJson(text) as Record<string, string>);
    else if (event === Event.built) build();
  } catch (error) {
    uncaught(error);
  }
}

function handle(flags: number, text: string, bytes: Uint8Array): void {
  const head: Head = { text, lines: null };
  begin((flags & RequestFlag.head) !== 0);
  beginTime(() => +headLine(head, HeadLine.now));
  clearEntries();
  reportSoon();
  const body =
    (flags & RequestFlag.stream) !== 0
      ? sourceStream(ownBody)
      : bytes.length === 0
        ? null
        : (bytes as Uint8Array<ArrayBuffer>);
  const result = entry(new Context(head, body), body, head);
  if (!(result instanceof Response) && typeof (result as PromiseLike<unknown> | null)?.then === "function") {
    then(resolved(result), reply, fail);
  } else reply(result);
}
