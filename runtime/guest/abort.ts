import { Event, EventTarget } from "./events.ts";
import { setTimeout } from "./timers.ts";

const internal = Symbol();
let fire: (signal: AbortSignal, reason: unknown) => void;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown;
  onabort: ((event: Event) => unknown) | null = null;

  static {
    fire = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason =
        reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
      const event = new Event("abort");
      signal.onabort?.(event);
      signal.dispatchEvent(event);
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
    const signal = new AbortSignal(internal);
    setTimeout(() => fire(signal, new DOMException("The operation timed out.", "TimeoutError")), delayMs);
    return signal;
  }
  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const combined = new AbortSignal(internal);
    for (const signal of signals) {
      if (signal.aborted) {
        fire(combined, signal.reason);
        break;
      }
      signal.addEventListener("abort", () => fire(combined, signal.reason), { once: true });
    }
    return combined;
  }
}

export class AbortController {
  readonly #signal = new AbortSignal(internal);
  get signal(): AbortSignal {
    return this.#signal;
  }
  abort(reason?: unknown): void {
    fire(this.#signal, reason);
  }
}
