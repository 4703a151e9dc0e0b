import type { StopReason } from "./budget.ts";
import type { Parked, Scheduler } from "./scheduler.ts";

/** How long a guest runs before others on its thread get their turn, ms. */
const quantumMs = 0.5;
/** How long it may run in one piece where it can't be suspended, ms. */
const heldMs = 100;

/** Deadline, CPU time and turns of a guest whose fuel and memory a `MeterHost` bounds. */
export class Turns implements Parked {
  /** Set once: the first reason to stop stays. */
  stopReason: StopReason | null = null;
  /** Time inside the guest, ms. */
  cpuMs = 0;
  /** It ran for too long where it can't be suspended. */
  held = false;
  readonly #deadline: number;
  readonly #cpuLimitMs: number;
  readonly #scheduler: Scheduler;
  #mayYield = false;
  readonly #functionName: string;
  #since = 0;
  #turnBegan = 0;
  /** When the guest came to where it can't be suspended. */
  #heldSince = 0;

  /** `began`: the time that the deadline counts from. */
  constructor(
    limits: { timeoutMs: number; cpuMs: number | null },
    scheduler: Scheduler,
    functionName: string,
    began: number,
  ) {
    this.#deadline = began + limits.timeoutMs;
    this.#cpuLimitMs = limits.cpuMs ?? Number.POSITIVE_INFINITY;
    this.#scheduler = scheduler;
    this.#functionName = functionName;
  }

  get stopped(): boolean {
    return this.stopReason !== null;
  }

  /** Whether the guest may be suspended where it is: it was entered by a promise, and no frame of the host's lies on its stack. */
  get mayYield(): boolean {
    return this.#mayYield;
  }

  set mayYield(may: boolean) {
    if (!may) this.#heldSince = performance.now();
    this.#mayYield = may;
  }

  stop(reason: StopReason): void {
    this.stopReason ??= reason;
  }

  /** Before the guest runs, or work is done for it. */
  enter(): void {
    this.#since = performance.now();
    this.#turnBegan = this.#since;
    this.#heldSince = this.#since;
  }

  /** After it has returned, trapped or been suspended. */
  leave(): void {
    this.#account(performance.now());
  }

  /** The guest's slice of fuel has ended. */
  sliceEnded(): "go" | "trap" | "yield" {
    const now = performance.now();
    this.#account(now);
    if (this.#mustStop(now)) return "trap";
    if (this.#mayYield) return now - this.#turnBegan >= quantumMs ? "yield" : "go";
    this.held = now - this.#heldSince > heldMs;
    return this.held ? "trap" : "go";
  }

  /** Lets others run. */
  async yielded(): Promise<"go" | "trap"> {
    this.leave();
    this.#scheduler.give();
    await this.#scheduler.park(this.#functionName, this);
    await this.#scheduler.take(this.#functionName);
    this.enter();
    return this.#mustStop(this.#since) ? "trap" : "go";
  }

  /** Gives the thread away until something has happened. */
  async pause<T>(something: Promise<T>): Promise<T> {
    this.leave();
    this.#scheduler.give();
    try {
      return await something;
    } finally {
      await this.#scheduler.take(this.#functionName);
      this.enter();
    }
  }

  #mustStop(now: number): boolean {
    if (now >= this.#deadline) this.stop("timedOut");
    else if (this.cpuMs >= this.#cpuLimitMs) this.stop("outOfCpu");
    return this.stopReason !== null;
  }

  #account(now: number): void {
    this.cpuMs += now - this.#since;
    this.#since = now;
  }
}
