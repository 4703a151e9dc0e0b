import { Op } from "../protocol.ts";
import { cancel, start } from "./host.ts";
import { uncaught } from "./invocation.ts";

type Callback = (...args: unknown[]) => unknown;

/** The largest delay that browsers and Node keep; a longer one fires at once there. */
const maxDelayMs = 2 ** 31 - 1;

/** An interval keeps the number it was given, while each turn of it is an operation of its own. */
const intervals: Record<number, number> = Object.create(null);

function startTimer(what: string, delayMs: unknown, run: () => void): number {
  const delay = Number(delayMs);
  return start(
    what,
    Op.timer,
    `${delay >= 1 && delay <= maxDelayMs ? Math.trunc(delay) : 1}`,
    undefined,
    run,
  );
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
  return start("setImmediate", Op.timer, "0", undefined, () => call(callback, args));
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
  cancel(intervals[number] ?? number);
  delete intervals[number];
}
