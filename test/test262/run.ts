import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { BuildSandbox } from "../../compiler/engine/build-sandbox.ts";
import { setEvaluator } from "../../compiler/engine/evaluator.ts";
import { loadEngine } from "../../compiler/engine/load-engine.ts";
import { Instance } from "../../runtime/instance.ts";

/**
 * `node test/test262/run.ts <folder of test262> [path …]`: runs ECMAScript's conformance tests (https://github.com/tc39/test262, not
 * part of this repository) in the engine as it is shipped, metered and with the guest library, and prints the share that passes.
 * Left out: proposals, tests of features that a sandbox has not (agents, several realms), of modules in several files, and those that need
 * a host's timers.
 */
const { values, positionals } = parseArgs({
  options: { verbose: { type: "boolean" } },
  allowPositionals: true,
});
const [root = process.env.TEST262_ROOT, ...wanted] = positionals;
if (root === undefined) {
  console.error("Name the folder of test262, or set TEST262_ROOT.");
  process.exit(2);
}

const engine = await loadEngine();
const excludedFeatures =
  /\b(Atomics|SharedArrayBuffer|cross-realm|host-gc-required|dynamic-import|import-defer|source-phase-imports|ShadowRealm|Temporal|IsHTMLDDA|CanBlockIs\w+)\b/;

/** Features that are proposed and not yet in the standard, as `features.txt` lists them first. */
const proposed = new Set(
  (await readFile(path.join(root, "features.txt"), "utf8"))
    .split("## Standard language features")[0]!
    .split("\n")
    .filter((line) => /^[\w.-]+$/.test(line)),
);

interface Meta {
  flags: string[];
  includes: string[];
  negative: { phase: string; type: string } | null;
  features: string;
}

function readMeta(source: string): Meta {
  const text = /\/\*---([\s\S]*?)---\*\//.exec(source)?.[1] ?? "";
  const list = (name: string) =>
    (
      new RegExp(`${name}:\\s*(?:\\[([^\\]]*)\\]|((?:\\n\\s+- .*)+))`).exec(text)?.slice(1).find(Boolean) ??
      ""
    )
      .split(/[,\n]/)
      .map((item) => item.replace(/^\s*-?\s*/, "").trim())
      .filter((item) => item !== "");
  const negative = /negative:\s*\n\s+phase: (\w+)\s*\n\s+type: (\w+)/.exec(text);
  return {
    flags: list("flags"),
    includes: list("includes"),
    features: list("features").join(" "),
    negative: negative ? { phase: negative[1]!, type: negative[2]! } : null,
  };
}

const harness = new Map<string, string>();
async function harnessFile(name: string): Promise<string> {
  const known = harness.get(name) ?? (await readFile(path.join(root!, "harness", name), "utf8"));
  harness.set(name, known);
  return known;
}

const host = `var $262 = { global: globalThis, gc() {}, detachArrayBuffer(buffer) { buffer.transfer(); } };
var print = function (text) { globalThis.__printed = String(text); };`;

function start(): BuildSandbox {
  const instance = new Instance(engine);
  instance.restore(engine.plain);
  // the tests compile code
  setEvaluator(instance, engine.evaluator, true);
  return new BuildSandbox(instance);
}

/** Why a test does not pass, or null. */
async function runTest(source: string, meta: Meta, strict: boolean): Promise<string | null> {
  const isAsync = meta.flags.includes("async");
  const raw = meta.flags.includes("raw");
  const isModule = meta.flags.includes("module");
  const files = raw
    ? []
    : ["assert.js", "sta.js", ...(isAsync ? ["doneprintHandle.js"] : []), ...meta.includes];
  const prelude = [raw ? "" : host, ...(await Promise.all(files.map(harnessFile)))].join("\n");
  const sandbox = start();
  try {
    if (!raw) await sandbox.run(sandbox.compile(prelude, "harness.js", { module: false, strip: false }));
    // a script's value is not looked at, and must not be taken for a module's promise
    const text = `${strict ? '"use strict";\n' : ""}${source}${isModule || meta.negative ? "" : "\n;void 0;"}`;
    const code = sandbox.compile(text, "test.js", { module: isModule, strip: false });
    if (meta.negative?.phase === "parse") return "it was parsed";
    await sandbox.run(code);
    if (meta.negative) return `no ${meta.negative.type}`;
    if (!isAsync) return null;
    const check = `if (globalThis.__printed !== "Test262:AsyncTestComplete") throw new Error(String(globalThis.__printed))`;
    await sandbox.run(sandbox.compile(check, "check.js", { module: false, strip: false }));
    return null;
  } catch (error) {
    const { message } = error as Error;
    return meta.negative && message.includes(meta.negative.type) ? null : message;
  }
}

let [passed, total] = [0, 0];
const areas = new Map<string, [passed: number, total: number]>();
for (const folder of ["language", "built-ins"]) {
  for (const name of (await readdir(path.join(root, "test", folder), { recursive: true })).sort()) {
    const file = path.posix.join(folder, name);
    if (!file.endsWith(".js") || file.includes("_FIXTURE")) continue;
    if (wanted.length > 0 && !wanted.some((part) => file.startsWith(part))) continue;
    const source = await readFile(path.join(root, "test", file), "utf8");
    const meta = readMeta(source);
    if (
      excludedFeatures.test(meta.features) ||
      meta.features.split(" ").some((feature) => proposed.has(feature)) ||
      /\$262\.(createRealm|agent|evalScript|AbstractModuleSource)/.test(source)
    )
      continue;
    if (meta.flags.includes("module") && /\b(?:import|from)\s*["']\.\//.test(source)) continue;
    const modes = meta.flags.some((flag) => ["module", "raw", "noStrict"].includes(flag))
      ? [false]
      : meta.flags.includes("onlyStrict")
        ? [true]
        : [false, true];
    const failures = await Promise.all(modes.map((strict) => runTest(source, meta, strict)));
    const failure = failures.find((reason) => reason !== null);
    const area = areas.get(folder) ?? [0, 0];
    area[1]++;
    total++;
    if (failure === undefined) {
      area[0]++;
      passed++;
    } else if (values.verbose) console.log(`✗ ${file}: ${failure}`);
    areas.set(folder, area);
  }
}
for (const [name, [good, all]] of areas)
  console.log(`${name}: ${good} of ${all} (${((100 * good) / all).toFixed(2)}%)`);
console.log(`together: ${passed} of ${total} (${((100 * passed) / total).toFixed(2)}%)`);
