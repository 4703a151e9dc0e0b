import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { turnsOf } from "./examine.ts";
import { Examiner } from "./examiner.ts";
import { Generator } from "./generate.ts";
import { prepare } from "./prepare.ts";
import { Statistics } from "./statistics.ts";

const usage = `node test/fuzz/run.ts [--seconds N] [--seed S] [--count N] [--keep-going] [--deno PATH]

Compares generated modules with what metering makes of them, until a difference is found.
  --seed        the first seed (default: from the clock)
  --count       how many seeds (default: no end)
  --keep-going  report differences and go on
  --deno        compare the fuel of some modules with another host's instead
`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    seed: { type: "string" },
    count: { type: "string" },
    "keep-going": { type: "boolean", default: false },
    deno: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}
const first = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const until = Date.now() + Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1_000;
process.exitCode = values.deno === undefined ? await search() : await compareHosts(values.deno);

/** Writes the module of a seed, as it was compared. */
async function keep(seed: number): Promise<string> {
  const generator = new Generator();
  const file = join(process.cwd(), `fuzz-${seed}.wasm`);
  try {
    const bytes = await generator.generate(seed);
    try {
      writeFileSync(file, prepare(bytes, { seed, turns: turnsOf(seed) }));
    } catch {
      writeFileSync(file, bytes);
    }
  } finally {
    generator.close();
  }
  return file;
}

async function search(): Promise<number> {
  const examiner = new Examiner();
  const statistics = new Statistics();
  const count = Number(values.count ?? Number.POSITIVE_INFINITY);
  let shown = Date.now();
  let failures = 0;
  for (let seed = first; seed < first + count && Date.now() < until; seed++) {
    const finding = await examiner.examine(seed);
    statistics.add(finding);
    const problems = [...(finding.error ? [finding.error] : []), ...(finding.comparison?.differences ?? [])];
    if (problems.length > 0) {
      failures++;
      console.log(`seed ${seed}, ${await keep(seed)}:\n  ${problems.join("\n  ")}`);
      if (!values["keep-going"]) break;
    }
    if (Date.now() - shown > 10_000) {
      console.log(`${statistics}, next seed ${seed + 1}`);
      shown = Date.now();
    }
  }
  console.log(String(statistics));
  await examiner.close();
  return failures > 0 ? 1 : 0;
}

/** Runs the same modules here and in Deno. */
async function compareHosts(deno: string): Promise<number> {
  const generator = new Generator();
  const modules: Record<string, string> = {};
  for (let seed = first; seed < first + Number(values.count ?? 200); seed++) {
    try {
      const bytes = await generator.generate(seed);
      if (!WebAssembly.validate(bytes)) continue;
      prepare(bytes, { seed, turns: 1 });
      modules[seed] = Buffer.from(bytes).toString("base64");
    } catch {
      // not a module, or one with instructions that are not metered
    }
  }
  generator.close();
  const directory = mkdtempSync(join(tmpdir(), "wasm-fuzz-"));
  const file = join(directory, "modules.json");
  writeFileSync(file, JSON.stringify(modules));
  const script = fileURLToPath(new URL("fuel.ts", import.meta.url));
  const run = (host: string, args: string[]): Record<string, string[]> =>
    JSON.parse(execFileSync(host, [...args, script, file], { encoding: "utf8", maxBuffer: 1 << 28 }));
  const here = run(process.execPath, []);
  const there = run(deno, ["run", "--quiet", "--no-check", "--allow-all"]);
  rmSync(directory, { recursive: true });
  const different = Object.keys(here).filter((seed) => here[seed]!.join() !== there[seed]?.join());
  for (const seed of different) console.log(`seed ${seed}:\n  ${here[seed]}\n  ${there[seed]}`);
  console.log(`${Object.keys(here).length} modules, ${different.length} with another fuel`);
  return different.length > 0 ? 1 : 0;
}
