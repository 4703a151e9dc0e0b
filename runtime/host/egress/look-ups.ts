import type { Resolve } from "./target.ts";

/**
 * Look-ups of one tenant at once. Each holds one of the four threads of the host's pool, for many seconds where the name's server does not
 * answer, and whether or not anyone still waits.
 */
const maxAtOnce = 2;

/** The name look-ups of one tenant. */
export class LookUps {
  readonly #resolve: Resolve;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** Resolves a name when it is its turn. Rejects with the signal's reason when that comes first. */
  async resolve(hostname: string, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      if (this.#running >= maxAtOnce) await Promise.race([this.#turn(signal), stopped]);
      return await Promise.race([this.#run(hostname), stopped]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => this.#waiting.delete(resolve), { once: true });
    });
  }

  async #run(hostname: string): Promise<string[]> {
    this.#running++;
    try {
      return await this.#resolve(hostname);
    } finally {
      this.#running--;
      const [next] = this.#waiting;
      if (next) {
        this.#waiting.delete(next);
        next();
      }
    }
  }
}
