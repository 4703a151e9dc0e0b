import { type AsyncContext, bound, currentContext, keepContext, runIn, setContext } from "./async_context.ts";

import type { AnyFunction } from "./function_types.ts";

type Work<R> = AnyFunction<R>;

/** https://nodejs.org/api/async_context.html */
export class AsyncLocalStorage<T> {
  readonly name: string;
  readonly #default: T | undefined;
  #enabled = true;

  constructor(options: { name?: string; defaultValue?: T } = {}) {
    this.name = options.name ?? "";
    this.#default = options.defaultValue;
    keepContext();
  }
  static bind<F extends Work<unknown>>(work: F): F {
    keepContext();
    return bound(work);
  }
  static snapshot(): <R>(work: Work<R>, ...args: unknown[]) => R {
    keepContext();
    const context = currentContext();
    return (work, ...args) => runIn(context, work, undefined, args);
  }
  getStore(): T | undefined {
    const context = currentContext();
    return this.#enabled && context.has(this) ? (context.get(this) as T) : this.#default;
  }
  run<R>(store: T, work: Work<R>, ...args: unknown[]): R {
    this.#enabled = true;
    return runIn(this.#with(store), work, undefined, args);
  }
  exit<R>(work: Work<R>, ...args: unknown[]): R {
    const context = new Map(currentContext());
    context.delete(this);
    return runIn(context, work, undefined, args);
  }
  enterWith(store: T): void {
    this.#enabled = true;
    setContext(this.#with(store));
  }
  disable(): void {
    this.#enabled = false;
  }
  #with(store: T): AsyncContext {
    return new Map(currentContext()).set(this, store);
  }
}

let lastId = 1;

export class AsyncResource {
  readonly type: string;
  readonly #context = currentContext();
  readonly #id = ++lastId;

  constructor(type: string) {
    this.type = type;
    keepContext();
  }
  static bind<F extends Work<unknown>>(work: F, _type?: string, self?: unknown): F {
    keepContext();
    return bound(self === undefined ? work : (work.bind(self) as F));
  }
  runInAsyncScope<R>(work: Work<R>, self?: unknown, ...args: unknown[]): R {
    return runIn(this.#context, work, self, args);
  }
  bind<F extends Work<unknown>>(work: F): F {
    const resource = this;
    return function (this: unknown, ...args: unknown[]) {
      return resource.runInAsyncScope(work, this, ...args);
    } as F;
  }
  asyncId(): number {
    return this.#id;
  }
  triggerAsyncId(): number {
    return 1;
  }
  emitDestroy(): this {
    return this;
  }
}

/** There is nothing to hook into: hooks are never called. */
export function createHook() {
  const hook = { enable: () => hook, disable: () => hook };
  return hook;
}
export const executionAsyncId = (): number => 1;
export const triggerAsyncId = (): number => 0;
export const executionAsyncResource = (): object => ({});
export const asyncWrapProviders = {};

export default {
  AsyncLocalStorage,
  AsyncResource,
  createHook,
  executionAsyncId,
  triggerAsyncId,
  executionAsyncResource,
  asyncWrapProviders,
};
