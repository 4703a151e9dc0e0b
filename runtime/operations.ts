import { messageLimits, readFetchRequest, readNumber, readQueryRequest } from "./guest-message.ts";
import { Event, type FetchRequest, type GuestError, Op, type QueryRequest, Refused } from "./protocol.ts";
import { HostError, type HostServices } from "./services.ts";

/** Operations under way at once, and of each kind in one invocation. */
const limits = {
  pending: 1_000,
  timers: 100_000,
  fetches: 50,
  fetchesAtOnce: 6,
  queries: 1_000,
  /** Bytes of request bodies that the host holds for one invocation. */
  heldBytes: 32 * 1024 * 1024,
} as const;
/** Longest delay of a timer, ms: what fits a 32-bit integer. */
const maxDelayMs = 0x7fff_ffff;

/** How an operation ended, for the guest. */
export interface Completion {
  event: typeof Event.complete | typeof Event.reject;
  id: number;
  text: string;
  bytes: Uint8Array;
}

const empty = new Uint8Array(0);

/** The operations that one invocation has started: timers, requests, queries. Disposing cancels all of them. */
export class Operations {
  readonly #services: HostServices;
  readonly #deliver: (completion: Completion) => void;
  #pending = new Map<number, () => void>();
  #nextId = 1;
  #started = { timers: 0, fetches: 0, queries: 0 };
  #fetching = 0;
  #heldBytes = 0;
  #waitingFetches: (() => void)[] = [];

  constructor(services: HostServices, deliver: (completion: Completion) => void) {
    this.#services = services;
    this.#deliver = deliver;
  }

  /** Operations under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Operations that left the sandbox so far. */
  get count(): number {
    return this.#started.timers + this.#started.fetches + this.#started.queries;
  }

  /**
   * Starts an operation: its number, or why not ({@link Refused}).
   *
   * @throws GuestMessageError for a message that the guest library does not send.
   */
  start(op: number, text: Uint8Array, bytes: Uint8Array): number {
    if (this.#pending.size >= limits.pending) return Refused.tooMany;
    switch (op) {
      case Op.timer:
        return ++this.#started.timers > limits.timers ? Refused.tooMany : this.#timer(readNumber(text));
      case Op.fetch: {
        if (++this.#started.fetches > limits.fetches) return Refused.tooMany;
        if (text.length > messageLimits.fetch) return Refused.tooLarge;
        if (this.#heldBytes + bytes.length > limits.heldBytes) return Refused.tooLarge;
        return this.#fetch(readFetchRequest(text), bytes.slice());
      }
      default:
        if (++this.#started.queries > limits.queries) return Refused.tooMany;
        if (text.length > messageLimits.query) return Refused.tooLarge;
        return this.#query(readQueryRequest(text));
    }
  }

  cancel(id: number): void {
    const cancel = this.#pending.get(id);
    this.#pending.delete(id);
    cancel?.();
  }

  [Symbol.dispose](): void {
    const cancels = [...this.#pending.values()];
    this.#pending.clear();
    this.#waitingFetches = [];
    for (const cancel of cancels) cancel();
  }

  #timer(delay: number): number {
    const id = this.#nextId++;
    const timeoutMs = Number.isFinite(delay) ? Math.min(Math.max(delay, 0), maxDelayMs) : 0;
    const timer = setTimeout(
      () => this.#end({ event: Event.complete, id, text: "", bytes: empty }),
      timeoutMs,
    );
    this.#pending.set(id, () => clearTimeout(timer));
    return id;
  }

  #fetch(request: FetchRequest, body: Uint8Array): number {
    this.#heldBytes += body.length;
    return this.#run(async (signal) => {
      if (this.#fetching >= limits.fetchesAtOnce)
        await new Promise<void>((next) => this.#waitingFetches.push(next));
      signal.throwIfAborted();
      this.#fetching++;
      try {
        const response = await this.#services.fetch(request, body, signal);
        return { text: JSON.stringify(response.head), bytes: response.body };
      } finally {
        this.#fetching--;
        this.#heldBytes -= body.length;
        this.#waitingFetches.shift()?.();
      }
    });
  }

  #query(request: QueryRequest): number {
    return this.#run(async (signal) => {
      const response = await this.#services.query(request, signal);
      return { text: JSON.stringify(response), bytes: empty };
    });
  }

  #run(work: (signal: AbortSignal) => Promise<{ text: string; bytes: Uint8Array }>): number {
    const id = this.#nextId++;
    const controller = new AbortController();
    this.#pending.set(id, () => controller.abort());
    work(controller.signal).then(
      ({ text, bytes }) => this.#end({ event: Event.complete, id, text, bytes }),
      (cause) =>
        this.#end({ event: Event.reject, id, text: JSON.stringify(guestError(cause)), bytes: empty }),
    );
    return id;
  }

  #end(completion: Completion): void {
    if (this.#pending.delete(completion.id)) this.#deliver(completion);
  }
}

/** What a guest learns of an error: a {@link HostError} in its own words, of others only that there was one. */
function guestError(cause: unknown): GuestError {
  if (cause instanceof HostError) return { name: cause.name, message: cause.message, code: cause.code };
  return { name: "Error", message: "the host could not do this", code: "host_error" };
}
