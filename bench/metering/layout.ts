import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Treatment } from "./webassembly.ts";
import type { Group } from "./workloads.ts";

/**
 * `layout.ts group padding`: the group's workloads by turns plain, metered and with resetting only, in threads of one process; prints how
 * much longer than the plain one each took, as JSON: `{ [workload]: { fuel, none } }`.
 */
const [group, padding, repetitions] = [process.argv[2] as Group, Number(process.argv[3]), 15];
const modes = ["plain", "fuel", "none"] as const;

const threads = [];
for (const mode of modes) {
  const treatment: Treatment = { mode, padding };
  const worker = new Worker(new URL("thread.ts", import.meta.url), { workerData: { group, treatment } });
  const [names] = (await once(worker, "message")) as [string[]];
  threads.push({ mode, worker, names });
}

async function run(worker: Worker, name: string): Promise<{ ms: number; result: unknown }> {
  worker.postMessage(name);
  const [answer] = await once(worker, "message");
  return answer as { ms: number; result: unknown };
}

// long enough for every function that matters to be compiled by the optimising tier
for (let i = 0; i < 12; i++) {
  for (const name of threads[0]!.names) for (const { worker } of threads) await run(worker, name);
}
await new Promise((resolve) => setTimeout(resolve, 1_500));

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;
const ratios: Record<string, Record<string, number>> = {};
for (const name of threads[0]!.names) {
  const times: Record<string, number[]> = { plain: [], fuel: [], none: [] };
  for (let i = -4; i < repetitions; i++) {
    const results = new Set<unknown>();
    for (const { mode, worker } of i % 2 === 0 ? threads : threads.toReversed()) {
      const { ms, result } = await run(worker, name);
      results.add(result);
      if (i >= 0) times[mode]!.push(ms);
    }
    if (results.size !== 1) throw new Error(`${name}: the results differ: ${[...results].join(" / ")}`);
  }
  const plain = times.plain!;
  ratios[name] = Object.fromEntries(
    (["fuel", "none"] as const).map((mode) => [mode, median(times[mode]!.map((ms, i) => ms / plain[i]!))]),
  );
}
process.stdout.write(JSON.stringify(ratios));
process.exit(0);
