import type { AsyncLocalStorage } from "./async_hooks.ts";
import { invalidType } from "./errors.ts";
import { platform } from "./platform.ts";

type Name = string | symbol;
type Subscriber = (message: unknown, name: Name) => void;
type Transform = (data: unknown) => unknown;

const channels = new Map<Name, Channel>();

export class Channel {
  readonly name: Name;
  #subscribers: Subscriber[] = [];
  #stores = new Map<AsyncLocalStorage<unknown>, Transform | undefined>();

  constructor(name: Name) {
    this.name = name;
  }
  get hasSubscribers(): boolean {
    return this.#subscribers.length > 0 || this.#stores.size > 0;
  }
  subscribe(subscriber: Subscriber): void {
    if (typeof subscriber !== "function") throw invalidType("subscription", "function", subscriber);
    this.#subscribers = [...this.#subscribers, subscriber];
  }
  unsubscribe(subscriber: Subscriber): boolean {
    const index = this.#subscribers.indexOf(subscriber);
    if (index < 0) return false;
    this.#subscribers = this.#subscribers.toSpliced(index, 1);
    return true;
  }
  publish(message: unknown): void {
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(message, this.name);
      } catch (error) {
        queueMicrotask(() => platform.uncaught(error));
      }
    }
  }
  bindStore(store: AsyncLocalStorage<unknown>, transform?: Transform): void {
    this.#stores.set(store, transform);
  }
  unbindStore(store: AsyncLocalStorage<unknown>): boolean {
    return this.#stores.delete(store);
  }
  runStores<R>(data: unknown, work: (...args: unknown[]) => R, self?: unknown, ...args: unknown[]): R {
    let run = () => {
      this.publish(data);
      return Reflect.apply(work, self, args) as R;
    };
    for (const [store, transform] of this.#stores) {
      const next = run;
      run = () => store.run(transform ? transform(data) : data, next);
    }
    return run();
  }
}

export function channel(name: Name): Channel {
  if (typeof name !== "string" && typeof name !== "symbol")
    throw invalidType("channel", "string or symbol", name);
  const known = channels.get(name);
  if (known) return known;
  const made = new Channel(name);
  channels.set(name, made);
  return made;
}
export const hasSubscribers = (name: Name): boolean => channels.get(name)?.hasSubscribers ?? false;
export const subscribe = (name: Name, subscriber: Subscriber): void => channel(name).subscribe(subscriber);
export const unsubscribe = (name: Name, subscriber: Subscriber): boolean =>
  channel(name).unsubscribe(subscriber);

const events = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;
type TracedEvent = (typeof events)[number];
type Context = Record<string, unknown>;

export class TracingChannel {
  declare readonly start: Channel;
  declare readonly end: Channel;
  declare readonly asyncStart: Channel;
  declare readonly asyncEnd: Channel;
  declare readonly error: Channel;

  constructor(from: string | Record<TracedEvent, Channel>) {
    for (const event of events)
      Object.assign(this, {
        [event]: typeof from === "string" ? channel(`tracing:${from}:${event}`) : from[event],
      });
  }
  get hasSubscribers(): boolean {
    return events.some((event) => this[event]?.hasSubscribers);
  }
  subscribe(subscribers: Partial<Record<TracedEvent, Subscriber>>): void {
    for (const event of events) if (subscribers[event]) this[event].subscribe(subscribers[event]);
  }
  unsubscribe(subscribers: Partial<Record<TracedEvent, Subscriber>>): boolean {
    return events
      .map((event) => !subscribers[event] || this[event].unsubscribe(subscribers[event]))
      .every(Boolean);
  }
  traceSync<R>(
    work: (...args: unknown[]) => R,
    context: Context = {},
    self?: unknown,
    ...args: unknown[]
  ): R {
    return this.start.runStores(context, () => {
      try {
        context.result = Reflect.apply(work, self, args);
        return context.result as R;
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
  tracePromise<R>(
    work: (...args: unknown[]) => PromiseLike<R>,
    context: Context = {},
    self?: unknown,
    ...args: unknown[]
  ): Promise<R> {
    const settle = () => {
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
    };
    const running = this.traceSync(work as (...args: unknown[]) => unknown, context, self, ...args);
    return Promise.resolve(running as PromiseLike<R>).then(
      (result) => {
        context.result = result;
        settle();
        return result;
      },
      (error) => {
        context.error = error;
        this.error.publish(context);
        settle();
        throw error;
      },
    );
  }
  traceCallback<R>(
    work: (...args: unknown[]) => R,
    position = -1,
    context: Context = {},
    self?: unknown,
    ...args: unknown[]
  ): R {
    const callback = args.at(position) as (...args: unknown[]) => unknown;
    const wrapped = (...results: unknown[]) => {
      if (results[0]) {
        context.error = results[0];
        this.error.publish(context);
      } else context.result = results[1];
      return this.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(callback, undefined, results);
        } finally {
          this.asyncEnd.publish(context);
        }
      });
    };
    args.splice(position, 1, wrapped);
    return this.traceSync(work, context, self, ...args);
  }
}

export const tracingChannel = (from: string | Record<TracedEvent, Channel>): TracingChannel =>
  new TracingChannel(from);

export default { Channel, TracingChannel, channel, hasSubscribers, subscribe, unsubscribe, tracingChannel };
