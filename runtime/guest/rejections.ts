import { Op } from "../protocol.ts";
import { defineHandler, Event, type EventInit, globalTarget } from "./events.ts";
import { start } from "./host.ts";
import { unhandled as failed, settled, working } from "./invocation.ts";

/** Promises that were rejected while nobody listened, with their reasons. */
let unhandled: Map<Promise<unknown>, unknown> | null = null;
let awaited = false;

export class PromiseRejectionEvent extends Event {
  readonly #promise: Promise<unknown>;
  readonly #reason: unknown;
  constructor(type: string, init: EventInit & { promise: Promise<unknown>; reason?: unknown }) {
    super(type, init);
    if (!init || !("promise" in init)) throw new TypeError("A PromiseRejectionEvent has a promise");
    this.#promise = init.promise;
    this.#reason = init.reason;
  }
  get promise(): Promise<unknown> {
    return this.#promise;
  }
  get reason(): unknown {
    return this.#reason;
  }
}

/** The engine calls this when a promise is rejected without a listener, and when it gets one later. */
export function track(promise: Promise<unknown>, reason: unknown, handled: boolean): void {
  if (handled) unhandled?.delete(promise);
  else {
    unhandled ??= new Map();
    unhandled.set(promise, reason);
    reportSoon();
  }
}

/** As the standard has it: once the microtask queue is empty, what is still unhandled is an error. */
export function reportSoon(): void {
  if (unhandled === null || awaited || unhandled.size === 0) return;
  try {
    start("A promise", Op.turn, "", undefined, report);
  } catch {
    return; // top-level code: the first request reports it
  }
  awaited = true;
  working();
}

function report(): void {
  awaited = false;
  const reasons = [...(unhandled ?? [])];
  unhandled = null;
  for (const [promise, reason] of reasons) {
    const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
    if (globalTarget.dispatchEvent(event)) failed(reason, "Uncaught (in promise)");
  }
  settled();
}

for (const type of ["unhandledrejection", "rejectionhandled", "error"]) defineHandler(globalTarget, type);
