import type { Cancellation } from "../runtime/cancellation.ts";
import { overloaded, PlatformError } from "./errors.ts";
import { Gate, type Lender, type Release } from "./gate.ts";

export type { Release } from "./gate.ts";

export interface AdmissionOptions {
  /** How long a request may wait for a slot, ms. 0: no waiting. */
  queueTimeoutMs: number;
  /** How many may wait per function. */
  queueLimit: number;
  /** Executions of all functions. */
  limit: number;
  /** How many may wait in all. */
  totalQueueLimit: number;
  /** Who lends the slots, when the limits hold over several processes. Default: they are this process's own. */
  lender?: Lender | undefined;
}

/** Key of the slots that every execution takes besides its function's; no function has this name. */
export const ALL_FUNCTIONS = "";

/** Executions in flight, bounded per function and in all (R2). */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #gates = new Map<string, Gate>();
  readonly #total: Gate;
  readonly #waiting = { count: 0 };
  readonly #idle: (() => void)[] = [];
  #draining = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { limit, totalQueueLimit, queueTimeoutMs, lender } = options;
    const allBusy = overloaded(`All ${limit} executions of the server are busy`);
    this.#total = new Gate({
      ...{ key: ALL_FUNCTIONS, queueTimeoutMs, queueLimit: totalQueueLimit, lender },
      waiting: this.#waiting,
      refusal: () => allBusy,
    });
  }

  /**
   * A slot of function `key`, of which there are `limit`. Waits in the queue when all are taken. Throws
   * `concurrency_limit` when the queue is full or the wait too long, `overloaded` when that is so for all functions together and when
   * draining, and `client_closed` when `signal` fires first.
   */
  acquire(key: string, limit: number, signal?: Cancellation): Release | Promise<Release> {
    const refusal = this.#refusal();
    if (refusal) throw refusal;
    const slot = this.#gate(key).acquire(limit, signal);
    if (typeof slot !== "function") return this.#waited(key, slot, signal);
    return this.#withTotal(key, slot, signal);
  }

  /** What {@link acquire} would throw at once. Costs next to nothing. */
  refusal(key: string, limit: number): PlatformError | undefined {
    if (this.#gates.get(key)?.isFull(limit)) return concurrencyLimit(limit);
    return this.#refusal();
  }

  /** Executions in flight: of one function, or all. */
  active(key?: string): number {
    return key === undefined ? this.#total.active : (this.#gates.get(key)?.active ?? 0);
  }

  /** The same for each function that has any. */
  activeByKey(): Record<string, number> {
    const active: Record<string, number> = {};
    for (const [key, gate] of this.#gates) if (gate.active > 0) active[key] = gate.active;
    return active;
  }

  /** Requests waiting for a slot: of one function, or all. */
  queued(key?: string): number {
    return key === undefined ? this.#waiting.count : (this.#gates.get(key)?.queued ?? 0);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Slots have been lent. */
  grant(key: string, count: number): void {
    (key === ALL_FUNCTIONS ? this.#total : this.#gate(key)).grant(count);
  }

  /** Others wait for `count` slots, and are to have those above `keep`. */
  owe(key: string, count: number, keep: number): void {
    (key === ALL_FUNCTIONS ? this.#total : this.#gate(key)).owe(count, keep);
  }

  /** Admits nobody from now on, refuses those who wait, and resolves when nothing is in flight. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const gate of [this.#total, ...this.#gates.values()]) gate.refuseWaiting(draining);
    if (this.#total.active === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #refusal(): PlatformError | undefined {
    if (this.#draining) return draining;
    if (this.#waiting.count >= this.#options.totalQueueLimit) return tooManyWaiting;
    return undefined;
  }

  #gate(key: string): Gate {
    let gate = this.#gates.get(key);
    if (!gate) {
      const { queueTimeoutMs, queueLimit, lender } = this.#options;
      gate = new Gate({
        ...{ key, queueTimeoutMs, queueLimit, lender },
        waiting: this.#waiting,
        refusal: concurrencyLimit,
      });
      this.#gates.set(key, gate);
    }
    return gate;
  }

  async #waited(key: string, slot: Promise<Release>, signal: Cancellation | undefined): Promise<Release> {
    return this.#withTotal(key, await slot, signal);
  }

  /** The function's slot is had; now one of all. */
  #withTotal(key: string, own: Release, signal: Cancellation | undefined): Release | Promise<Release> {
    const both = (total: Release) => () => {
      own();
      total();
      if (this.#gates.get(key)?.unused) this.#gates.delete(key);
      if (this.#total.active === 0) for (const resolve of this.#idle.splice(0)) resolve();
    };
    try {
      const total = this.#total.acquire(this.#options.limit, signal);
      if (typeof total === "function") return both(total);
      return total.then(both, (error) => {
        own();
        throw error;
      });
    } catch (error) {
      own();
      throw error;
    }
  }
}

const concurrencyLimits = new Map<number, PlatformError>();

/** The same one for the same limit: who refuses many requests has no time to make an error for each. */
function concurrencyLimit(limit: number): PlatformError {
  let error = concurrencyLimits.get(limit);
  if (!error) {
    const message = `All ${limit} executions of this function are busy`;
    error = new PlatformError("concurrency_limit", message, { retryAfterSeconds: 1 });
    concurrencyLimits.set(limit, error);
  }
  return error;
}

const tooManyWaiting = overloaded("Too many requests are waiting");
const draining = overloaded("The server is shutting down");
