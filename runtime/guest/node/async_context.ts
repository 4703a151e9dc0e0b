import type { AnyFunction } from "./function_types.ts";
import { modules } from "./platform.ts";
import "./timers.ts";

/**
 * The values of all AsyncLocalStorages where the code that runs now came from. Replaced as a whole, never changed.
 *
 * The engine has no hooks for asynchronous calls, so the places where a call is put off keep the context: `await` (by code that the bundler puts
 * around it), `then`, timers and microtasks.
 */
export type AsyncContext = ReadonlyMap<object, unknown>;

interface State {
  current: AsyncContext;
  /** What is awaited goes through here, once there is a context to keep. */
  through?: (value: unknown) => unknown;
}

/** The bundler's code around each `await` reads and sets it too. */
const shared = modules as unknown as { "thimble:context"?: State };
shared["thimble:context"] ??= { current: new Map() };
const state = shared["thimble:context"];

export const currentContext = (): AsyncContext => state.current;

export function setContext(context: AsyncContext): void {
  state.current = context;
}

export function runIn<R>(
  context: AsyncContext,
  work: AnyFunction<R>,
  self: unknown,
  args: ArrayLike<unknown>,
): R {
  const before = state.current;
  state.current = context;
  try {
    return Reflect.apply(work, self, args as unknown[]) as R;
  } finally {
    state.current = before;
  }
}

/** A function that runs in the context of now, whenever it is called. */
export function bound<T>(work: T): T {
  if (typeof work !== "function" || !installed) return work;
  const context = state.current;
  return function (this: unknown, ...args: unknown[]) {
    return runIn(context, work as unknown as () => unknown, this, args);
  } as T;
}

let installed = false;

/** Puts the context into everything that puts calls off. Once, when a function makes its first AsyncLocalStorage or resource. */
export function keepContext(): void {
  if (installed) return;
  installed = true;
  const { then } = Promise.prototype;
  const keeping = {
    value(this: Promise<unknown>, onValue: unknown, onError: unknown) {
      return Reflect.apply(then, this, [bound(onValue), bound(onError)]);
    },
    writable: true,
    configurable: true,
  };
  // biome-ignore lint/suspicious/noThenProperty: of promises themselves
  Object.defineProperty(Promise.prototype, "then", keeping);
  state.through = (value) => (isThenable(value) ? contextual(value) : value);
  const globals = globalThis as unknown as Record<string, (...args: unknown[]) => unknown>;
  wrap(globals, "queueMicrotask");
  wrap(globals.process as unknown as typeof globals, "nextTick");
}

/** Something to be awaited that is no promise, a query for example. */
const isThenable = (value: unknown): value is { then: AnyFunction } =>
  typeof value === "object" &&
  value !== null &&
  !(value instanceof Promise) &&
  typeof (value as { then?: unknown }).then === "function";

/** Its `then` runs in the context of the one who awaits it, not in that of the microtask in which the engine calls it. */
function contextual(thenable: { then: AnyFunction }): object {
  const stand = {};
  // biome-ignore lint/suspicious/noThenProperty: it stands for something that has one
  Object.defineProperty(stand, "then", { value: bound(thenable.then.bind(thenable)) });
  return stand;
}

function wrap(holder: Record<string, (...args: unknown[]) => unknown>, name: string): void {
  const original = holder[name]!;
  const wrapped = (callback: unknown, ...rest: unknown[]) =>
    Reflect.apply(original, holder, [bound(callback), ...rest]);
  Object.defineProperty(holder, name, { value: wrapped, writable: true, configurable: true });
}
