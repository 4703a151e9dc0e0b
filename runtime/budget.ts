import { GrowAnswer, SliceAnswer } from "../compiler/wasm/index.ts";
import { pageSize } from "./image.ts";

/** How long a guest runs before it asks its host, ms: the sharpness of time-outs. */
const sliceMs = 0.2;
/** How long a guest runs before others on its thread get their turn, ms. */
const quantumMs = 0.5;
/** Fuel of a slice: about one unit for each instruction. */
const minSlice = 100_000;
const maxSlice = 400_000_000;
/** Fuel that a guest of which nothing is known yet uses in a millisecond. */
const firstFuelPerMs = 50_000_000;

/** Why a sandbox was stopped. */
export type StopReason = "timedOut" | "outOfCpu" | "outOfFuel" | "outOfMemory" | "aborted" | "finished";

/** What a sandbox may use. */
export interface BudgetLimits {
  timeoutMs: number;
  /** Time inside the sandbox, ms; null for no bound but the deadline. */
  cpuMs: number | null;
  memoryLimitBytes: number;
  fuel: number | null;
}

/** The counters inside an instance. */
export interface Meters {
  /** What is left of the slice, below zero when it has ended. */
  fuel: { value: bigint };
  /** Size of the linear memory as the guest sees it, pages. */
  pages: { value: number };
  /** Grows the real memory, which may be larger than what the guest sees. */
  ensurePages(pages: number): boolean;
}

/**
 * Time, fuel and memory of one run of a sandbox. Totals are exact whatever the length of slices; that length follows the measured
 * speed, so that a slice takes about 0.2 ms and never reaches far beyond the deadline.
 */
export class Budget {
  readonly limits: BudgetLimits;
  readonly deadline: number;
  /** Set once: the first reason to stop stays. */
  stopReason: StopReason | null = null;
  /** Fuel used in slices that have ended. */
  fuelUsed = 0;
  /** Time inside the sandbox, ms. */
  cpuMs = 0;
  peakPages = 0;
  #meters: Meters;
  #slice = 0;
  #fuelPerMs = firstFuelPerMs;
  #sliceBegan = 0;
  #turnBegan = 0;
  #mayYield = false;
  #yieldRequested = false;

  constructor(limits: BudgetLimits, meters: Meters, now: number) {
    this.limits = limits;
    this.deadline = now + limits.timeoutMs;
    this.#meters = meters;
  }

  /** Counts in other meters from now on; nothing may be running in the old ones. */
  measure(meters: Meters): void {
    this.#meters = meters;
  }

  /** Before the guest is entered. `mayYield`: the entry is one that can be suspended. */
  enter(mayYield: boolean): void {
    this.#mayYield = mayYield;
    this.#turnBegan = performance.now();
    this.#beginSlice(this.#turnBegan);
  }

  /** After the guest has returned, trapped or suspended. */
  leave(): void {
    this.#account(performance.now());
    this.peakPages = Math.max(this.peakPages, this.#meters.pages.value);
  }

  /** A host call's price. A guest that can't pay it is stopped at its next check. */
  charge(fuel: number): void {
    this.fuelUsed += fuel;
    const { fuel: counter } = this.#meters;
    const left = Number(counter.value);
    if (this.limits.fuel === null || this.fuelUsed + this.#slice - left <= this.limits.fuel) return;
    this.endSlice();
  }

  /** Ends the slice at the guest's next check: the thread has been used for something else. */
  endSlice(): void {
    const { fuel: counter } = this.#meters;
    const left = Number(counter.value);
    if (left < 0) return;
    // what was left of it has not been used
    this.#slice -= left + 1;
    counter.value = -1n;
  }

  /** The guest gives the thread away at its next check, however much of its turn is left. */
  requestYield(): void {
    this.#yieldRequested = true;
    this.endSlice();
  }

  stop(reason: StopReason): void {
    this.stopReason ??= reason;
  }

  /** The guest's slice has ended. */
  sliceEnded(): number {
    const now = performance.now();
    this.#account(now);
    if (this.#mustStop(now)) return SliceAnswer.trap;
    if (this.#mayYield && (this.#yieldRequested || now - this.#turnBegan >= quantumMs)) {
      this.#yieldRequested = false;
      return SliceAnswer.yield;
    }
    this.#beginSlice(now);
    return SliceAnswer.go;
  }

  /** The guest goes on after others had their turn. */
  resumed(): number {
    const now = performance.now();
    if (this.#mustStop(now)) return SliceAnswer.trap;
    this.#turnBegan = now;
    this.#beginSlice(now);
    return SliceAnswer.go;
  }

  /** `memory.grow` by `delta` pages: the size before, or a trap at the limit. */
  grow(delta: number): number {
    const current = this.#meters.pages.value;
    const wanted = current + (delta >>> 0);
    if (wanted * pageSize > this.limits.memoryLimitBytes || !this.#meters.ensurePages(wanted)) {
      this.stop("outOfMemory");
      return GrowAnswer.trap;
    }
    this.#meters.pages.value = wanted;
    return current;
  }

  /** A guest that has answered goes on to its end, so that its fuel does not depend on where a slice ended, but not beyond its limits. */
  #mustStop(now: number): boolean {
    const limit = this.#outOfFuel()
      ? "outOfFuel"
      : now >= this.deadline
        ? "timedOut"
        : this.#cpuLeft() <= 0
          ? "outOfCpu"
          : null;
    if (limit !== null) this.stop(limit);
    return limit !== null || (this.stopReason !== null && this.stopReason !== "finished");
  }

  #cpuLeft(): number {
    return this.limits.cpuMs === null ? Number.POSITIVE_INFINITY : this.limits.cpuMs - this.cpuMs;
  }

  #outOfFuel(): boolean {
    return this.limits.fuel !== null && this.fuelUsed > this.limits.fuel;
  }

  #beginSlice(now: number): void {
    const left = Math.max(0, Math.min(sliceMs, this.deadline - now, this.#cpuLeft()));
    const wanted = Math.round(this.#fuelPerMs * left);
    let slice = Math.min(maxSlice, Math.max(minSlice, wanted));
    if (this.limits.fuel !== null) slice = Math.min(slice, Math.max(0, this.limits.fuel - this.fuelUsed));
    this.#slice = slice;
    this.#sliceBegan = now;
    this.#meters.fuel.value = BigInt(slice);
  }

  #account(now: number): void {
    const used = this.#slice - Number(this.#meters.fuel.value);
    const elapsed = now - this.#sliceBegan;
    this.fuelUsed += used;
    this.cpuMs += elapsed;
    // Only slices long enough to measure change the estimate, and none changes it by more than half.
    if (elapsed > sliceMs / 8) {
      const measured = used / elapsed;
      this.#fuelPerMs = Math.min(this.#fuelPerMs * 1.5, Math.max(this.#fuelPerMs / 4, measured));
    }
    this.#slice = 0;
    this.#meters.fuel.value = 0n;
    this.#sliceBegan = now;
  }
}
