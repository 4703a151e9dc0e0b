import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Execution } from "../runtime/execution.ts";
import { Instance } from "../runtime/instance.ts";
import { InstancePool } from "../runtime/pool.ts";
import { Scheduler } from "../runtime/scheduler.ts";
import { VariableImages } from "../runtime/variable-images.ts";
import { engine, json, limits, noServices, sandboxes, text } from "./support/sandbox.ts";

describe("a pristine sandbox for each request", () => {
  const { program, run } = sandboxes({ warm: 1, maxIdle: 1 });

  test("nothing survives: globals, prototypes, module variables, timers", async () => {
    const leaky = await program(`
      let module = 0;
      const cache = new Map();
      export default async () => {
        const seen = {
          module: module++,
          global: (globalThis as any).left ?? null,
          prototype: ({} as any).left ?? null,
          builtin: Array.prototype.map === (globalThis as any).savedMap,
          cache: cache.size,
          json: JSON.parse.name,
        };
        (globalThis as any).left = "secret";
        (Object.prototype as any).left = "secret";
        (globalThis as any).savedMap = Array.prototype.map;
        Array.prototype.map = () => [];
        JSON.stringify = (() => '"patched"') as any;
        cache.set("a", 1);
        setTimeout(() => { (globalThis as any).late = true }, 1);
        return new Response(\`{"seen":\${seen.module === 0 && seen.global === null && seen.prototype === null && !seen.builtin && seen.cache === 0}}\`);
      };`);
    for (let i = 0; i < 5; i++) assert.deepEqual(json(await run(leaky)), { seen: true });
  });

  test("randomness differs from request to request, and the clock is right", async () => {
    const random = await program(`
      const first = Math.random();
      export default () => ({
        first, now: Date.now(), random: Math.random(), uuid: crypto.randomUUID(),
        bytes: [...crypto.getRandomValues(new Uint8Array(8))].join(),
      });`);
    const results = [];
    for (let i = 0; i < 20; i++) results.push(json(await run(random)));
    for (const key of ["random", "uuid", "bytes"])
      assert.equal(new Set(results.map((r) => r[key])).size, 20, key);
    assert.equal(new Set(results.map((r) => r.first)).size, 1, "top-level randomness is part of the image");
    for (const { now, random } of results) {
      assert.ok(Math.abs(Date.now() - now) < 5_000, `${now}`);
      assert.ok(random >= 0 && random < 1);
    }
  });

  test("Math.random is spread evenly", async () => {
    const random = await program(`export default () => {
      const buckets = new Array(10).fill(0);
      for (let i = 0; i < 10000; i++) buckets[Math.floor(Math.random() * 10)]++;
      return buckets;
    };`);
    for (const bucket of json(await run(random))) assert.ok(bucket > 800 && bucket < 1200, `${bucket}`);
  });

  test("a function never sees another one's memory through a shared instance", async () => {
    const secret = await program(
      `export default async (request: Request) => { (globalThis as any).s = (await request.text()).repeat(1000); return "ok" };`,
    );
    const search = await program(
      `export default () => Object.keys(globalThis).filter((key) => key === "s");`,
    );
    await run(secret, { request: { method: "POST", body: Buffer.from("topsecretvalue") } });
    assert.deepEqual(json(await run(search)), []);
  });

  const work: Record<string, string> = {
    "much memory": "export default () => 'x'.repeat(1e6).length;",
    "the URL extension":
      "export default (r: Request) => { const u = new URL(r.url); u.searchParams.set('a', 'b'); return u.href };",
    "deep recursion":
      "export default () => { const f = () => f() + 1; try { f() } catch { return 'caught' } };",
    "timers and randomness":
      "export default async () => { await new Promise((r) => setTimeout(r, 2)); return crypto.randomUUID() };",
    "an endless loop":
      "export default () => { const a = ['secret'.repeat(100)]; for (;;) a[0] = a[0] + '' };",
    "a trap in the middle of a host call":
      "export default () => { (Object.prototype as any).toJSON = () => 5; throw new Error('no') };",
    "an error": "export default () => { throw new Error('no') };",
    cryptography:
      "export default async () => (await crypto.subtle.digest('SHA-256', new Uint8Array(9))).byteLength;",
    "a structured clone": "export default () => structuredClone({ a: [1, 2, new Date()] });",
  };
  for (const [name, source] of Object.entries(work)) {
    test(`after a request with ${name}, the same instance equals a fresh one, byte for byte`, async () => {
      const { image } = await program("export default () => 'x';");
      const pool = new InstancePool(engine, { waitingBytes: 0, maxInstances: 2, maxIdle: 1 });
      const execution = new Execution(
        { pool, scheduler: new Scheduler(), images: new VariableImages() },
        await program(source),
        {
          limits: { ...limits, timeoutMs: 500 },
          env: { SECRET: "s3cret" },
          context: { requestId: "r", functionName: "f", version: 1 },
          services: noServices,
        },
        performance.now(),
      );
      const { outcome } = await execution.run({
        method: "GET",
        url: "http://x/",
        headers: [],
        body: new Uint8Array(0),
      });
      assert.ok(
        ["completed", "threw", "timedOut", "trapped"].includes(outcome.kind),
        JSON.stringify(outcome),
      );
      await new Promise<void>((resolve) => execution.onOver(resolve));
      assert.equal(pool.stats().idle, 1, "the instance is kept");
      const { instance: used } = pool.acquire(image, "", 0);
      assert.ok(used.save().segments.count > 0, "the request has left traces");
      used.restore(image);
      const fresh = new Instance(engine);
      fresh.restore(image);
      const size = fresh.memory.length;
      assert.equal(Buffer.compare(used.memory.subarray(0, size), fresh.memory), 0);
      assert.equal(
        used.memory.subarray(size).findIndex((byte) => byte !== 0),
        -1,
      );
      assert.deepEqual(used.save(), fresh.save());
    });
  }

  test("fuel and memory of a request do not depend on what ran before it", async () => {
    const small = await program("export default () => [1, 2, 3].map((x) => x * 2);");
    const large = await program("export default () => new Uint8Array(1_500_000).fill(7).length;");
    const alone = (await run(small)).metrics;
    await run(large);
    const after = (await run(small)).metrics;
    assert.equal(after.fuel, alone.fuel);
    assert.equal(after.memoryBytes, alone.memoryBytes);
    assert.equal(text(await run(small)), "[2,4,6]");
  });
});
