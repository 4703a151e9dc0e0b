// Runs the public wasi-testsuite (WebAssembly/wasi-testsuite, a checkout of its branch prod/testsuite-base) against our host of WASI preview 1:
//   node test/wasi-testsuite/run.ts <checkout> [part of a test's name]
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { MeterHost, meterBytes, readModule } from "../../compiler/wasm/index.ts";
import { inspectModule } from "../../compiler/wasm-module/inspect-module.ts";
import { FunctionLog } from "../../runtime/function-log.ts";
import { Scheduler } from "../../runtime/scheduler.ts";
import { Turns } from "../../runtime/turns.ts";
import { Descriptors, input, openDirectory, output } from "../../runtime/wasi/descriptors.ts";
import { DirectoryNode, FileNode, Volume } from "../../runtime/wasi/file-system.ts";
import { GuestMemory } from "../../runtime/wasi/guest-memory.ts";
import { preview1Imports, preview1Module } from "../../runtime/wasi/preview1.ts";
import { RequestSystem } from "../../runtime/wasi/request-system.ts";

interface Specification {
  args?: string[];
  env?: Record<string, string>;
  root?: string;
  exit_code?: number;
  stdout?: string;
  operations?: (
    | { type: "run"; args?: string[]; env?: Record<string, string>; root?: string }
    | { type: "wait"; exit_code?: number }
    | { type: "read"; id?: string; payload?: string }
  )[];
}

const [checkout, part = ""] = process.argv.slice(2);
if (checkout === undefined) throw new Error("usage: node test/wasi-testsuite/run.ts <checkout> [name]");

const files = readdirSync(join(checkout, "tests"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".wasm") && name.includes("wasm32-wasip1") && name.includes(part))
  .map((name) => join(checkout, "tests", name))
  .sort();
let passed = 0;
for (const file of files) {
  const failure = await run(file).catch((cause) => String(cause));
  if (failure === null) passed++;
  else console.log(`${relative(checkout, file)}: ${failure}`);
}
console.log(`${passed} of ${files.length} passed`);
process.exitCode = passed === files.length ? 0 : 1;

/** Null when the test passes. */
async function run(file: string): Promise<string | null> {
  const spec = specificationOf(file);
  const bytes = readFileSync(file);
  const { findings } = inspectModule(readModule(bytes), basename(file));
  if (findings.length > 0) return findings.map(({ message }) => message).join(", ");
  const log = new FunctionLog();
  const turns = new Turns({ timeoutMs: 60_000, cpuMs: null }, new Scheduler(), "test", performance.now());
  const system = new RequestSystem({
    args: [basename(file), ...spec.args],
    env: spec.env,
    stdin: new Uint8Array(0),
    files: Volume.of({}),
    outputLimitBytes: 1024 * 1024,
    log,
    turns,
    charge: () => {},
  });
  const folder = spec.root === undefined ? undefined : folderOf(join(dirname(file), spec.root));
  let text = "";
  Object.assign(system, {
    descriptors: new Descriptors(
      input(new Uint8Array(0)),
      output((bytes) => {
        text += Buffer.from(bytes).toString();
      }),
      output((bytes) => log.add({ level: "info", message: Buffer.from(bytes).toString() })),
      ...(folder ? [{ ...openDirectory(folder, folder.root), preopened: "/" }] : []),
    ),
  });
  const host = new MeterHost({ onSlice: () => "go" });
  let memory: GuestMemory;
  const imports = { [preview1Module]: preview1Imports(() => ({ system, memory })) };
  const { exports } = host.instantiate(new WebAssembly.Module(meterBytes(bytes)), imports);
  memory = new GuestMemory(exports.memory as WebAssembly.Memory);
  turns.mayYield = true;
  let trap = "";
  try {
    await host.run(WebAssembly.promising(exports._start as () => void));
  } catch (cause) {
    if (system.exitCode === null) trap = String(cause);
  }
  const code = system.exitCode ?? (trap === "" ? 0 : -1);
  const said = log.lines.map(({ message }) => message).join("");
  if (code !== spec.exitCode) return `exit code ${code} instead of ${spec.exitCode} ${trap}\n${said}`;
  if (spec.stdout !== undefined && text !== spec.stdout) return `stdout ${JSON.stringify(text)}`;
  return null;
}

function specificationOf(file: string) {
  let given: Specification = {};
  try {
    given = JSON.parse(readFileSync(file.replace(/\.wasm$/, ".json"), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { args = [], env = {}, root, exit_code: exitCode = 0, stdout } = given;
  const spec = { args, env, root, exitCode, stdout };
  for (const operation of given.operations ?? []) {
    if (operation.type === "run") {
      spec.args = operation.args ?? [];
      spec.env = operation.env ?? {};
      spec.root = operation.root;
    } else if (operation.type === "wait") spec.exitCode = operation.exit_code ?? 0;
    else if ((operation.id ?? "stdout") === "stdout") spec.stdout = operation.payload ?? "";
  }
  return spec;
}

/** A volume of the test's own with what is in a folder. */
function folderOf(path: string): Volume {
  const now = BigInt(Date.now()) * 1_000_000n;
  const volume = Volume.scratch({ bytes: 64 * 1024 * 1024, entries: 10_000 }, now);
  const fill = (folder: DirectoryNode, from: string): void => {
    for (const name of readdirSync(from)) {
      const inner = join(from, name);
      if (!statSync(inner).isDirectory()) folder.set(name, new FileNode(now, readFileSync(inner)));
      else {
        const made = new DirectoryNode(now);
        folder.set(name, made);
        fill(made, inner);
      }
    }
  };
  fill(volume.root, path);
  return volume;
}
