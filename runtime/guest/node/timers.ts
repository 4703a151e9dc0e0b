import { bound } from "./async_context.ts";
import type { AnyFunction } from "./function_types.ts";
import { platform } from "./platform.ts";

type Callback = AnyFunction<unknown>;
type Kind = "setTimeout" | "setInterval" | "setImmediate";

const globals = globalThis as unknown as Record<string, (...args: unknown[]) => number>;
// the platform's own, before this module puts Node's in their place
const native = {
  setTimeout: globals.setTimeout!,
  setInterval: globals.setInterval!,
  setImmediate: globals.setImmediate!,
  clear: globals.clearTimeout!,
};

class Timer {
  readonly #start: () => number;
  #id: number;
  #referenced = true;

  constructor(kind: Kind, callback: Callback, delay: number | undefined, args: unknown[]) {
    const run = bound(() => Reflect.apply(callback, this, args));
    this.#start = () => (kind === "setImmediate" ? native[kind](run) : native[kind](run, delay));
    this.#id = this.#start();
  }
  ref(): this {
    this.#referenced = true;
    return this;
  }
  unref(): this {
    this.#referenced = false;
    platform.unrefTimer(this.#id);
    return this;
  }
  hasRef(): boolean {
    return this.#referenced;
  }
  refresh(): this {
    native.clear(this.#id);
    this.#id = this.#start();
    return this;
  }
  close(): this {
    native.clear(this.#id);
    return this;
  }
  [Symbol.toPrimitive](): number {
    return this.#id;
  }
  [Symbol.dispose](): void {
    this.close();
  }
}
class Timeout extends Timer {}
class Immediate extends Timer {}

export const setTimeout = (callback: Callback, delay?: number, ...args: unknown[]) =>
  new Timeout("setTimeout", callback, delay, args);
export const setInterval = (callback: Callback, delay?: number, ...args: unknown[]) =>
  new Timeout("setInterval", callback, delay, args);
export const setImmediate = (callback: Callback, ...args: unknown[]) =>
  new Immediate("setImmediate", callback, undefined, args);

export const clearTimeout = (timer: unknown): void => {
  if (timer !== undefined && timer !== null) native.clear(Number(timer));
};
export const clearInterval = clearTimeout;
export const clearImmediate = clearTimeout;

/** A function that uses Node's modules gets Node's timers: objects that can be asked not to keep a process alive. */
Object.assign(globalThis, {
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
});

import * as promises from "./timers-promises.ts";

export { promises };

const custom = Symbol.for("nodejs.util.promisify.custom");
Object.defineProperty(setTimeout, custom, { get: () => promises.setTimeout });
Object.defineProperty(setImmediate, custom, { get: () => promises.setImmediate });

export default {
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
  promises,
};
