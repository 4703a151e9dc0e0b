import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { json, sandboxes, text } from "./support/sandbox.ts";

/** R6, R7, R8: limits fire in the thread that serves requests, and nothing in the guest can stop them. */
const endless: Record<string, string> = {
  "while(true)": "while (true) {}",
  "try/catch/finally around endless loops":
    "try { for (;;) {} } catch { for (;;) {} } finally { for (;;) {} }",
  "new Array(1e9) + ''": "return new Array(1e9) + ''",
  "a catastrophic regular expression": "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
  "an endless microtask chain": "const next = () => Promise.resolve().then(next); await next()",
  "an async loop that never waits": "for (;;) await null",
  "a sort comparator that never returns": "[3, 2, 1].sort(() => { for (;;) {} })",
  "a getter that never returns": "return ({ get x() { for (;;) {} } }).x",
  "toString, valueOf and toJSON that never return":
    "return JSON.stringify({ toJSON() { return '' + { toString() { for (;;) {} } } } })",
  "a proxy trap that never returns": "return new Proxy({}, { get() { for (;;) {} } }).x",
  "a generator": "function* all() { for (;;) yield 1 } for (const _ of all()) {}",
  "a huge repeat and search": "const s = 'ab'.repeat(2e7); for (;;) s.lastIndexOf('ba'.repeat(1000) + 'c')",
  "a timer that sets itself anew":
    "const again = () => setTimeout(again, 0); again(); await new Promise(() => {})",
  "waiting for a timer beyond the limit": "await new Promise((resolve) => setTimeout(resolve, 60_000))",
};

describe("execution time-out", () => {
  const { program, run, runtime } = sandboxes();
  for (const [name, body] of Object.entries(endless)) {
    test(`ends ${name}`, async () => {
      const spin = await program(
        `export default async (request: Request) => { if (request.url.endsWith("/ok")) return "fine"; ${body} };`,
      );
      const began = performance.now();
      const { outcome, background } = await run(spin, { timeoutMs: 100 });
      const elapsed = performance.now() - began;
      await background;
      assert.deepEqual(outcome, { kind: "timedOut", timeoutMs: 100 });
      assert.ok(elapsed >= 99 && elapsed < 2_000, `took ${elapsed} ms`);
      assert.equal(text(await run(spin, { request: { url: "http://localhost/ok" } })), "fine");
      assert.equal(runtime.stats().busy, 0);
    });
  }

  for (const timeoutMs of [5, 50, 500, 5_000]) {
    test(`fires at ${timeoutMs} ms`, async () => {
      const spin = await program("export default () => { while (true) {} };");
      const { outcome, metrics } = await run(spin, { timeoutMs });
      assert.deepEqual(outcome, { kind: "timedOut", timeoutMs });
      assert.ok(
        metrics.wallMs >= timeoutMs - 1 && metrics.wallMs < timeoutMs + 1_000,
        `${metrics.wallMs} ms`,
      );
    });
  }

  test("leaves the thread to others: timers fire and short requests end while guests spin", async () => {
    const spin = await program("export default () => { while (true) {} };");
    const short = await program("export default () => 'short';");
    const controller = new AbortController();
    const spinning = Array.from({ length: 4 }, () =>
      run(spin, { timeoutMs: 60_000, signal: controller.signal }),
    );
    let ticks = 0;
    const interval = setInterval(() => ticks++, 5);
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 20; i++) assert.equal(text(await run(short)), "short");
    clearInterval(interval);
    controller.abort();
    for (const { outcome } of await Promise.all(spinning)) assert.equal(outcome.kind, "aborted");
    assert.ok(ticks >= 3, `${ticks} ticks`);
    await runtime.close();
    assert.equal(runtime.stats().busy, 0);
  });

  test("guests that were stopped give their sandboxes back before others go on", async () => {
    const { program, run, runtime } = sandboxes({ maxInstances: 12, warm: 0 });
    const spin = await program("export default () => { while (true) {} };");
    const short = await program("export default () => 'short';");
    for (let round = 0; round < 10; round++) {
      const controller = new AbortController();
      const spinning = Array.from({ length: 10 }, () => run(spin, { signal: controller.signal }));
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.abort();
      const results = await Promise.all(spinning);
      await Promise.all(results.map(({ background }) => background));
      assert.equal(runtime.stats().busy, 0);
      assert.equal(text(await run(short)), "short");
    }
  });

  test("shares the thread evenly among those that compute", async () => {
    const count = await program(
      "export default () => { let n = 0; const end = 3e5; while (n < end) n++; return { n }; };",
    );
    const results = await Promise.all([run(count), run(count), run(count)]);
    for (const result of results) assert.equal(json(result).n, 3e5);
  });
});

describe("recursion", () => {
  const { program, run } = sandboxes();
  const cases: Record<string, string> = {
    "a function": "const f = () => f() + 1; return f()",
    "a getter": "const o = { get x() { return o.x } }; return o.x",
    toString: "const o: any = { toString: () => o + '' }; return o + ''",
    "a proxy": "const p: any = new Proxy({}, { get: (_t, _k, r) => r.x }); return p.x",
    "nested arrays in JSON":
      "let a: any = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a)",
    "JSON.parse": "return JSON.parse('['.repeat(1e6))",
    "a nested regular expression": "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('')",
  };
  for (const [name, body] of Object.entries(cases)) {
    test(`without end ends in an error: ${name}`, async () => {
      const deep = await program(
        `export default (request: Request) => { if (request.url.endsWith("/ok")) return "fine"; ${body} };`,
      );
      const { outcome } = await run(deep);
      assert.ok(["stackOverflow", "threw"].includes(outcome.kind), JSON.stringify(outcome));
      assert.equal(text(await run(deep, { request: { url: "http://localhost/ok" } })), "fine");
    });
  }

  test("can be caught by the guest, like anywhere", async () => {
    const caught = await program(
      "export default () => { const f = () => f() + 1; try { return f() } catch (e) { return (e as Error).name } };",
    );
    assert.equal(text(await run(caught)), "RangeError");
  });
});

describe("memory limit", () => {
  const { program, run, runtime } = sandboxes();
  const growth: Record<string, string> = {
    arrays: "const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))",
    objects: "const all = []; for (let i = 0; ; i++) all.push({ i, text: 'x' + i })",
    "strings in a try":
      "for (;;) try { const all = []; for (;;) all.push('x'.repeat(1e6) + all.length) } catch {}",
    "one array buffer": "return new ArrayBuffer(2 ** 30).byteLength",
  };
  for (const megabytes of [16, 64, 128]) {
    for (const [name, body] of Object.entries(growth)) {
      test(`stops ${name} at ${megabytes} MB`, async () => {
        const grow = await program(`export default () => { ${body} };`);
        const limitBytes = megabytes * 1024 * 1024;
        const { outcome, metrics } = await run(grow, { memoryLimitBytes: limitBytes, timeoutMs: 20_000 });
        assert.deepEqual(outcome, { kind: "outOfMemory", limitBytes });
        assert.ok(metrics.memoryBytes <= limitBytes);
      });
    }
  }

  test("what a sandbox had taken comes back to the process", async () => {
    const grow = await program(`export default () => { ${growth.arrays} };`);
    const ok = await program("export default () => 'fine';");
    await run(ok);
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 10; i++) {
      const { outcome } = await run(grow, { timeoutMs: 20_000 });
      assert.equal(outcome.kind, "outOfMemory");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // ten times 128 MB were taken; what is kept must be far less
    let kept = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 100 && kept > 300e6; i++) {
      globalThis.gc?.();
      assert.equal(text(await run(ok)), "fine");
      await new Promise((resolve) => setTimeout(resolve, 50));
      kept = process.memoryUsage().rss - before;
    }
    assert.ok(kept < 300e6, `${kept / 1e6} MB kept`);
    assert.equal(runtime.stats().busy, 0);
  });
});

describe("fuel", () => {
  const { program, run } = sandboxes();

  test("a budget stops a guest, the same at every run", async () => {
    const spin = await program("export default () => { while (true) {} };");
    const { outcome, metrics } = await run(spin, { fuel: 1_000_000 });
    assert.deepEqual(outcome, { kind: "outOfFuel", fuel: 1_000_000 });
    // the engine's dispatching loop pays for 16 turns at a time, of about a thousand units each
    assert.ok(metrics.fuel > 1_000_000 && metrics.fuel < 1_020_000, `${metrics.fuel}`);
    assert.equal((await run(spin, { fuel: 1_000_000 })).metrics.fuel, metrics.fuel);
  });

  test("is the same for the same input", async () => {
    const work = await program(
      "export default () => { let s = ''; for (let i = 0; i < 5000; i++) s += i; return JSON.stringify([s.length, [...s].sort()]).length };",
    );
    const used = new Set<number>();
    for (let i = 0; i < 5; i++) used.add((await run(work)).metrics.fuel);
    assert.equal(used.size, 1, [...used].join());
  });
});

describe("abort", () => {
  const { program, run, runtime } = sandboxes();
  for (const [name, body] of Object.entries({
    computing: "for (;;) {}",
    waiting: "await new Promise((resolve) => setTimeout(resolve, 10_000))",
  })) {
    test(`a client that goes away ends a guest that is ${name}`, async () => {
      const guest = await program(`export default async () => { ${body} };`);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 30);
      const { outcome, metrics } = await run(guest, { signal: controller.signal });
      assert.equal(outcome.kind, "aborted");
      assert.ok(metrics.wallMs < 2_000);
      await runtime.close();
      assert.equal(runtime.stats().busy, 0);
    });
  }

  test("a signal that has fired already runs nothing, and keeps nobody else from running", async () => {
    const guest = await program("export default () => 'ran';");
    for (let i = 0; i < 3; i++) {
      assert.equal((await run(guest, { signal: AbortSignal.abort() })).outcome.kind, "aborted");
    }
    assert.equal(text(await run(guest)), "ran");
    assert.equal(runtime.stats().busy, 0);
  });
});

describe("responses", () => {
  const { program, run } = sandboxes();
  test("over the limit are refused", async () => {
    const big = await program("export default () => new Response(new Uint8Array(2_000_000));");
    const { outcome } = await run(big, { responseLimitBytes: 1_000_000 });
    assert.deepEqual(outcome, { kind: "responseTooLarge", limitBytes: 1_000_000 });
  });
});
