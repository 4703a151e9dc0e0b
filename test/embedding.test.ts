import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AnalysisError, CompileError, compile, createRuntime, FunctionFailure, HostError } from "thimble";
import { loadEngine } from "thimble/compiler";
import { createEgress, Runtime, HostError as RuntimeHostError } from "thimble/runtime";
import { example } from "./support/system.ts";
import { compileC } from "./support/toolchains.ts";

const files = (code: string) => ({ entry: "index.ts", files: { "index.ts": code } });

describe("the library", () => {
  test("compiles a folder with its packages and runs it", async () => {
    const { artifact, analysis } = await compile(example("hono-app"));
    assert.equal(analysis.passed, true);
    await using runtime = await createRuntime({ warm: 0 });
    const app = await runtime.load(artifact);
    const response = await app.fetch("http://localhost/");
    assert.equal(response.status, 200);
    assert.equal(runtime.stats().busy, 0);
  });

  test("compiles WebAssembly, by bytes or with settings", async () => {
    const module = await compileC(
      '#include <stdio.h>\nint main(int n, char **a) { printf("%s", a[n - 1]); }',
    );
    await using runtime = await createRuntime({ warm: 0 });
    const { artifact } = await compile({ module, config: { stdio: "raw", args: ["hi"] } });
    assert.equal(await (await (await runtime.load(artifact)).fetch("http://localhost/")).text(), "hi");
    assert.equal((await compile(module)).analysis.module?.kind, "module");
  });

  test("gives functions variables, services and limits, and nothing else", async () => {
    const { artifact } = await compile(
      files(`export const config = { timeoutMs: 1000 };
        export default async (request: Request) => {
          if (request.url.endsWith("/fetch")) return (await fetch("http://other/")).text();
          if (request.url.endsWith("/spin")) for (;;) {}
          return process.env.NAME ?? "none";
        };`),
    );
    await using runtime = await createRuntime({ warm: 0, limits: { memoryLimitBytes: 64 * 1024 * 1024 } });
    const closed = await runtime.load(artifact, { env: { NAME: "value" } });
    assert.equal(await (await closed.fetch("http://localhost/")).text(), "value");
    await assert.rejects(closed.fetch("http://localhost/fetch"), (error: unknown) => {
      assert.ok(error instanceof FunctionFailure && error.outcome.kind === "threw");
      assert.match(error.outcome.error.message, /network is not available/);
      return true;
    });
    await assert.rejects(closed.fetch("http://localhost/spin"), {
      outcome: { kind: "timedOut", timeoutMs: 1000 },
    });
    await assert.rejects(closed.fetch("http://localhost/spin", { limits: { timeoutMs: 300 } }), {
      message: "the function timed out after 300 ms",
    });
    const open = await runtime.load(artifact, {
      services: {
        fetch: async ({ url }) => {
          if (url !== "http://other/") throw new HostError("egress_denied", "no");
          const head = { status: 200, statusText: "OK", headers: [], url, redirected: false };
          return { head, body: new TextEncoder().encode("other") };
        },
      },
    });
    assert.equal(await (await open.fetch("http://localhost/fetch")).text(), "other");
  });

  test("refuses what the compiler refuses", async () => {
    await assert.rejects(
      compile(files('import { exec } from "node:child_process"; exec("ls");')),
      AnalysisError,
    );
    await assert.rejects(compile(files("export default () => 1; throw new Error('top');")), CompileError);
    await assert.rejects(compile(new Uint8Array(3)), CompileError);
    await using runtime = await createRuntime({ warm: 0 });
    await assert.rejects(runtime.load(new Uint8Array(3)), { code: "artifact_invalid" });
  });

  test("what is beneath it takes version, variables, network and reuse with each call", async () => {
    await using server = createServer((_, response) => response.end("from there")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { artifact } = await compile(
      files(`let calls = 0;
        export default async (_: Request, { version }: { version: number }) => {
          calls++;
          const text = await fetch(process.env.URL!).then((response) => response.text(), (error) => error.code);
          return Response.json([calls, version, text]);
        };`),
    );
    const runtime = new Runtime(await loadEngine(), { warm: 0 });
    const egress = createEgress({ allow: [`127.0.0.1:${port}`] });
    try {
      const program = await runtime.load(artifact);
      const call = async (version: number, env: Record<string, string>, reuse?: typeof kept) => {
        const { outcome } = await runtime.run(
          program,
          { method: "GET", url: "http://localhost/", headers: [], body: new Uint8Array(0) },
          {
            limits: {
              timeoutMs: 5_000,
              cpuMs: null,
              memoryLimitBytes: 64 * 1024 * 1024,
              fuel: null,
              responseLimitBytes: 1024,
            },
            env,
            context: { requestId: "1", functionName: "one", version },
            services: {
              fetch: (...args) => egress.fetch(...args),
              openDatabase: () => {
                throw new RuntimeHostError("unavailable", "no database");
              },
            },
            ...(reuse ? { reuse } : {}),
          },
        );
        assert.equal(outcome.kind, "completed");
        return new Response(outcome.response.body as BodyInit).json();
      };
      const kept = { maxRequests: 10, maxAgeMs: 60_000 };
      const open = { URL: `http://127.0.0.1:${port}/` };
      assert.deepEqual(await call(1, open), [1, 1, "from there"]);
      assert.deepEqual(await call(2, { URL: "http://127.0.0.1:1/" }), [1, 2, "egress_denied"]);
      assert.deepEqual(await call(3, open, kept), [1, 3, "from there"]);
      assert.deepEqual(await call(3, open, kept), [2, 3, "from there"]);
    } finally {
      await runtime.close();
      await egress.close();
    }
  });

  test("the example says what its text says, and ends by itself", async () => {
    const path = fileURLToPath(new URL("../examples/embedding/index.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [path], { timeout: 60_000 });
    assert.deepEqual(stdout.trim().split("\n"), [
      '{"hello":"Ada","calls":1,"secret":"hi"}',
      '{"hello":"Grace","calls":1,"secret":"hi"}',
      "timedOut the function timed out after 1000 ms",
    ]);
  });
});
