import type { AnyFunction } from "./function_types.ts";

/**
 * The values of all AsyncLocalStorages where the code that runs now came from. Replaced as a whole, never changed.
 *
 * The engine has no hooks for asynchronous calls, so the places where a call is put off keep the context: `then` (and with it `await`, which the bundler
 * turns into `then` for functions that use AsyncLocalStorage), timers, and microtasks.
 */
export type AsyncContext = ReadonlyMap<object, unknown>;

let current: AsyncContext = new Map();

export const currentContext = (): AsyncContext => current;

export function setContext(context: AsyncContext): void {
  current = context;
}

export function runIn<R>(
  context: AsyncContext,
  work: AnyFunction<R>,
  self: unknown,
  args: ArrayLike<unknown>,
): R {
  const before = current;
  current = context;
  try {
    return Reflect.apply(work, self, args as unknown[]) as R;
  } finally {
    current = before;
  }
}

/** A function that runs in the context of now, whenever it is called. */
export function bound<T>(work: T): T {
  if (typeof work !== "function") return work;
  const context = current;
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
  const globals = globalThis as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) wrap(globals, name);
  wrap(globals.process as unknown as typeof globals, "nextTick");
}

function wrap(holder: Record<string, (...args: unknown[]) => unknown>, name: string): void {
  const original = holder[name]!;
  const wrapped = (callback: unknown, ...rest: unknown[]) =>
    Reflect.apply(original, holder, [bound(callback), ...rest]);
  Object.defineProperty(holder, name, { value: wrapped, writable: true, configurable: true });
}
