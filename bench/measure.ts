import { Bench } from "tinybench";

export interface Task {
  name: string;
  run(): unknown;
}

/** What a task took, ms. */
export interface Timing {
  name: string;
  medianMs: number;
  p99Ms: number;
  samples: number;
}

export interface MeasureOptions {
  /** How often each task has its turn: what disturbs the machine for a while then meets all of them. Default 5. */
  rounds?: number;
  /** Time of one turn, ms. Default 300. */
  timeMs?: number;
  /** Least number of samples in one turn. Default 10. */
  iterations?: number;
  /** Time before each turn that does not count, ms. Default 100. */
  warmupMs?: number;
}

/** Times tasks, turn by turn, and puts the samples of all turns together. A task that throws ends the measurement. */
export async function measure(tasks: Task[], options: MeasureOptions = {}): Promise<Timing[]> {
  const { rounds = 5, timeMs = 300, iterations = 10, warmupMs = 100 } = options;
  const samples = new Map<string, number[]>(tasks.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({
      time: timeMs,
      iterations,
      warmupTime: warmupMs,
      warmupIterations: 2,
      retainSamples: true,
      throws: true,
    });
    for (const { name, run } of tasks) bench.add(name, run);
    for (const task of await bench.run()) {
      const { result } = task;
      if (result.state !== "completed") throw new Error(`${task.name}: ${result.state}`);
      const all = samples.get(task.name)!;
      for (const sample of result.latency.samples!) all.push(sample);
    }
  }
  return tasks.map(({ name }) => {
    const sorted = Float64Array.from(samples.get(name)!).sort();
    return { name, medianMs: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99), samples: sorted.length };
  });
}

/** Of values in ascending order: the one that this share of them does not exceed. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle one of a few values. */
export function median(values: number[]): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}
