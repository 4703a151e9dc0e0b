import type { InvocationMetrics, Outcome } from "../runtime/invocation.ts";
import type { ErrorCode } from "./errors.ts";

/** Upper bounds of the histogram of durations, seconds; one more bucket has what is above. */
export const DURATION_BUCKETS_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** What has been counted for one function. */
export interface FunctionCounts {
  outcomes: Partial<Record<Outcome["kind"], number>>;
  refusals: Partial<Record<ErrorCode, number>>;
  /** Executions by duration, each bucket without those below it. */
  durations: number[];
  wallMs: number;
  cpuMs: number;
}

/** Counts executions and refusals by function: numbers that are added to, and read when somebody asks. */
export class ExecutionCounts {
  readonly #functions = new Map<string, FunctionCounts>();

  executed(name: string, outcome: Outcome["kind"], used: Pick<InvocationMetrics, "wallMs" | "cpuMs">): void {
    const { wallMs } = used;
    const cpuMs = Math.max(0, used.cpuMs);
    const counts = this.#of(name);
    counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1;
    counts.wallMs += wallMs;
    counts.cpuMs += cpuMs;
    let bucket = 0;
    while (bucket < DURATION_BUCKETS_SECONDS.length && wallMs > DURATION_BUCKETS_SECONDS[bucket]! * 1e3)
      bucket++;
    counts.durations[bucket]!++;
  }

  refused(name: string, code: ErrorCode, count = 1): void {
    const { refusals } = this.#of(name);
    refusals[code] = (refusals[code] ?? 0) + count;
  }

  /** Adds what has been counted elsewhere. */
  add(name: string, more: FunctionCounts): void {
    const counts = this.#of(name);
    addTo(counts.outcomes, more.outcomes);
    addTo(counts.refusals, more.refusals);
    for (const [i, count] of more.durations.entries()) counts.durations[i]! += count;
    counts.wallMs += more.wallMs;
    counts.cpuMs += more.cpuMs;
  }

  forget(name: string): void {
    this.#functions.delete(name);
  }

  has(name: string): boolean {
    return this.#functions.has(name);
  }

  get size(): number {
    return this.#functions.size;
  }

  [Symbol.iterator](): IterableIterator<[string, FunctionCounts]> {
    return this.#functions.entries();
  }

  #of(name: string): FunctionCounts {
    let counts = this.#functions.get(name);
    if (!counts) {
      const durations = Array<number>(DURATION_BUCKETS_SECONDS.length + 1).fill(0);
      counts = { outcomes: {}, refusals: {}, durations, wallMs: 0, cpuMs: 0 };
      this.#functions.set(name, counts);
    }
    return counts;
  }
}

function addTo<K extends string>(sums: Partial<Record<K, number>>, more: Partial<Record<K, number>>): void {
  for (const key in more) sums[key] = (sums[key] ?? 0) + (more[key] ?? 0);
}
