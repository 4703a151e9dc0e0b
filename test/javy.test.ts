import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { bundle } from "../compiler/bundle.ts";
import { readSources } from "../compiler/index.ts";
import { emptyModule, readModule, writeModule } from "../compiler/wasm/index.ts";
import type { ModuleProgram } from "../runtime/index.ts";
import { buildWasm, bytes, modules } from "./support/modules.ts";
import { compiler, json, text } from "./support/sandbox.ts";
import { compileC } from "./support/toolchains.ts";

const { runtime, run } = modules();
const root = fileURLToPath(new URL("..", import.meta.url));

/** A function in a folder beside the project's node_modules. */
async function load(source: string) {
  const folder = await mkdtemp(join(root, "node_modules/.cache/javy-"));
  try {
    await writeFile(join(folder, "index.js"), source);
    const { sources } = await readSources(folder);
    const { bundle: bundled } = await bundle(folder, sources.entry);
    const { artifact } = await compiler.build({ sources, bundle: bundled, requireAnnotation: true });
    return await runtime.load(artifact);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What Javy's examples do, by `Javy.IO` alone. */
const script = `
const input = readInput();
writeOutput({ n: input.n + 1, calls: (globalThis.calls = (globalThis.calls ?? 0) + 1) });
function readInput() {
  const chunks = [];
  let total = 0;
  for (;;) {
    const buffer = new Uint8Array(4);
    const read = Javy.IO.readSync(0, buffer);
    if (read === 0) break;
    chunks.push(buffer.subarray(0, read));
    total += read;
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) { all.set(chunk, at); at += chunk.length; }
  return JSON.parse(new TextDecoder().decode(all));
}
function writeOutput(output) {
  Javy.IO.writeSync(1, new TextEncoder().encode(JSON.stringify(output)));
}
`;

/** A module as Javy's compiler links it to its engine: the bytecode is of no interest here. */
function dynamicModule(source?: string): Uint8Array {
  const customs = source === undefined ? [] : [{ name: "javy_source", bytes: brotliCompressSync(source) }];
  return writeModule({
    ...emptyModule(),
    types: [{ params: [127, 127, 127, 127], results: [] }],
    imports: [
      { module: "javy-default-plugin-v4", name: "invoke", kind: "function", type: 0 },
      { module: "javy-default-plugin-v4", name: "memory", kind: "memory", memory: { min: 0 } },
    ],
    customs,
  });
}

describe("Javy.IO", () => {
  test("the package javy/fs reads the request and writes the response", async () => {
    const program = await load(`import { readFileSync, STDIO, writeFileSync } from "javy/fs";
      /** @function */
      export default function () {
        const input = JSON.parse(new TextDecoder().decode(readFileSync(STDIO.Stdin)));
        writeFileSync(STDIO.Stderr, new TextEncoder().encode("got " + input.n));
        writeFileSync(STDIO.Stdout, new TextEncoder().encode(JSON.stringify({ n: input.n + 1 })));
      }`);
    for (const n of [1, 2]) {
      const result = await run(program, {
        request: { body: bytes(JSON.stringify({ n, long: "x".repeat(5_000) })) },
      });
      assert.deepEqual(json(result), { n: n + 1 });
      assert.deepEqual(result.logs, [{ level: "error", message: `got ${n}` }]);
    }
  });

  test("what a function returns goes before what it writes, and silence is no content", async () => {
    const program = await load(`/** @function */
      export const handler = () => {
        const buffer = new Uint8Array(1);
        Javy.IO.readSync(0, buffer);
        if (buffer[0] === 114) return { returned: true };
        return undefined;
      };`);
    assert.deepEqual(json(await run(program, { request: { body: bytes("r") } })), { returned: true });
    const { outcome } = await run(program, { request: { body: bytes("s") } });
    assert.ok(outcome.kind === "completed" && outcome.response.status === 204);
  });
});

describe("modules of Javy's", () => {
  test("one that is linked to Javy's engine runs from its source, at each request", async () => {
    const { artifact } = await buildWasm(dynamicModule(script));
    const program = await runtime.load(artifact);
    assert.equal(program.kind, "script");
    for (const n of [1, 41]) {
      assert.deepEqual(json(await run(program, { request: { body: bytes(JSON.stringify({ n })) } })), {
        n: n + 1,
        calls: 1,
      });
    }
  });

  test("one without its source is refused, and so is a source that is none", async () => {
    await assert.rejects(buildWasm(dynamicModule()), {
      code: "compile_failed",
      message: /does not hold its source/,
    });
    const broken = writeModule({
      ...emptyModule(),
      imports: [{ module: "javy_quickjs_provider_v3", name: "memory", kind: "memory", memory: { min: 0 } }],
      customs: [{ name: "javy_source", bytes: bytes("no brotli") }],
    });
    await assert.rejects(buildWasm(broken), { code: "compile_failed", message: /can't be read/ });
    await assert.rejects(buildWasm(dynamicModule("import('node:child_process')")), {
      code: "analysis_failed",
    });
  });

  test("a static one is a WASI command with JSON in and out", async () => {
    const core = readModule(
      await compileC(
        `#include <stdio.h>
         static char body[100];
         int main(void) { fwrite(body, 1, fread(body, 1, 100, stdin), stdout); }`,
      ),
    );
    core.customs.push({ name: "javy_source", bytes: brotliCompressSync("") });
    const { artifact } = await buildWasm(writeModule(core));
    const program = (await runtime.load(artifact)) as ModuleProgram;
    assert.equal(program.manifest.stdio, "json");
    assert.equal(text(await run(program, { request: { body: bytes('{"a":1}') } })), '{"a":1}');
  });
});
