import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { modules } from "./support/modules.ts";
import { compiler } from "./support/sandbox.ts";
import { until } from "./support/system.ts";
import { compileC } from "./support/toolchains.ts";

const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));
const jco = fileURLToPath(new URL("jco.js", import.meta.resolve("@bytecodealliance/jco")));
const run = promisify(execFile);
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "thimble-export-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const source = `
let calls = 0;
/** @function */
export default async (request: Request) => {
  const url = new URL(request.url);
  calls++;
  if (url.pathname === "/throw") throw new Error("no");
  if (url.pathname === "/text") return "text";
  return Response.json(
    { method: request.method, path: url.pathname, query: url.searchParams.get("q"), body: await request.text() },
    { status: 201, headers: { "x-a": request.headers.get("x-a") ?? "none" } },
  );
};`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

describe("thimble build --target component", () => {
  test("makes a component that another host runs with the same answers", { timeout: 240_000 }, async () => {
    await writeFile(join(folder, "function.ts"), source);
    const output = join(folder, "component.wasm");
    await run(process.execPath, [
      main,
      "build",
      join(folder, "function.ts"),
      "--target",
      "component",
      "-o",
      output,
    ]);
    const port = await freePort();
    // the engine in the component answers one request
    const host = spawn(
      process.execPath,
      [jco, "serve", output, "--port", String(port), "--isolate-requests", "instance"],
      {
        stdio: "ignore",
        // it starts a process of its own, which has to end with it
        detached: true,
      },
    );
    const { runtime, run: runHere } = modules();
    const files = { "function.ts": source };
    const built = await compiler.build({ sources: { entry: "function.ts", files }, requireAnnotation: true });
    const program = await runtime.load(built.artifact);
    try {
      const base = `http://127.0.0.1:${port}`;
      const ask = (path: string, init: RequestInit = {}) =>
        fetch(base + path, { ...init, signal: AbortSignal.timeout(20_000) });
      const answers = async () => (await ask("/text").catch(() => null))?.status === 200;
      await until(answers);
      for (const [method, path, body] of [
        ["GET", "/a?q=1", undefined],
        ["POST", "/b/c", "hello"],
        ["GET", "/text", undefined],
      ] as const) {
        const theirs = await ask(path, { method, headers: { "x-a": "b" }, ...(body && { body }) });
        const request = { method, url: base + path, headers: [["x-a", "b"]] as [string, string][] };
        const { outcome } = await runHere(program, {
          request: { ...request, body: new TextEncoder().encode(body ?? "") },
        });
        assert.ok(outcome.kind === "completed");
        assert.equal(theirs.status, outcome.response.status, path);
        assert.equal(await theirs.text(), Buffer.from(outcome.response.body as Uint8Array).toString());
        const ours = new Headers(outcome.response.headers);
        for (const name of ["content-type", "x-a"]) {
          assert.equal(
            theirs.headers.get(name)?.toLowerCase(),
            ours.get(name)?.toLowerCase(),
            `${path} ${name}`,
          );
        }
      }
      assert.equal((await ask("/throw")).status, 500);
    } finally {
      process.kill(-host.pid!, "SIGKILL");
    }
  });
});

describe("thimble build --engine javy", () => {
  test("calls the compiler that is configured, and says when there is none", async () => {
    await writeFile(join(folder, "function.js"), "");
    const args = [
      main,
      "build",
      join(folder, "function.js"),
      "--engine",
      "javy",
      "-o",
      join(folder, "out.wasm"),
    ];
    const env = { ...process.env };
    delete env.THIMBLE_JAVY;
    await assert.rejects(run(process.execPath, args, { env }), { code: 2 });
    // stands in for the binary, which is no npm package: copies a module to where it is told
    await writeFile(join(folder, "made.wasm"), await compileC("int main(void) {}"));
    const javy = join(folder, "javy");
    await writeFile(
      javy,
      `#!/bin/sh\n[ "$1" = build ] && [ "$3" = -o ] && cp "${join(folder, "made.wasm")}" "$4"\n`,
    );
    await chmod(javy, 0o755);
    const { stdout } = await run(process.execPath, args, { env: { ...env, THIMBLE_JAVY: javy } });
    assert.match(stdout, /^Built .*out\.wasm/);
  });
});
