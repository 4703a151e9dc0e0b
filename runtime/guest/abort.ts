import { defineHandler, Event, EventTarget, trusted } from "./events.ts";
import { setTimeout } from "./timers.ts";

const internal = Symbol();
let fire: (signal: AbortSignal, reason: unknown) => void;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown;
  /** Signals made of this one by `any`: they fire with it. */
  #dependents: AbortSignal[] | undefined;
  /** For a signal made by `any`: what it was made of. */
  #sources: AbortSignal[] | undefined;
  declare onabort: ((event: Event) => unknown) | null;

  static {
    fire = (signal, reason) => {
      if (signal.#aborted) return;
      const why =
        reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
      const all = [signal, ...(signal.#dependents ?? []).filter((dependent) => !dependent.#aborted)];
      // all of them are aborted before the first of their listeners is called
      for (const one of all) {
        one.#aborted = true;
        one.#reason = why;
      }
      for (const one of all) one.dispatchEvent(trusted(new Event("abort")));
    };
  }

  constructor(token?: symbol) {
    if (token !== internal) throw new TypeError("Illegal constructor");
    super();
  }
  get aborted(): boolean {
    return this.#aborted;
  }
  get reason(): unknown {
    return this.#reason;
  }
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(internal);
    fire(signal, reason);
    return signal;
  }
  static timeout(delayMs: number): AbortSignal {
    const delay = Number(delayMs);
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER))
      throw new TypeError("The delay is a number of milliseconds");
    const signal = new AbortSignal(internal);
    setTimeout(() => fire(signal, new DOMException("The operation timed out.", "TimeoutError")), delay);
    return signal;
  }
  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const combined = new AbortSignal(internal);
    const given = [...signals];
    for (const signal of given) {
      if (!(signal instanceof AbortSignal)) throw new TypeError("AbortSignal.any takes signals");
      if (!signal.#aborted || combined.#aborted) continue;
      combined.#aborted = true;
      combined.#reason = signal.#reason;
    }
    if (combined.#aborted) return combined;
    const sources = new Set(given.flatMap((signal) => signal.#sources ?? [signal]));
    combined.#sources = [...sources];
    for (const source of sources) {
      source.#dependents ??= [];
      source.#dependents.push(combined);
    }
    return combined;
  }
}
defineHandler(AbortSignal.prototype, "abort");

export class AbortController {
  readonly #signal = new AbortSignal(internal);
  get signal(): AbortSignal {
    return this.#signal;
  }
  abort(reason?: unknown): void {
    fire(this.#signal, reason);
  }
}
