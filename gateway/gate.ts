import type { Cancellation } from "../runtime/cancellation.ts";
import { PlatformError } from "./errors.ts";

/** Lends slots of limits that hold over several processes. */
export interface Lender {
  /** So many requests wait for a slot of `key` here. */
  want(key: string, count: number): void;
  /** Slots that are not used here any more; `wanted` requests still wait. */
  giveBack(key: string, count: number, wanted: number): void;
}

export interface GateOptions {
  key: string;
  /** How long a request may wait for a slot, ms. 0: no waiting. */
  queueTimeoutMs: number;
  /** How many may wait. */
  queueLimit: number;
  /** Whose slots these are; none: this process's own. */
  lender: Lender | undefined;
  /** Counts those who wait, of several gates together. */
  waiting: { count: number };
  refusal(limit: number): PlatformError;
}

/** Gives the slot back; further calls do nothing. */
export type Release = () => void;

/** A slot that is to be had elsewhere is waited for by those, too, who are not to queue, ms. */
const LOAN_MS = 100;

interface Waiter {
  admit(): void;
  refuse(error: PlatformError): void;
}

/**
 * Executions of one kind in flight, counted and bounded, with a short first-come queue in front. The count is exact: a slot is taken
 * synchronously and given back once. Lent slots are kept for the next requests until somebody else needs them.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting = new Set<Waiter>();
  #active = 0;
  #limit = 0;
  /** Slots that are this process's to use, taken ones included. */
  #held = 0;
  /** Requests for which slots were asked. */
  #asked = 0;
  /** Slots that others wait for: one that falls idle is theirs, and so is one of those above `#keep` that is given back. */
  #owed = 0;
  #keep = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#waiting.size;
  }

  /** Nothing would be lost with it. */
  get unused(): boolean {
    return this.#active === 0 && this.#waiting.size === 0 && (this.#held === 0 || !this.#options.lender);
  }

  /** Whether {@link acquire} would refuse at once. */
  isFull(limit: number): boolean {
    const { queueTimeoutMs, queueLimit, lender } = this.#options;
    const held = lender ? this.#held : limit;
    if (this.#active < held) return false;
    const mayWait = queueTimeoutMs === 0 ? 0 : queueLimit;
    // Slots that other processes hold may come over.
    return this.#waiting.size >= Math.max(mayWait, limit - held);
  }

  /**
   * One of `limit` slots; waits in the queue when all are taken. Throws the refusal when the queue is full or the wait too long, and
   * `client_closed` when `signal` fires first.
   */
  acquire(limit: number, signal?: Cancellation): Release | Promise<Release> {
    if (signal?.aborted) throw clientClosed();
    this.#limit = limit;
    if (!this.#options.lender) {
      this.#held = limit;
      // A raised limit frees slots for those already waiting, who go first.
      this.#admitWaiting();
    }
    if (this.#active < this.#held) return this.#take();
    if (this.isFull(limit)) throw this.#options.refusal(limit);
    return this.#wait(signal);
  }

  /** Slots have been lent. */
  grant(count: number): void {
    this.#held += count;
    this.#asked = 0;
    this.#admitWaiting();
    this.#ask();
  }

  /** Others wait for `count` slots, and are to have those above `keep`. */
  owe(count: number, keep: number): void {
    this.#owed = count;
    this.#keep = keep;
    this.#surrender();
  }

  refuseWaiting(error: PlatformError): void {
    for (const waiter of this.#waiting) waiter.refuse(error);
  }

  #take(): Release {
    this.#active++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#active--;
      this.#surrender();
      this.#admitWaiting();
    };
  }

  #admitWaiting(): void {
    for (const waiter of this.#waiting) {
      if (this.#active >= this.#held) return;
      waiter.admit();
    }
  }

  #surrender(): void {
    let count = 0;
    while (
      this.#owed > 0 &&
      this.#held > this.#active &&
      (this.#waiting.size === 0 || this.#held > this.#keep)
    ) {
      this.#held--;
      this.#owed--;
      count++;
    }
    if (count === 0) return;
    const wanted = this.#waiting.size;
    this.#asked = wanted;
    this.#options.lender?.giveBack(this.#options.key, count, wanted);
  }

  /** For the first that waits, and whenever they have doubled. */
  #ask(): void {
    const wanted = this.#waiting.size;
    if (wanted <= this.#asked) return;
    this.#asked = wanted * 2 - 1;
    this.#options.lender?.want(this.#options.key, wanted);
  }

  #wait(signal: Cancellation | undefined): Promise<Release> {
    const { queueTimeoutMs, lender, refusal } = this.#options;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter);
        this.#options.waiting.count--;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        admit: () => {
          leave();
          resolve(this.#take());
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = () => waiter.refuse(clientClosed());
      const waitMs = lender ? Math.max(queueTimeoutMs, LOAN_MS) : queueTimeoutMs;
      const timer = setTimeout(() => waiter.refuse(refusal(this.#limit)), waitMs);
      signal?.addEventListener("abort", onAbort);
      this.#waiting.add(waiter);
      this.#options.waiting.count++;
      this.#ask();
    });
  }
}

const clientClosed = () => new PlatformError("client_closed", "The client went away");
