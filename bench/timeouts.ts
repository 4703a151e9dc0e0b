import assert from "node:assert/strict";
import { measure } from "./measure.ts";
import type { Row, Table } from "./table.ts";
import { invoke, programOf, requestWith } from "./thimble.ts";

const runs = 200;
const timeoutsMs = [5, 50, 500];

/** How far beyond its time-out a function that computes without end gets, seen by its caller. */
export async function run(): Promise<Table> {
  const spin = await programOf("export default () => { while (true) {} };");
  const request = requestWith(new Uint8Array(0));
  const spinFor = async (timeoutMs: number) => {
    const { outcome } = await invoke(spin, request, timeoutMs);
    assert.deepEqual(outcome, { kind: "timedOut", timeoutMs });
  };
  const rows: Row[] = [];
  for (const timeoutMs of timeoutsMs) {
    const name = `while (true) {} with a time-out of ${timeoutMs} ms`;
    const [timing] = await measure([{ name, run: () => spinFor(timeoutMs) }], {
      rounds: 1,
      timeMs: 0,
      warmupMs: 0,
      iterations: runs,
    });
    const { medianMs, p99Ms, samples } = timing!;
    rows.push({ name, runs: samples, median: medianMs - timeoutMs, p99: p99Ms - timeoutMs });
  }
  return {
    title: "Time-outs: wall-clock time beyond the limit",
    columns: [
      { key: "runs", label: "runs" },
      { key: "median", label: "median ms", digits: 3 },
      { key: "p99", label: "p99 ms", digits: 3 },
    ],
    rows,
    notes: ["One after the other, with nothing else in the process."],
  };
}
