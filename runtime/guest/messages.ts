import { Op } from "../protocol.ts";
import {
  defineHandler,
  Event,
  type EventInit,
  EventTarget,
  globalTarget,
  hasListeners,
  trusted,
} from "./events.ts";
import { start } from "./host.ts";
import { interceptErrors, uncaught } from "./invocation.ts";

export class ErrorEvent extends Event {
  readonly #init: { message?: string; filename?: string; lineno?: number; colno?: number; error?: unknown };
  constructor(
    type: string,
    init: EventInit & {
      message?: string;
      filename?: string;
      lineno?: number;
      colno?: number;
      error?: unknown;
    } = {},
  ) {
    super(type, init);
    this.#init = init;
  }
  get message(): string {
    return `${this.#init.message ?? ""}`;
  }
  get filename(): string {
    return `${this.#init.filename ?? ""}`;
  }
  get lineno(): number {
    return this.#init.lineno ?? 0;
  }
  get colno(): number {
    return this.#init.colno ?? 0;
  }
  get error(): unknown {
    return this.#init.error;
  }
}

/** An error that nobody catches: the invocation's, unless a listener prevents that. */
export function reportError(error: unknown): void {
  uncaught(error);
}

let reporting = false;
interceptErrors((error) => {
  // a listener that fails is not asked about that
  if (reporting || !hasListeners(globalTarget, "error")) return false;
  reporting = true;
  const message = error instanceof Error ? error.message : `${error as string}`;
  const event = trusted(new ErrorEvent("error", { error, message, cancelable: true }));
  const handled = !globalTarget.dispatchEvent(event);
  reporting = false;
  return handled;
});

interface MessageInit extends EventInit {
  data?: unknown;
  origin?: string;
  lastEventId?: string;
  source?: unknown;
  ports?: Iterable<MessagePort>;
}

export class MessageEvent extends Event {
  readonly #init: MessageInit;
  readonly #ports: readonly MessagePort[];
  constructor(type: string, init: MessageInit = {}) {
    super(type, init);
    this.#init = init;
    this.#ports = Object.freeze([...(init.ports ?? [])]);
  }
  get data(): unknown {
    return this.#init.data ?? null;
  }
  get origin(): string {
    return this.#init.origin ?? "";
  }
  get lastEventId(): string {
    return this.#init.lastEventId ?? "";
  }
  get source(): unknown {
    return this.#init.source ?? null;
  }
  get ports(): readonly MessagePort[] {
    return this.#ports;
  }
}

const internal = Symbol();
let entangle: (one: MessagePort, other: MessagePort) => void;

/** Two ends inside of one sandbox: messages are cloned and delivered after the microtasks. */
export class MessagePort extends EventTarget {
  #other: MessagePort | null = null;
  #queue: unknown[] = [];
  #started = false;
  #scheduled = false;
  declare onmessage: ((event: Event) => unknown) | null;

  static {
    entangle = (one, other) => {
      one.#other = other;
      other.#other = one;
    };
  }

  constructor(token: symbol) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    super();
  }
  postMessage(message: unknown, options?: Transferable[] | StructuredSerializeOptions): void {
    const transfer = Array.isArray(options) ? options : (options?.transfer ?? []);
    const data = structuredClone(message, { transfer });
    if (this.#other) this.#other.#receive(data);
  }
  #receive(data: unknown): void {
    this.#queue.push(data);
    this.#deliver();
  }
  #deliver(): void {
    if (!this.#started || this.#scheduled || this.#queue.length === 0) return;
    this.#scheduled = true;
    start("postMessage", Op.turn, "", undefined, () => {
      this.#scheduled = false;
      const data = this.#queue.shift();
      this.dispatchEvent(new MessageEvent("message", { data }));
      this.#deliver();
    });
  }
  start(): void {
    this.#started = true;
    this.#deliver();
  }
  close(): void {
    if (this.#other !== null) this.#other.#other = null;
    this.#other = null;
  }
}
defineHandler(MessagePort.prototype, "message");
{
  const { get, set } = Object.getOwnPropertyDescriptor(MessagePort.prototype, "onmessage")!;
  Object.defineProperty(MessagePort.prototype, "onmessage", {
    get: get!,
    set(this: MessagePort, value) {
      set!.call(this, value);
      this.start();
    },
  });
}

export class MessageChannel {
  readonly #ports = [new MessagePort(internal), new MessagePort(internal)] as const;
  constructor() {
    entangle(...this.#ports);
  }
  get port1(): MessagePort {
    return this.#ports[0];
  }
  get port2(): MessagePort {
    return this.#ports[1];
  }
}
