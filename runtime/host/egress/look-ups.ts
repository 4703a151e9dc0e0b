import { Slots } from "../slots.ts";
import type { Resolve } from "./target.ts";

/**
 * Look-ups of one tenant at once. Each holds one of the four threads of the host's pool, for many seconds where the name's server does not
 * answer, and whether or not anyone still waits.
 */
const maxAtOnce = 2;

/** The name look-ups of one tenant. */
export class LookUps {
  readonly #resolve: Resolve;
  readonly #slots = new Slots(maxAtOnce);

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
      return await Promise.race([this.#slots.run(() => this.#resolve(hostname), signal), stopped]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}
