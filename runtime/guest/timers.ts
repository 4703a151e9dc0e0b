import { Op } from "../protocol.ts";
import { BuildTimeError, cancel, start } from "./host.ts";
import { uncaught } from "./invocation.ts";

type Callback = (...args: unknown[]) => unknown;

/** The largest delay that browsers and Node keep; a longer one fires at once there. */
const maxDelayMs = 2 ** 31 - 1;

/** An interval keeps the number it was given, while each turn of it is an operation of its own. */
const intervals: Record<number, number> = Object.create(null);

/** Timers of top-level code, by numbers below zero. It may have some, time limits of what it sets up, if it clears them. */
const held = new Map<number, Error>();
let lastHeld = 0;

function startTimer(what: string, delayMs: unknown, run: () => void): number {
  const delay = Number(delayMs);
  return startOrHold(what, `${delay >= 1 && delay <= maxDelayMs ? Math.trunc(delay) : 1}`, run);
}

function startOrHold(what: string, delay: string, run: () => void): number {
  try {
    return start(what, Op.timer, delay, undefined, run);
  } catch (error) {
    if (!(error instanceof BuildTimeError)) throw error;
    held.set(--lastHeld, error);
    return lastHeld;
  }
}

/** @throws where top-level code has set a timer that it did not clear. */
export function checkTimers(): void {
  for (const error of held.values()) throw error;
}

/** Nothing waits for this timer: it may be lost. */
export function unrefTimer(id: number): void {
  held.delete(id);
}

function call(callback: Callback, args: unknown[]): void {
  try {
    callback(...args);
  } catch (error) {
    uncaught(error);
  }
}

function check(callback: unknown): void {
  if (typeof callback !== "function") throw new TypeError("The callback must be a function");
}

export function setTimeout(callback: Callback, delayMs?: number, ...args: unknown[]): number {
  check(callback);
  return startTimer("setTimeout", delayMs, () => call(callback, args));
}

export function setInterval(callback: Callback, delayMs?: number, ...args: unknown[]): number {
  check(callback);
  let id = 0;
  const turn = () => {
    intervals[id] = startTimer("setInterval", delayMs, turn);
    call(callback, args);
  };
  id = startTimer("setInterval", delayMs, turn);
  intervals[id] = id;
  return id;
}

export function setImmediate(callback: Callback, ...args: unknown[]): number {
  check(callback);
  return startOrHold("setImmediate", "0", () => call(callback, args));
}

const nativeQueueMicrotask = globalThis.queueMicrotask;

/** The engine's own would stop the queue at an error. */
export function queueMicrotask(callback: Callback): void {
  check(callback);
  nativeQueueMicrotask(() => call(callback, []));
}

/** Also clearInterval and clearImmediate: the kinds share their numbers. */
export function clearTimer(id: unknown): void {
  const number = Number(id);
  held.delete(number);
  cancel(intervals[number] ?? number);
  delete intervals[number];
}
