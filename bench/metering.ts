import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { meterBytes } from "../compiler/wasm/index.ts";
import { runHost } from "./child.ts";
import { median } from "./measure.ts";
import { type Group, groups } from "./metering/workloads.ts";
import type { Row, Table } from "./table.ts";

/** Layouts of the code in memory, each in a process of its own. */
const paddings = [0, 97, 211, 406, 653];

/** What metering costs: the same work by modules as they are, and metered, on this host and on Deno. */
export async function run(): Promise<Table> {
  const rows: Row[] = [];
  for (const group of Object.keys(groups) as Group[]) {
    const node = await measure("node", group);
    const deno = await measure("deno", group);
    const names = Object.keys(node.fuel);
    for (const name of names) {
      rows.push({ name, node: node.fuel[name]!, none: node.none[name]!, deno: deno.fuel[name] ?? null });
    }
    rows.push({
      name: `${groups[group]}: geometric mean`,
      node: geometricMean(Object.values(node.fuel)),
      none: geometricMean(Object.values(node.none)),
      deno: names.length === Object.keys(deno.fuel).length ? geometricMean(Object.values(deno.fuel)) : null,
    });
  }
  return {
    title: "What metering costs: time in relation to the module as it was",
    columns: [
      { key: "node", label: "fuel", digits: 2 },
      { key: "none", label: "resetting only", digits: 2 },
      { key: "deno", label: "fuel, Deno", digits: 2 },
    ],
    rows,
    notes: [
      "The median of 15 pairs, run by turns in one process; then the median over 5 layouts of the code in memory.",
      "The results of all runs are the same.",
      ...(await passNotes()),
    ],
  };
}

type Ratios = Record<string, number>;

async function measure(host: "node" | "deno", group: Group): Promise<{ fuel: Ratios; none: Ratios }> {
  const found: Record<string, { fuel: number[]; none: number[] }> = {};
  for (const padding of paddings) {
    let layout: Record<string, { fuel: number; none: number }>;
    try {
      layout = JSON.parse(await runHost(host, ["metering/layout.ts", group, String(padding)]));
    } catch (error) {
      if (host === "node") throw error;
      console.error(`${host}, ${group}: ${error}`);
      return { fuel: {}, none: {} };
    }
    for (const [name, { fuel, none }] of Object.entries(layout)) {
      found[name] ??= { fuel: [], none: [] };
      found[name].fuel.push(fuel);
      found[name].none.push(none);
    }
  }
  const medians = (mode: "fuel" | "none"): Ratios =>
    Object.fromEntries(Object.entries(found).map(([name, values]) => [name, median(values[mode])]));
  return { fuel: medians("fuel"), none: medians("none") };
}

const geometricMean = (values: number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** The pass itself: how fast it is and how much the module grows. */
async function passNotes(): Promise<string[]> {
  const notes: string[] = [];
  for (const [name, file] of [
    ["QuickJS", "quickjs-wasi/quickjs.wasm"],
    ["resvg", "@resvg/resvg-wasm/index_bg.wasm"],
  ] as const) {
    const bytes = await readFile(fileURLToPath(import.meta.resolve(file)));
    let metered = meterBytes(bytes);
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      const began = performance.now();
      metered = meterBytes(bytes);
      times.push(performance.now() - began);
    }
    const speed = bytes.length / 1e3 / median(times);
    const growth = (metered.length / bytes.length - 1) * 100;
    notes.push(
      `The pass over ${name}, ${(bytes.length / 1e6).toFixed(1)} MB: ${speed.toFixed(1)} MB/s; the module grows by ${growth.toFixed(1)}%.`,
    );
  }
  return notes;
}
