import { PlatformError } from "./errors.ts";

export interface AdmissionOptions {
  /** How long a request may wait for a slot, ms. 0: no waiting. */
  queueTimeoutMs: number;
  /** How many may wait per function. */
  queueLimit: number;
}

interface Waiter {
  admit(): void;
  refuse(error: PlatformError): void;
}

class Gate {
  active = 0;
  limit = 1;
  readonly waiting = new Set<Waiter>();
}

/** Gives the slot back; further calls do nothing. */
export type Release = () => void;

/**
 * Executions in flight, counted and bounded per function, with a short first-come queue in front (R2).
 * The count is exact: a slot is taken synchronously and given back once.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #gates = new Map<string, Gate>();
  readonly #idle: (() => void)[] = [];
  #active = 0;
  #draining = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * A slot of function `key`, of which there are `limit`. Waits in the queue when all are taken. Throws
   * `concurrency_limit` when the queue is full or the wait too long, `overloaded` when draining, and
   * `client_closed` when `signal` fires first.
   */
  acquire(key: string, limit: number, signal?: AbortSignal): Release | Promise<Release> {
    if (this.#draining) throw draining();
    if (signal?.aborted) throw new PlatformError("client_closed", "The client went away");
    const gate = this.#gate(key);
    gate.limit = limit;
    // A raised limit frees slots for those already waiting, who go first.
    this.#admitWaiting(gate);
    if (gate.active < gate.limit) return this.#take(key, gate);
    if (gate.waiting.size >= this.#options.queueLimit || this.#options.queueTimeoutMs === 0) {
      throw concurrencyLimit(limit);
    }
    return this.#wait(key, gate, signal);
  }

  /** Executions in flight: of one function, or all. */
  active(key?: string): number {
    return key === undefined ? this.#active : (this.#gates.get(key)?.active ?? 0);
  }

  /** The same for each function that has any. */
  activeByKey(): Record<string, number> {
    const active: Record<string, number> = {};
    for (const [key, gate] of this.#gates) if (gate.active > 0) active[key] = gate.active;
    return active;
  }

  /** Requests waiting for a slot: of one function, or all. */
  queued(key?: string): number {
    if (key !== undefined) return this.#gates.get(key)?.waiting.size ?? 0;
    let sum = 0;
    for (const gate of this.#gates.values()) sum += gate.waiting.size;
    return sum;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Admits nobody from now on, refuses those who wait, and resolves when nothing is in flight. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const gate of this.#gates.values()) {
      for (const waiter of gate.waiting) waiter.refuse(draining());
    }
    if (this.#active === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #gate(key: string): Gate {
    let gate = this.#gates.get(key);
    if (!gate) {
      gate = new Gate();
      this.#gates.set(key, gate);
    }
    return gate;
  }

  #take(key: string, gate: Gate): Release {
    gate.active++;
    this.#active++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      gate.active--;
      this.#active--;
      this.#admitWaiting(gate);
      if (gate.active === 0 && gate.waiting.size === 0) this.#gates.delete(key);
      if (this.#active === 0) for (const resolve of this.#idle.splice(0)) resolve();
    };
  }

  #admitWaiting(gate: Gate): void {
    for (const waiter of gate.waiting) {
      if (gate.active >= gate.limit) return;
      waiter.admit();
    }
  }

  #wait(key: string, gate: Gate, signal: AbortSignal | undefined): Promise<Release> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        gate.waiting.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        admit: () => {
          leave();
          resolve(this.#take(key, gate));
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = () => waiter.refuse(new PlatformError("client_closed", "The client went away"));
      const timer = setTimeout(
        () => waiter.refuse(concurrencyLimit(gate.limit)),
        this.#options.queueTimeoutMs,
      );
      signal?.addEventListener("abort", onAbort, { once: true });
      gate.waiting.add(waiter);
    });
  }
}

function concurrencyLimit(limit: number): PlatformError {
  return new PlatformError("concurrency_limit", `All ${limit} executions of this function are busy`, {
    retryAfterSeconds: 1,
  });
}

function draining(): PlatformError {
  return new PlatformError("overloaded", "The server is shutting down", { retryAfterSeconds: 1 });
}
