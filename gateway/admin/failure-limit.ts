import { PlatformError } from "../errors.ts";

const WINDOW_MS = 60_000;
/** Wrong keys from one address in a window. */
const MAX_FAILURES = 20;
/** Addresses that are remembered; of more the oldest are forgotten. */
const MAX_ADDRESSES = 10_000;

/** Slows the guessing of keys down: after 20 wrong ones, an address is not listened to until the minute is over. */
export class FailureLimit {
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** Throws `too_many_failures`. */
  check(address: string): void {
    const entry = this.#failures.get(address);
    if (!entry || entry.count < MAX_FAILURES) return;
    const leftMs = entry.until - performance.now();
    if (leftMs <= 0) {
      this.#failures.delete(address);
      return;
    }
    throw new PlatformError("too_many_failures", "Too many wrong keys came from this address", {
      retryAfterSeconds: Math.ceil(leftMs / 1000),
    });
  }

  failed(address: string): void {
    const now = performance.now();
    const entry = this.#failures.get(address);
    if (entry && entry.until > now) {
      entry.count++;
      return;
    }
    this.#failures.delete(address);
    this.#failures.set(address, { count: 1, until: now + WINDOW_MS });
    for (const [oldest] of this.#failures) {
      if (this.#failures.size <= MAX_ADDRESSES) break;
      this.#failures.delete(oldest);
    }
  }
}
