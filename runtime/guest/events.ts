import { uncaught } from "./invocation.ts";

export class Event {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  target: EventTarget | null = null;
  currentTarget: EventTarget | null = null;
  defaultPrevented = false;
  stopped = false;

  constructor(type: string, init?: { bubbles?: boolean; cancelable?: boolean }) {
    this.type = `${type}`;
    this.bubbles = init?.bubbles === true;
    this.cancelable = init?.cancelable === true;
    Object.defineProperty(this, "stopped", { enumerable: false });
  }
  get timeStamp(): number {
    return 0;
  }
  preventDefault(): void {
    if (this.cancelable) this.defaultPrevented = true;
  }
  stopPropagation(): void {}
  stopImmediatePropagation(): void {
    this.stopped = true;
  }
}

export class CustomEvent extends Event {
  readonly detail: unknown;
  constructor(type: string, init?: { bubbles?: boolean; cancelable?: boolean; detail?: unknown }) {
    super(type, init);
    this.detail = init?.detail ?? null;
  }
}

type Callback = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };
interface Listener {
  type: string;
  callback: Callback;
  once: boolean;
}
interface ListenerOptions {
  once?: boolean;
  signal?: EventTarget & { aborted: boolean };
}

export class EventTarget {
  #listeners: Listener[] | undefined;

  addEventListener(type: string, callback: Callback | null, options?: ListenerOptions | boolean): void {
    if (!callback) return;
    const { once, signal } = typeof options === "object" && options ? options : ({} as ListenerOptions);
    if (signal?.aborted) return;
    this.#listeners ??= [];
    for (const known of this.#listeners) if (known.type === type && known.callback === callback) return;
    this.#listeners.push({ type, callback, once: once === true });
    signal?.addEventListener("abort", () => this.removeEventListener(type, callback), { once: true });
  }

  removeEventListener(type: string, callback: Callback | null): void {
    this.#listeners = this.#listeners?.filter((known) => known.type !== type || known.callback !== callback);
  }

  dispatchEvent(event: Event): boolean {
    event.target = event.currentTarget = this;
    for (const listener of this.#listeners ? [...this.#listeners] : []) {
      if (listener.type !== event.type || !this.#listeners?.includes(listener)) continue;
      if (listener.once) this.removeEventListener(listener.type, listener.callback);
      try {
        const { callback } = listener;
        if (typeof callback === "function") callback.call(this, event);
        else callback.handleEvent(event);
      } catch (error) {
        uncaught(error);
      }
      if (event.stopped) break;
    }
    event.currentTarget = null;
    return !event.defaultPrevented;
  }
}
