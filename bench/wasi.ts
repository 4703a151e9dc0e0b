import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPlugin } from "@extism/extism";
import { decodeArtifact } from "../compiler/artifact.ts";
import { exportComponent } from "../compiler/component/export-component.ts";
import { MeterHost, meterBytes } from "../compiler/wasm/index.ts";
import type { Program } from "../runtime/index.ts";
import { compileC, componentizeQjs, componentOf } from "../test/support/toolchains.ts";
import { measure, median, type Task } from "./measure.ts";
import type { Row, Table } from "./table.ts";
import { artifactOf, bodyOf, compiler, invoke, limits, programOf, requestWith, runtime } from "./thimble.ts";

const jco = fileURLToPath(new URL("jco.js", import.meta.resolve("@bytecodealliance/jco")));
const functionWorld = `package bench:component;
world function { include thimble:function/function@0.1.0; }
`;
const noBody = new Uint8Array(0);
/** SpiderMonkey has 12 MB. */
const roomy = 256 * 1024 * 1024;

/** Functions in any language: what one pristine request costs, and what metered code computes. */
export async function run(): Promise<Table> {
  const hello = await wasm(
    await compileC('#include <stdio.h>\nint main(void) { printf("{\\"body\\":\\"hello\\"}"); }'),
  );
  const qjs = await wasm(
    await componentizeQjs(
      "export const handler = { handle: () => ({ status: 200, headers: [], body: Uint8Array.from([104, 105]) }) };",
      functionWorld,
      "function",
    ),
  );
  const c = await wasm(
    await componentOf(
      await compileC(
        `#include <stdlib.h>
         static struct { int tag; unsigned short status; void *headers; size_t count; const char *body; size_t length; } answer = { 0, 200, 0, 0, "hi", 2 };
         __attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t had, size_t align, size_t size) { return realloc(old, size); }
         __attribute__((export_name("thimble:function/handler@0.1.0#handle")))
         void *handle(const char *m, size_t ml, const char *u, size_t ul, void *h, size_t hl, const char *b, size_t bl) { return &answer; }`,
        { reactor: true },
      ),
    ),
  );
  const script = 'export default () => "hi";';
  const spiderMonkey = await exportComponent(decodeArtifact(await artifactOf(script)).bundle);
  const component = await wasm(spiderMonkey);
  using theirs = await jcoServe(spiderMonkey);
  const js = await programOf(script);
  const pluginBytes = await compileC('__attribute__((export_name("hello"))) int hello(void) { return 0; }', {
    reactor: true,
  });
  const plugin = await WebAssembly.compile(new Uint8Array(pluginBytes));
  const tasks: Task[] = [
    { name: "WASI command in C: hello", run: () => call(hello, "hello") },
    { name: "component in C: hello", run: () => call(c, "hi") },
    { name: "component of componentize-qjs: hello", run: () => call(qjs, "hi") },
    { name: "component of componentize-js: hello", run: () => call(component, "hi", roomy) },
    { name: "the same in jco serve, over HTTP, an instance for each request", run: theirs.call },
    {
      name: "Extism, a plugin for each call: a function in C that does nothing",
      run: async () => {
        const made = await createPlugin(plugin, { useWasi: true });
        await made.call("hello");
        await made.close();
      },
    },
    { name: "a function in JavaScript: hello", run: () => call(js, "hi") },
    await resetTask(),
  ];
  const timings = await measure(tasks, { rounds: 3, timeMs: 500 });
  const rows: Row[] = timings.map(({ name, medianMs, p99Ms }) => ({
    name,
    median: medianMs * 1e3,
    p99: p99Ms * 1e3,
  }));
  return {
    title: "Functions in any language: one pristine request, in process where nothing else is said",
    columns: [
      { key: "median", label: "median µs", digits: 1 },
      { key: "p99", label: "p99 µs", digits: 1 },
    ],
    rows,
    notes: await computeNotes(),
  };
}

async function wasm(module: Uint8Array): Promise<Program> {
  return runtime.load((await compiler.build({ module })).artifact);
}

async function call(program: Program, expected: string, memoryLimitBytes = limits.memoryLimitBytes) {
  const request = requestWith(noBody);
  const options = { limits: { ...limits, memoryLimitBytes }, env: {}, context, services };
  const result =
    memoryLimitBytes === limits.memoryLimitBytes
      ? await invoke(program, request)
      : await runtime.run(program, request, options);
  assert.equal(Buffer.from(bodyOf(result)).toString(), expected);
}

const context = { requestId: "r1", functionName: "bench", version: 1 };
const refuse = async (): Promise<never> => {
  throw new Error("there is nothing outside of a benchmark");
};
const services = { fetch: refuse, openDatabase: () => ({ query: refuse, release() {}, close() {} }) };

/** What setting an instance of the hello command back takes, of its request. */
async function resetTask(): Promise<Task> {
  const core = meterBytes(await compileC('#include <stdio.h>\nint main(void) { printf("hello"); }'));
  const host = new MeterHost();
  const noWasi = new Proxy({}, { get: () => () => 0 });
  host.instantiate(new WebAssembly.Module(core), { wasi_snapshot_preview1: noWasi });
  host.snapshot();
  return { name: "part: setting that command's instance back", run: () => assert.ok(host.reset()) };
}

/** jco's own host, as a process of its own. */
async function jcoServe(component: Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), "thimble-bench-"));
  const file = join(folder, "component.wasm");
  writeFileSync(file, component);
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const args = [jco, "serve", file, "--port", String(port), "--isolate-requests", "instance"];
  const host = spawn(process.execPath, args, { stdio: "ignore", detached: true });
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
    assert.equal(await response.text(), "hi");
  };
  for (let attempt = 0; ; attempt++) {
    try {
      await ask();
      break;
    } catch (cause) {
      if (attempt > 200) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  return {
    call: ask,
    [Symbol.dispose]() {
      process.kill(-host.pid!, "SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A kernel in C, as it is and metered; and the same in JavaScript, in a sandbox. */
async function computeNotes(): Promise<string[]> {
  const size = 400;
  const core = await compileC(
    `static unsigned cells[${size} * ${size}];
     __attribute__((export_name("kernel"))) unsigned kernel(unsigned rounds) {
       unsigned sum = 1;
       for (unsigned r = 0; r < rounds; r++)
         for (unsigned i = 0; i < ${size} * ${size}; i++) {
           cells[i] = cells[i] * 1664525u + sum + i;
           sum ^= cells[i] >> (i & 7);
         }
       return sum;
     }`,
    { reactor: true },
  );
  const noWasi = { wasi_snapshot_preview1: new Proxy({}, { get: () => () => 0 }) };
  const plain = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(core)), noWasi);
  const host = new MeterHost({ onSlice: () => "go" });
  const metered = host.instantiate(new WebAssembly.Module(meterBytes(core)), noWasi);
  const kernelOf = (exports: WebAssembly.Exports) => exports.kernel as (rounds: number) => number;
  const rounds = 30;
  // CPU time: what else runs on the machine must not count
  const time = (work: () => unknown): number => {
    const began = process.cpuUsage();
    work();
    return process.cpuUsage(began).user / 1e3;
  };
  for (let i = 0; i < 8; i++) {
    assert.equal(
      kernelOf(plain.exports)(rounds),
      host.run(() => kernelOf(metered.exports)(rounds)),
    );
  }
  const pairs = Array.from({ length: 15 }, () => {
    const before = time(() => kernelOf(plain.exports)(rounds));
    return { before, after: time(() => host.run(() => kernelOf(metered.exports)(rounds))) };
  });
  const unmeteredMs = median(pairs.map(({ before }) => before));
  const meteredMs = median(pairs.map(({ after }) => after));
  const guest = await programOf(`export default () => {
    const cells = new Uint32Array(${size * size});
    let sum = 1;
    for (let i = 0; i < ${size * size}; i++) {
      cells[i] = Math.imul(cells[i], 1664525) + sum + i;
      sum = (sum ^ (cells[i] >>> (i & 7))) >>> 0;
    }
    return String(sum);
  };`);
  const guestTimes: number[] = [];
  for (let i = 0; i < 7; i++) guestTimes.push((await invoke(guest, requestWith(noBody))).metrics.cpuMs);
  const guestMs = Math.min(...guestTimes) * rounds;
  return [
    `A loop over ${size * size} words, ${rounds} times, in C: ${unmeteredMs.toFixed(1)} ms unmetered, ${meteredMs.toFixed(1)} ms metered (${(unmeteredMs / meteredMs).toFixed(2)} of its speed), ${guestMs.toFixed(0)} ms by the same kernel as a function in JavaScript (the shortest of 7 rounds, times ${rounds}): ${(guestMs / meteredMs).toFixed(0)} times as long.`,
  ];
}
