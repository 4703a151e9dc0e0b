import { elapsed } from "./clock.ts";
import { uncaught } from "./invocation.ts";

/** What only the dispatcher may do to an event. */
interface Flags {
  target: EventTarget | null;
  currentTarget: EventTarget | null;
  dispatching: boolean;
  stopped: boolean;
  canceled: boolean;
  passive: boolean;
  trusted: boolean;
}
let flagsOf: (event: Event) => Flags;

export interface EventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
}

export class Event {
  static readonly NONE = 0;
  static readonly CAPTURING_PHASE = 1;
  static readonly AT_TARGET = 2;
  static readonly BUBBLING_PHASE = 3;

  #type: string;
  #bubbles: boolean;
  #cancelable: boolean;
  readonly #composed: boolean;
  #propagates = true;
  readonly #timeStamp = elapsed();
  readonly #flags: Flags = {
    target: null,
    currentTarget: null,
    dispatching: false,
    stopped: false,
    canceled: false,
    passive: false,
    trusted: false,
  };

  static {
    flagsOf = (event) => event.#flags;
  }

  constructor(type: string, init?: EventInit | null) {
    // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
    if (arguments.length === 0) throw new TypeError("An event has a type");
    if (init !== undefined && init !== null && typeof init !== "object" && typeof init !== "function")
      throw new TypeError("An event's second argument is an object");
    this.#type = `${type}`;
    this.#bubbles = Boolean(init?.bubbles);
    this.#cancelable = Boolean(init?.cancelable);
    this.#composed = Boolean(init?.composed);
    // a property of its own, as the standard's [LegacyUnforgeable] has it
    Object.defineProperty(this, "isTrusted", { get: isTrusted, enumerable: true, configurable: false });
  }
  get type(): string {
    return this.#type;
  }
  get bubbles(): boolean {
    return this.#bubbles;
  }
  get cancelable(): boolean {
    return this.#cancelable;
  }
  get composed(): boolean {
    return this.#composed;
  }
  get target(): EventTarget | null {
    return this.#flags.target;
  }
  get srcElement(): EventTarget | null {
    return this.#flags.target;
  }
  get currentTarget(): EventTarget | null {
    return this.#flags.currentTarget;
  }
  get eventPhase(): number {
    return this.#flags.dispatching ? Event.AT_TARGET : Event.NONE;
  }
  get timeStamp(): number {
    return this.#timeStamp;
  }
  get defaultPrevented(): boolean {
    return this.#flags.canceled;
  }
  get returnValue(): boolean {
    return !this.#flags.canceled;
  }
  set returnValue(value: boolean) {
    if (!value) this.preventDefault();
  }
  get cancelBubble(): boolean {
    return !this.#propagates;
  }
  set cancelBubble(value: boolean) {
    if (value) this.#propagates = false;
  }
  composedPath(): EventTarget[] {
    const { currentTarget } = this.#flags;
    return currentTarget === null ? [] : [currentTarget];
  }
  preventDefault(): void {
    if (this.#cancelable && !this.#flags.passive) this.#flags.canceled = true;
  }
  stopPropagation(): void {
    this.#propagates = false;
  }
  stopImmediatePropagation(): void {
    this.#propagates = false;
    this.#flags.stopped = true;
  }
  initEvent(type: string, bubbles = false, cancelable = false): void {
    if (this.#flags.dispatching) return;
    this.#type = `${type}`;
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
    this.#flags.canceled = false;
    this.#flags.stopped = false;
    this.#propagates = true;
  }
}
for (const name of ["NONE", "CAPTURING_PHASE", "AT_TARGET", "BUBBLING_PHASE"] as const)
  Object.defineProperty(Event.prototype, name, { value: Event[name], enumerable: true });

function isTrusted(this: Event): boolean {
  return flagsOf(this).trusted;
}

/** Marks an event as one that the platform makes. */
export function trusted<E extends Event>(event: E): E {
  flagsOf(event).trusted = true;
  return event;
}

export class CustomEvent extends Event {
  readonly #detail: unknown;
  constructor(type: string, init?: (EventInit & { detail?: unknown }) | null) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail(): unknown {
    return this.#detail;
  }
}

type Callback = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };
interface Listener {
  type: string;
  callback: Callback;
  capture: boolean;
  once: boolean;
  passive: boolean;
  removed: boolean;
}
interface ListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: EventTarget & { aborted: boolean };
}

const captures = (options: unknown): boolean =>
  typeof options === "object" && options !== null
    ? Boolean((options as ListenerOptions).capture)
    : Boolean(options);

function checkCallback(callback: unknown): void {
  if (typeof callback !== "function" && typeof callback !== "object" && callback !== undefined)
    throw new TypeError("A listener is a function or an object");
}

export let hasListeners: (target: EventTarget, type: string) => boolean;

export class EventTarget {
  #listeners: Listener[] | undefined;

  static {
    hasListeners = (target, type) => target.#listeners?.some((listener) => listener.type === type) === true;
  }

  addEventListener(type: string, callback: Callback | null, options?: ListenerOptions | boolean): void {
    const self = this ?? globalTarget;
    checkCallback(callback);
    const { once, passive, signal } =
      typeof options === "object" && options ? options : ({} as ListenerOptions);
    if (signal === null) throw new TypeError("signal is not an AbortSignal");
    const capture = captures(options);
    if (!callback || signal?.aborted) return;
    const name = `${type}`;
    self.#listeners ??= [];
    for (const known of self.#listeners)
      if (known.type === name && known.callback === callback && known.capture === capture) return;
    self.#listeners.push({
      type: name,
      callback,
      capture,
      once: Boolean(once),
      passive: Boolean(passive),
      removed: false,
    });
    signal?.addEventListener("abort", () => self.removeEventListener(type, callback, options), {
      once: true,
    });
  }

  removeEventListener(type: string, callback: Callback | null, options?: ListenerOptions | boolean): void {
    const self = this ?? globalTarget;
    checkCallback(callback);
    const capture = captures(options);
    self.#listeners = self.#listeners?.filter((known) => {
      const matches = known.type === `${type}` && known.callback === callback && known.capture === capture;
      if (matches) known.removed = true;
      return !matches;
    });
  }

  dispatchEvent(event: Event): boolean {
    const self = this ?? globalTarget;
    if (!(event instanceof Event)) throw new TypeError("Only an Event can be dispatched");
    const flags = flagsOf(event);
    if (flags.dispatching) throw new DOMException("The event is being dispatched", "InvalidStateError");
    flags.dispatching = true;
    flags.target = flags.currentTarget = self;
    const listeners = (self.#listeners ?? []).filter(({ type }) => type === event.type);
    // capturing listeners go first, at the target as well
    for (const listener of [...listeners.filter((l) => l.capture), ...listeners.filter((l) => !l.capture)]) {
      if (listener.removed || (flags.stopped as boolean)) continue;
      if (listener.once) self.removeEventListener(listener.type, listener.callback, listener.capture);
      flags.passive = listener.passive;
      try {
        const { callback } = listener;
        if (typeof callback === "function") callback.call(self, event);
        else callback.handleEvent(event);
      } catch (error) {
        uncaught(error);
      }
      flags.passive = false;
    }
    flags.dispatching = false;
    flags.stopped = false;
    flags.currentTarget = null;
    return !flags.canceled;
  }
}

/** What `addEventListener` without an object adds to. */
export const globalTarget = new EventTarget();

/** Defines an `on…` property: a listener that keeps its place when it is replaced. */
export function defineHandler(prototype: EventTarget, type: string): void {
  const handlers = new WeakMap<EventTarget, { current: unknown }>();
  Object.defineProperty(prototype, `on${type}`, {
    get(this: EventTarget) {
      return handlers.get(this)?.current ?? null;
    },
    set(this: EventTarget, value: unknown) {
      const current =
        typeof value === "function" || (typeof value === "object" && value !== null) ? value : null;
      const known = handlers.get(this);
      if (known) {
        known.current = current;
        return;
      }
      const handler = { current: current as unknown };
      handlers.set(this, handler);
      this.addEventListener(type, (event) => {
        if (typeof handler.current !== "function") return;
        if (handler.current.call(this, event) === false) event.preventDefault();
      });
    },
    enumerable: true,
    configurable: true,
  });
}
