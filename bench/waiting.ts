import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { measure } from "./measure.ts";
import type { Table } from "./table.ts";
import { bodyOf, invoke, programOf, requestWith, runtime } from "./thimble.ts";

const requests = 1_000;
/** More than the runtime keeps in sandboxes of their own. */
const residents = 320;
const shortMs = 100;
/** Long enough for all to be waiting before the first goes on. */
const longMs = 2_000;

/** Many requests that wait at once: how long all of them take, and what one of them keeps while it waits. */
export async function run(): Promise<Table> {
  const waiter = await programOf(`export async function handler({ waitMs }) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return { waited: waitMs };
  }`);
  const waitAll = async (waitMs: number, count = requests) => {
    const request = requestWith(Buffer.from(JSON.stringify({ waitMs })));
    const results = await Promise.all(Array.from({ length: count }, () => invoke(waiter, request)));
    return results.map((result) => Buffer.from(bodyOf(result)).toString());
  };
  const expect = (waitMs: number, count = requests) => Array(count).fill(JSON.stringify({ waited: waitMs }));
  // makes the sandboxes that stay, so that they are not counted as memory of those that wait
  assert.deepEqual(await waitAll(shortMs, residents), expect(shortMs, residents));

  globalThis.gc?.();
  await sleep(100);
  const before = process.memoryUsage();
  const waiting = waitAll(longMs);
  await sleep(longMs / 2);
  globalThis.gc?.();
  const during = process.memoryUsage();
  const { busy } = runtime.stats();
  assert.deepEqual(await waiting, expect(longMs));

  const [timing] = await measure([{ name: "all", run: () => waitAll(shortMs) }], {
    rounds: 1,
    timeMs: 0,
    warmupMs: 0,
    iterations: 30,
  });
  const { medianMs, p99Ms } = timing!;
  const each = (key: keyof NodeJS.MemoryUsage) => (during[key] - before[key]) / requests / 1024;
  return {
    title: `Waiting: ${requests.toLocaleString("en-US")} requests at once, each on a timer of ${shortMs} ms`,
    columns: [
      { key: "median", label: "median", digits: 1 },
      { key: "p99", label: "p99", digits: 1 },
    ],
    rows: [
      { name: "all of them, ms", median: medianMs, p99: p99Ms },
      { name: "beyond the timer, µs for each request", median: ((medianMs - shortMs) / requests) * 1e3 },
      { name: "resident memory for each that waits, KiB", median: each("rss") },
      { name: "of that, saved sandbox memory, KiB", median: each("arrayBuffers") },
      { name: "of that, JavaScript heap, KiB", median: each("heapUsed") },
    ],
    notes: [
      `While all of them waited, ${busy} held a sandbox; the others' sandboxes were saved as differences to their image.`,
      "Memory is measured once, in a process that has served few requests before: what a process has once taken, it keeps for the next.",
    ],
  };
}
