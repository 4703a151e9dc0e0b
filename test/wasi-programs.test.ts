import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import binaryen from "binaryen";
import { bytes, modules } from "./support/modules.ts";
import { json, text } from "./support/sandbox.ts";

/** Programs that others have written in other languages and that npm packages ship, as functions. */

const { program, run } = modules();
const packageFile = (name: string) => fileURLToPath(new URL(`../node_modules/${name}`, import.meta.url));

describe("esbuild, in Go, as it is in @esbuild/wasi-preview1", async () => {
  const wasm = await readFile(packageFile("@esbuild/wasi-preview1/esbuild.wasm"));
  const esbuild = await program(new Uint8Array(wasm), {
    config: { stdio: "raw", args: ["--loader=ts", "--minify", "--log-limit=1"] },
  });
  // what else runs on the machine must not count
  const patient = { timeoutMs: 60_000 };

  test("compiles the TypeScript that it is sent", async () => {
    const source = "const one: number = 1; export const add = (value: number): number => value + one;";
    for (let request = 0; request < 2; request++) {
      const result = await run(esbuild, { ...patient, request: { body: bytes(source) } });
      assert.equal(result.outcome.kind, "completed", JSON.stringify(result.outcome));
      assert.equal(text(result), "const e=1;export const add=n=>n+1;\n");
    }
  });

  test("fails with its message in the log", async () => {
    const { outcome, logs } = await run(esbuild, { ...patient, request: { body: bytes("const = 1;") } });
    assert.ok(outcome.kind === "threw" && outcome.error.code === "module_exit", JSON.stringify(outcome));
    assert.match(
      logs.map(({ message }) => message).join("\n"),
      /\[ERROR\] Expected identifier but found "="/,
    );
  });

  test("keeps to its limits, in the midst of Go's runtime, and answers again afterwards", async () => {
    const body = bytes(`export default [${"{ a: 1 },".repeat(2_000)}];`);
    const request = { body };
    const small = await run(esbuild, { ...patient, request, memoryLimitBytes: 8 * 1_048_576 });
    assert.equal(small.outcome.kind, "outOfMemory");
    assert.equal((await run(esbuild, { ...patient, request, fuel: 20_000_000 })).outcome.kind, "outOfFuel");
    assert.equal((await run(esbuild, { request, timeoutMs: 20 })).outcome.kind, "timedOut");
    assert.equal((await run(esbuild, { ...patient, request })).outcome.kind, "completed");
  });
});

describe("nitrogql, in Rust, of @nitrogql/cli", async () => {
  const nitrogql = async (query: string) => {
    const schema = "type Query { hello(name: String!): String! }";
    const files = {
      "graphql.config.yaml": bytes("schema: ./schema.graphql\ndocuments: ./*.gql\n"),
      "schema.graphql": bytes(schema),
      "query.gql": bytes(query),
    };
    const args = ["--config-file", "/graphql.config.yaml", "--output-format", "json", "check"];
    return run(await program(await core, { files, config: { stdio: "raw", args } }), { env: { CWD: "/" } });
  };
  const core = withoutNode(packageFile("@nitrogql/cli/wasm/nitrogql-cli.wasm"));

  test("checks queries that are deployed with it against their schema", async () => {
    const result = await nitrogql('query { hello(name: "you") }');
    assert.equal(result.outcome.kind, "completed", JSON.stringify(result.outcome));
    assert.deepEqual(json(result), { check: { errors: [] } });
  });

  test("fails with its exit code for one that is wrong", async () => {
    const { outcome } = await nitrogql("query { goodbye }");
    assert.ok(outcome.kind === "threw" && outcome.error.code === "module_exit", JSON.stringify(outcome));
  });
});

/** The program with a trap in place of what it asks of Node, for configuration in JavaScript. */
async function withoutNode(file: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "thimble-merge-"));
  try {
    const [stub, merged] = [join(folder, "stub.wasm"), join(folder, "merged.wasm")];
    const trap = '(module (func (export "execute_node") (param i32 i32 i32) unreachable))';
    await writeFile(stub, binaryen.parseText(trap).emitBinary());
    const features = ["bulk-memory", "sign-ext", "mutable-globals", "nontrapping-float-to-int"];
    await promisify(execFile)(process.execPath, [
      packageFile("binaryen/bin/wasm-merge"),
      ...[file, "main", stub, "nitrogql_helper/config", "-o", merged],
      ...features.map((feature) => `--enable-${feature}`),
    ]);
    return new Uint8Array(await readFile(merged));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
