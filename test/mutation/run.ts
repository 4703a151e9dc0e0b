/**
 * Breaks the metering pass in one place at a time and tells which of it the tests notice.
 *
 * `npm run mutate [part of a name]`; exit code 1 when something is not noticed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Mutation, mutations } from "./mutations.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const pass = "compiler/wasm";
/** The quickest first: most are noticed there. */
const tests = [
  "test/metering.test.ts",
  "test/metering-loops.test.ts",
  "test/meter-host.test.ts",
  "test/wasm.test.ts",
];
const copied = ["package.json", "compiler", "test/support/wasm-modules.ts", ...tests];
const timeLimit = 60_000;
const parallel = 2;

/** The file's text with the mutation in it. */
function mutated({ name, file, find, replace }: Mutation): string {
  const parts = readFileSync(join(root, pass, file), "utf8").split(find);
  if (parts.length !== 2) throw new Error(`${name}: found ${parts.length - 1} times in ${file}`);
  return parts.join(replace);
}

const folders: string[] = [];
const running = new Set<ChildProcess>();

function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), "thimble-mutation-"));
  folders.push(folder);
  for (const path of copied) cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(realpathSync(join(root, "node_modules")), join(folder, "node_modules"));
  return folder;
}

/** How a run of one test file ends; a failure or a hang ends it at once. */
function run(folder: string, file: string): Promise<{ passed: boolean; why: string }> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--test", "--test-isolation=none", "--test-reporter=tap", file],
      // a test runner's own variables would make this one report to it
      { cwd: folder, stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH } },
    );
    running.add(child);
    let output = "";
    let why: string | undefined;
    const end = (reason: string): void => {
      why ??= reason;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(end, timeLimit, "it hangs");
    const take = (chunk: Buffer): void => {
      output += chunk;
      const failed = /^\s*not ok \d+ - (.*)\n/m.exec(output);
      if (failed) end(failed[1]!);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ passed: code === 0 && why === undefined, why: why ?? `exit code ${code}` });
    });
  });
}

/** What noticed, undefined when nothing did. */
async function noticed(folder: string): Promise<string | undefined> {
  for (const file of tests) {
    const { passed, why } = await run(folder, file);
    if (!passed) return `${file}: ${why}`;
  }
  return undefined;
}

async function worker(left: Mutation[], missed: Mutation[]): Promise<void> {
  const folder = copy();
  for (let mutation = left.shift(); mutation; mutation = left.shift()) {
    const path = join(pass, mutation.file);
    writeFileSync(join(folder, path), mutated(mutation));
    const by = await noticed(folder);
    cpSync(join(root, path), join(folder, path));
    if (by === undefined) missed.push(mutation);
    console.log(`${by === undefined ? "NOT noticed" : "noticed"}  ${mutation.name}${by ? `  (${by})` : ""}`);
  }
}

async function main(): Promise<number> {
  const [wanted = ""] = process.argv.slice(2);
  const chosen = mutations.filter(({ name }) => name.includes(wanted));
  for (const mutation of mutations) mutated(mutation);
  const unchanged = await noticed(copy());
  if (unchanged !== undefined) {
    console.error(`The tests fail without any mutation: ${unchanged}`);
    return 1;
  }
  const missed: Mutation[] = [];
  const left = [...chosen];
  await Promise.all(Array.from({ length: parallel }, () => worker(left, missed)));
  console.log(`${chosen.length} mutations, ${chosen.length - missed.length} noticed`);
  for (const { name } of missed) console.error(`NOT noticed: ${name}`);
  return missed.length === 0 ? 0 : 1;
}

const clean = (): void => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
};
process.on("SIGINT", () => process.exit(130));
process.on("exit", clean);
process.exitCode = await main();
