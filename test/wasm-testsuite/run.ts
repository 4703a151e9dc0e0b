import { once } from "node:events";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Verdict } from "./script.ts";

/**
 * `node test/wasm-testsuite/run.ts <folder of the testsuite> [path …] [--verbose] [--json]`: runs WebAssembly's official test suite
 * (https://github.com/WebAssembly/testsuite, not part of this repository) with each module as it is and metered, and compares what
 * each command gives: values to the bit, traps, exceptions, link errors. Ends with 1 where anything differs. Modules of proposals that
 * are refused by name are not compared, nor are modules that are never more than text.
 */
const { values, positionals } = parseArgs({
  options: { verbose: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [root = process.env.WASM_TESTSUITE_ROOT, ...wanted] = positionals;
if (root === undefined) {
  console.error("Name the folder of the WebAssembly testsuite, or set WASM_TESTSUITE_ROOT.");
  process.exit(2);
}

interface Row {
  area: string;
  scripts: number;
  commands: number;
  same: number;
  /** Of those that are the same: not what the script expects, the engine's own deviations. */
  unexpected: number;
  different: number;
  /** Not compared. */
  aside: number;
}

const rows = new Map<string, Row>();
const asides: Record<string, number> = {};
const differences: (Verdict & { script: string })[] = [];

function count(script: string, row: Row, verdict: Verdict): void {
  row.commands++;
  if ("aside" in verdict) {
    row.aside++;
    asides[verdict.aside] = (asides[verdict.aside] ?? 0) + 1;
  } else if (verdict.plain !== verdict.metered) {
    row.different++;
    differences.push({ script, ...verdict });
    if (!values.json)
      console.log(
        `✗ ${script}:${verdict.line} ${verdict.command}: ${JSON.stringify([verdict.plain, verdict.metered])}`,
      );
  } else {
    row.same++;
    if (verdict.expected) return;
    row.unexpected++;
    if (values.verbose && !values.json)
      console.log(`? ${script}:${verdict.line} ${verdict.command}: ${verdict.plain}`);
  }
}

/** Milliseconds for one script; the longest takes about a second. */
const patience = 60_000;
let worker: Worker | undefined;

async function verdictsOf(script: string): Promise<Verdict[]> {
  worker ??= new Worker(new URL("worker.ts", import.meta.url), { workerData: root });
  worker.postMessage(script);
  try {
    const [verdicts] = await once(worker, "message", { signal: AbortSignal.timeout(patience) });
    return verdicts;
  } catch (error) {
    await worker.terminate();
    worker = undefined;
    return [{ line: 1, command: "the script", plain: "", metered: `no end: ${error}`, expected: false }];
  }
}

for (const script of (await readdir(root, { recursive: true })).sort()) {
  if (!script.endsWith(".wast") || (wanted.length > 0 && !wanted.some((part) => script.startsWith(part))))
    continue;
  const folder = path.dirname(script);
  const area = folder === "." ? "core" : folder;
  const row = rows.get(area) ?? {
    area,
    scripts: 0,
    commands: 0,
    same: 0,
    unexpected: 0,
    different: 0,
    aside: 0,
  };
  rows.set(area, row);
  row.scripts++;
  for (const verdict of await verdictsOf(script)) count(script, row, verdict);
}

await worker?.terminate();

if (values.json)
  console.log(JSON.stringify({ areas: [...rows.values()], notCompared: asides, differences }, null, 2));
else {
  console.log(
    "\n| area | scripts | commands | same | of these not as specified | different | not compared |",
  );
  console.log("|---|--:|--:|--:|--:|--:|--:|");
  for (const { area, scripts, commands, same, unexpected, different, aside } of rows.values())
    console.log(`| ${area} | ${scripts} | ${commands} | ${same} | ${unexpected} | ${different} | ${aside} |`);
  console.log("\nNot compared:");
  for (const [reason, number] of Object.entries(asides).sort(([, a], [, b]) => b - a))
    console.log(`  ${reason}: ${number}`);
}
process.exitCode = differences.length > 0 ? 1 : 0;
