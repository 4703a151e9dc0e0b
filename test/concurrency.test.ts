import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { databaseOf, json, sandboxes, text } from "./support/sandbox.ts";

describe("asynchronous functions", () => {
  const { program, run, runtime } = sandboxes();

  test("await timers, several of them together", async () => {
    const waits = await program(`
      const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, ms));
      export default async () => Promise.all([sleep(40), sleep(20), sleep(40)]);`);
    const result = await run(waits);
    assert.deepEqual(json(result), [40, 20, 40]);
    assert.ok(result.metrics.wallMs >= 39 && result.metrics.wallMs < 1_000);
    assert.equal(result.metrics.hostCalls, 3);
  });

  test("a thousand requests wait on a timer without a sandbox each", async () => {
    const { program, run, runtime } = sandboxes({ waitingBytes: 32 * 2 ** 20 });
    const wait = await program(`
      export default async (request: Request) => {
        const kept = { text: "x".repeat(2_000), random: Math.random() };
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { id: await request.text(), kept: kept.text.length, random: kept.random };
      };`);
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) =>
        run(wait, { request: { method: "POST", body: Buffer.from(`${i}`) }, timeoutMs: 20_000 }),
      ),
    );
    const answers = results.map(json);
    assert.deepEqual(
      answers.map(({ id }) => Number(id)),
      answers.map((_, i) => i),
    );
    assert.ok(answers.every(({ kept }) => kept === 2_000));
    assert.equal(new Set(answers.map(({ random }) => random)).size, 1_000);
    assert.ok(runtime.stats().instances <= 64, `${runtime.stats().instances} instances`);
    assert.equal(runtime.stats().busy, 0);
  });

  test("waiting, computing and failing guests share few sandboxes and keep apart", async () => {
    const { program, run, runtime } = sandboxes({ waitingBytes: 8 * 2 ** 20 });
    const mixed = await program(`
      export default async (request: Request) => {
        const id = Number(await request.text());
        let sum = 0;
        for (let round = 0; round < 3; round++) {
          await new Promise((resolve) => setTimeout(resolve, id % 7));
          for (let i = 0; i < 20_000; i++) sum += i % (id + 1);
        }
        if (id % 10 === 3) throw new Error("three");
        if (id % 10 === 4) for (;;) {}
        return { id, sum };
      };`);
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        run(mixed, {
          request: { method: "POST", body: Buffer.from(`${i}`) },
          timeoutMs: i % 10 === 4 ? 300 : 20_000,
        }),
      ),
    );
    for (const [i, result] of results.entries()) {
      if (i % 10 === 3) assert.equal(result.outcome.kind, "threw");
      else if (i % 10 === 4) assert.equal(result.outcome.kind, "timedOut");
      else {
        let sum = 0;
        for (let round = 0; round < 3; round++) for (let n = 0; n < 20_000; n++) sum += n % (i + 1);
        assert.deepEqual(json(result), { id: i, sum });
      }
    }
    await runtime.close();
    assert.equal(runtime.stats().busy, 0);
  });

  test("a promise that nothing will settle is an error at once, not a time-out", async () => {
    const never = await program("export default () => new Promise(() => {});");
    const { outcome, metrics } = await run(never);
    assert.equal(outcome.kind, "threw");
    assert.ok(outcome.kind === "threw" && outcome.error.code === "never_settled");
    assert.ok(metrics.wallMs < 2_000);
  });

  test("timers that are left over die with the request", async () => {
    const left = await program(
      "export default () => { setInterval(() => console.log('tick'), 1); return 'done' };",
    );
    assert.equal(text(await run(left)), "done");
    await runtime.close();
    assert.equal(runtime.stats().busy, 0);
  });

  test("waitUntil goes on after the response, within the time limit", async () => {
    const calls: string[] = [];
    const services = {
      openDatabase: databaseOf(async ({ text }) => {
        calls.push(text);
        return { columns: [], rows: [], count: 0, command: "SELECT" };
      }),
    };
    const background = await program(`
      import { sql } from "thimble:db";
      export default (request: Request, ctx: any) => {
        ctx.waitUntil((async () => { await new Promise((r) => setTimeout(r, 30)); await sql\`select 1\` })());
        return "early";
      };`);
    const result = await run(background, { services });
    assert.equal(text(result), "early");
    assert.deepEqual(calls, []);
    await runtime.close();
    assert.deepEqual(calls, ["select 1"]);
    assert.equal(runtime.stats().busy, 0);
  });

  test("as many operations as one likes are refused with an error that can be caught", async () => {
    const many = await program(`export default () => {
      let made = 0;
      try { for (; made < 5_000; made++) setTimeout(() => {}, 1_000) } catch (error) { return { made, error: String(error) } }
      return { made };
    };`);
    const { made, error } = json(await run(many));
    assert.equal(made, 1_000);
    assert.match(error, /too many/i);
  });

  test("a pool that is full says so", async () => {
    const { program, run } = sandboxes({ maxInstances: 2, warm: 0 });
    const spin = await program("export default () => { for (;;) {} };");
    const first = [run(spin, { timeoutMs: 300 }), run(spin, { timeoutMs: 300 })];
    await new Promise((resolve) => setTimeout(resolve, 20));
    await assert.rejects(run(spin), { code: "overloaded" });
    for (const { outcome } of await Promise.all(first)) assert.equal(outcome.kind, "timedOut");
    assert.equal((await run(spin, { timeoutMs: 20 })).outcome.kind, "timedOut");
  });

  test("those that wait are put aside by the memory that they hold, not by their number", async () => {
    const { program, run, runtime } = sandboxes({ waitingBytes: 16 * 2 ** 20, warm: 0 });
    const wait = await program(`
      export default async (request: Request) => {
        const kept = new Uint8Array(Number(await request.text())).fill(1);
        await new Promise((resolve) => setTimeout(resolve, 500));
        return { length: kept.length, last: kept.at(-1) };
      };`);
    const all = (bytes: number, count: number) =>
      Promise.all(
        Array.from({ length: count }, () =>
          run(wait, { request: { method: "POST", body: Buffer.from(`${bytes}`) } }),
        ),
      );
    const small = all(10, 6);
    while (runtime.stats().busy < 6) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.deepEqual((await small).map(json), Array(6).fill({ length: 10, last: 1 }));
    const large = all(8 * 2 ** 20, 4);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(runtime.stats().busy <= 3, `${runtime.stats().busy} sandboxes of 10 MiB`);
    assert.deepEqual((await large).map(json), Array(4).fill({ length: 8 * 2 ** 20, last: 1 }));
  });
});
