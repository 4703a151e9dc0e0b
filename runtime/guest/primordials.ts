/** Built-ins captured before the function's code runs, so that its patches of prototypes cannot break the dispatcher. */
export const { parse: parseJson, stringify: stringifyJson } = JSON;
export const { apply } = Reflect;
export const { defineProperty } = Object;
export const { isArray } = Array;

const promiseThen = Promise.prototype.then;
export const resolved: <T>(value: T) => Promise<Awaited<T>> = Promise.resolve.bind(Promise);
export const rejected: (reason: unknown) => Promise<never> = Promise.reject.bind(Promise) as never;
export const withResolvers: <T>() => PromiseWithResolvers<T> = Promise.withResolvers.bind(Promise);

export function then<T, R>(
  promise: Promise<T>,
  onValue: (value: T) => R,
  onError?: (error: unknown) => R,
): Promise<Awaited<R>> {
  return apply(promiseThen, promise, [onValue, onError]) as Promise<Awaited<R>>;
}

// Own properties: a patched TextDecoder.prototype.decode is not seen.
const decoder = new TextDecoder();
decoder.decode = TextDecoder.prototype.decode;
const encoder = new TextEncoder();
encoder.encode = TextEncoder.prototype.encode;

export const decodeText = (bytes: Uint8Array): string => decoder.decode(bytes);
export const encodeText = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

export const noBytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** What Web IDL says of an interface's prototype: its members can be enumerated, and it has a name. */
export function asInterface(prototype: object, name: string): void {
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key !== "constructor") defineProperty(prototype, key, { enumerable: true });
  }
  if (!Object.hasOwn(prototype, Symbol.toStringTag))
    defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}

/** A global of the web platform: writable and configurable, but not enumerable. */
export function defineGlobal(name: PropertyKey, value: unknown): void {
  defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

/** Globals that are loaded together when one of them is first used; to a function they look like any other. */
export function defineLazyGlobals(names: readonly string[], load: () => Record<string, unknown>): void {
  for (const name of names) {
    defineProperty(globalThis, name, {
      get() {
        const values = load();
        for (const each of names) {
          // what the function has put there stays
          if (Object.getOwnPropertyDescriptor(globalThis, each)?.get) defineGlobal(each, values[each]);
        }
        return values[name];
      },
      set: (value: unknown) => defineGlobal(name, value),
      configurable: true,
      enumerable: false,
    });
  }
}
