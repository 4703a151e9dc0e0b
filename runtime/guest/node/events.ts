import { invalidType, nodeError, outOfRange } from "./errors.ts";
import type { AnyFunction } from "./function_types.ts";
import { platform } from "./platform.ts";
import "./timers.ts";

type Listener = AnyFunction<unknown>;
type Wrapped = Listener & { listener?: Listener };
type Name = string | symbol;

export const errorMonitor = Symbol("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
const captures = Symbol("kCapture");

let defaultMaxListeners = 10;
let captureByDefault = false;

/** What an emitter keeps; `_events` is part of Node's interface for those that look into it. */
export interface EventEmitter {
  _events: Record<Name, Wrapped[]> | undefined;
  _maxListeners: number | undefined;
  [captures]: boolean;
}

function checkListener(listener: unknown): void {
  if (typeof listener !== "function") throw invalidType("listener", "function", listener);
}

const listOf = (emitter: EventEmitter, name: Name): Wrapped[] | undefined => {
  const events = emitter._events;
  return events === undefined || !Object.hasOwn(events, name) ? undefined : events[name];
};

function add(emitter: EventEmitter, name: Name, listener: Wrapped, first: boolean): void {
  checkListener(listener);
  emitter._events ??= Object.create(null) as Record<Name, Wrapped[]>;
  if (listOf(emitter, "newListener")) emitter.emit("newListener", name, listener.listener ?? listener);
  const list = listOf(emitter, name);
  if (!list) emitter._events[name] = [listener];
  // a copy: what is being called just now stays as it was
  else emitter._events[name] = first ? [listener, ...list] : [...list, listener];
  warnOfLeak(emitter, name);
}

const warned = new WeakMap<EventEmitter, Set<Name>>();

function warnOfLeak(emitter: EventEmitter, name: Name): void {
  const most = emitter.getMaxListeners();
  const count = listOf(emitter, name)!.length;
  if (most <= 0 || count <= most || warned.get(emitter)?.has(name)) return;
  if (!warned.has(emitter)) warned.set(emitter, new Set());
  warned.get(emitter)!.add(name);
  const kind = emitter.constructor.name;
  platform.console.warn(
    `MaxListenersExceededWarning: Possible EventEmitter memory leak detected. ${count} ${String(name)} listeners added to ${`[${kind}]`}. MaxListeners is ${most}. Use emitter.setMaxListeners() to increase limit`,
  );
}

/** Frameworks call it as a function of objects that they have made themselves, so it is no class. */
export function EventEmitter(this: EventEmitter, options?: { captureRejections?: boolean }): void {
  EventEmitter.init.call(this, options);
}

EventEmitter.init = function init(this: EventEmitter, options?: { captureRejections?: boolean }): void {
  if (this._events === undefined || this._events === Object.getPrototypeOf(this)._events)
    this._events = Object.create(null) as Record<Name, Wrapped[]>;
  this._maxListeners ??= undefined;
  if (options?.captureRejections ?? captureByDefault) this[captures] = true;
};

const methods = {
  on(this: EventEmitter, name: Name, listener: Listener) {
    add(this, name, listener, false);
    return this;
  },
  prependListener(this: EventEmitter, name: Name, listener: Listener) {
    add(this, name, listener, true);
    return this;
  },
  once(this: EventEmitter, name: Name, listener: Listener) {
    checkListener(listener);
    add(this, name, onceOnly(this, name, listener), false);
    return this;
  },
  prependOnceListener(this: EventEmitter, name: Name, listener: Listener) {
    checkListener(listener);
    add(this, name, onceOnly(this, name, listener), true);
    return this;
  },
  off(this: EventEmitter, name: Name, listener: Listener) {
    checkListener(listener);
    const list = listOf(this, name);
    const index = list?.findLastIndex((known) => known === listener || known.listener === listener) ?? -1;
    if (!list || index < 0) return this;
    if (list.length === 1) delete this._events![name];
    else this._events![name] = list.toSpliced(index, 1);
    if (listOf(this, "removeListener")) this.emit("removeListener", name, listener);
    return this;
  },
  removeAllListeners(this: EventEmitter, name?: Name) {
    const events = this._events;
    if (!events) return this;
    if (!listOf(this, "removeListener")) {
      if (name === undefined) this._events = Object.create(null) as Record<Name, Wrapped[]>;
      else delete events[name];
      return this;
    }
    const names =
      name === undefined ? Reflect.ownKeys(events).filter((key) => key !== "removeListener") : [name];
    for (const each of names) {
      for (const listener of [...(listOf(this, each as Name) ?? [])].reverse())
        this.off(each as Name, listener);
    }
    if (name === undefined) this.removeAllListeners("removeListener");
    return this;
  },
  emit(this: EventEmitter, name: Name, ...args: unknown[]): boolean {
    if (name === "error") {
      const monitors = listOf(this, errorMonitor);
      if (monitors) this.emit(errorMonitor, ...args);
    }
    const list = listOf(this, name);
    if (!list) {
      if (name === "error") throw unhandledError(args[0]);
      return false;
    }
    for (const listener of list) {
      const result = listener.apply(this, args);
      if (this[captures] && result !== undefined && result !== null) capture(this, result, name, args);
    }
    return true;
  },
  listenerCount(this: EventEmitter, name: Name, listener?: Listener): number {
    const list = listOf(this, name) ?? [];
    if (listener === undefined || listener === null) return list.length;
    return list.filter((known) => known === listener || known.listener === listener).length;
  },
  listeners(this: EventEmitter, name: Name): Listener[] {
    return (listOf(this, name) ?? []).map((known) => known.listener ?? known);
  },
  rawListeners(this: EventEmitter, name: Name): Listener[] {
    return [...(listOf(this, name) ?? [])];
  },
  eventNames(this: EventEmitter): Name[] {
    return this._events ? (Reflect.ownKeys(this._events) as Name[]) : [];
  },
  setMaxListeners(this: EventEmitter, count: number) {
    checkCount(count);
    this._maxListeners = count;
    return this;
  },
  getMaxListeners(this: EventEmitter): number {
    return this._maxListeners ?? defaultMaxListeners;
  },
};
export interface EventEmitter {
  on(name: Name, listener: Listener): this;
  once(name: Name, listener: Listener): this;
  off(name: Name, listener: Listener): this;
  addListener(name: Name, listener: Listener): this;
  removeListener(name: Name, listener: Listener): this;
  prependListener(name: Name, listener: Listener): this;
  removeAllListeners(name?: Name): this;
  emit(name: Name, ...args: unknown[]): boolean;
  listenerCount(name: Name, listener?: Listener): number;
  listeners(name: Name): Listener[];
  getMaxListeners(): number;
  setMaxListeners(count: number): this;
}

for (const [name, value] of Object.entries({
  ...methods,
  addListener: methods.on,
  removeListener: methods.off,
}))
  Object.defineProperty(EventEmitter.prototype, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  });
Object.assign(EventEmitter.prototype, { _events: undefined, _maxListeners: undefined, [captures]: false });

function checkCount(count: unknown): void {
  if (typeof count !== "number") throw invalidType("n", "number", count);
  if (!(count >= 0)) throw outOfRange("n", "a non-negative number", count);
}

function onceOnly(emitter: EventEmitter, name: Name, listener: Listener): Wrapped {
  let fired = false;
  const wrapped: Wrapped = (...args) => {
    if (fired) return undefined;
    emitter.off(name, wrapped);
    fired = true;
    return listener.apply(emitter, args);
  };
  wrapped.listener = listener;
  return wrapped;
}

function unhandledError(error: unknown): unknown {
  if (error instanceof Error) return error;
  const shown = typeof error === "string" ? `'${error}'` : platform.inspect(error);
  const failure = nodeError(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`);
  return Object.assign(failure, { context: error });
}

function capture(emitter: EventEmitter, result: unknown, name: Name, args: unknown[]): void {
  const { then } = result as { then?: unknown };
  if (typeof then !== "function") return;
  then.call(result, undefined, (error: unknown) => {
    const handle = (emitter as unknown as Record<symbol, unknown>)[captureRejectionSymbol];
    if (typeof handle === "function") handle.call(emitter, error, name, ...args);
    else {
      // an error of an error listener must not come back to it
      emitter[captures] = false;
      emitter.emit("error", error);
      emitter[captures] = true;
    }
  });
}

type Emitter = EventEmitter | EventTarget;
const isEmitter = (value: unknown): value is EventEmitter =>
  typeof (value as EventEmitter | null)?.on === "function";

function listen(emitter: Emitter, name: Name, listener: Listener): () => void {
  if (isEmitter(emitter)) {
    emitter.on(name, listener);
    return () => emitter.off(name, listener);
  }
  if (typeof emitter?.addEventListener !== "function") throw invalidType("emitter", "EventEmitter", emitter);
  emitter.addEventListener(name as string, listener as EventListener);
  return () => emitter.removeEventListener(name as string, listener as EventListener);
}

const aborted = (signal: AbortSignal): Error =>
  Object.assign(new Error("The operation was aborted", { cause: signal.reason }), {
    name: "AbortError",
    code: "ABORT_ERR",
  });

export function once(emitter: Emitter, name: Name, options?: { signal?: AbortSignal }): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const signal = options?.signal;
    if (signal?.aborted) return reject(aborted(signal));
    const stops: (() => void)[] = [];
    const stop = () => {
      for (const each of stops) each();
    };
    stops.push(
      listen(emitter, name, (...args) => {
        stop();
        resolve(args);
      }),
    );
    if (isEmitter(emitter) && name !== "error") {
      stops.push(
        listen(emitter, "error", (error) => {
          stop();
          reject(error);
        }),
      );
    }
    if (signal)
      stops.push(
        listen(signal, "abort", () => {
          stop();
          reject(aborted(signal));
        }),
      );
  });
}

export function on(
  emitter: Emitter,
  name: Name,
  options?: { signal?: AbortSignal; close?: string[] },
): AsyncIterableIterator<unknown[]> {
  const signal = options?.signal;
  if (signal?.aborted) throw aborted(signal);
  const events: unknown[][] = [];
  const readers: PromiseWithResolvers<IteratorResult<unknown[]>>[] = [];
  let failure: { error: unknown } | null = null;
  let finished = false;
  const fail = (error: unknown) => {
    stop();
    const reader = readers.shift();
    if (reader) reader.reject(error);
    else failure = { error };
    finish();
  };
  const finish = () => {
    finished = true;
    for (const reader of readers.splice(0)) reader.resolve({ value: undefined, done: true });
  };
  const stops = [
    listen(emitter, name, (...args) => {
      const reader = readers.shift();
      if (reader) reader.resolve({ value: args, done: false });
      else events.push(args);
    }),
  ];
  const stop = () => {
    for (const each of stops) each();
  };
  if (isEmitter(emitter) && name !== "error") stops.push(listen(emitter, "error", fail));
  for (const close of options?.close ?? []) stops.push(listen(emitter, close, finish));
  if (signal) stops.push(listen(signal, "abort", () => fail(aborted(signal))));
  return {
    next() {
      const value = events.shift();
      if (value) return Promise.resolve({ value, done: false });
      if (failure) {
        const { error } = failure;
        failure = null;
        return Promise.reject(error);
      }
      if (finished) return Promise.resolve({ value: undefined, done: true });
      const reader = Promise.withResolvers<IteratorResult<unknown[]>>();
      readers.push(reader);
      return reader.promise;
    },
    return() {
      stop();
      finish();
      return Promise.resolve({ value: undefined, done: true });
    },
    throw(error: unknown) {
      fail(error);
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  } as AsyncIterableIterator<unknown[]>;
}

export const getEventListeners = (emitter: Emitter, name: Name): Listener[] =>
  isEmitter(emitter) ? emitter.listeners(name) : [];
export const listenerCount = (emitter: EventEmitter, name: Name): number => emitter.listenerCount(name);
export const getMaxListeners = (emitter: Emitter): number =>
  isEmitter(emitter) ? emitter.getMaxListeners() : defaultMaxListeners;
export function setMaxListeners(count = defaultMaxListeners, ...emitters: Emitter[]): void {
  checkCount(count);
  if (emitters.length === 0) defaultMaxListeners = count;
  for (const emitter of emitters) if (isEmitter(emitter)) emitter.setMaxListeners(count);
}
export function addAbortListener(signal: AbortSignal, listener: (event: Event) => void): Disposable {
  if (signal.aborted) queueMicrotask(() => listener(new Event("abort")));
  else signal.addEventListener("abort", listener as EventListener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", listener as EventListener) };
}

export function EventEmitterAsyncResource(this: EventEmitter, options?: object): void {
  EventEmitter.init.call(this, options as never);
}
Object.setPrototypeOf(EventEmitterAsyncResource.prototype, EventEmitter.prototype);

Object.assign(EventEmitter, {
  EventEmitter,
  EventEmitterAsyncResource,
  errorMonitor,
  captureRejectionSymbol,
  once,
  on,
  getEventListeners,
  getMaxListeners,
  setMaxListeners,
  listenerCount,
  addAbortListener,
  usingDomains: false,
});
Object.defineProperties(EventEmitter, {
  defaultMaxListeners: {
    get: () => defaultMaxListeners,
    set: (count: number) => {
      checkCount(count);
      defaultMaxListeners = count;
    },
    enumerable: true,
  },
  captureRejections: {
    get: () => captureByDefault,
    set: (value: boolean) => {
      captureByDefault = value;
    },
    enumerable: true,
  },
});

export { captureByDefault as captureRejections, defaultMaxListeners };
export default EventEmitter;
