import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InstancePool } from "../runtime/pool.ts";
import { engine, json, sandboxes, text } from "./support/sandbox.ts";

const reuse = { maxRequests: 1_000, maxAgeMs: 60_000 };
const counter = `
  let count = 0;
  export default async (request: Request) => {
    const { pathname } = new URL(request.url);
    count++;
    if (pathname === "/throw") throw new Error("no");
    if (pathname === "/spin") for (;;) {}
    if (pathname === "/memory") { const all = []; for (;;) all.push(new Uint8Array(1e6)) }
    if (pathname === "/late") setTimeout(() => { count += 100 }, 1);
    if (pathname === "/after") Promise.resolve().then(() => {}).then(() => { count += 1000 });
    if (pathname === "/wait") await new Promise((resolve) => setTimeout(resolve, 20));
    if (pathname === "/variable") return process.env.NAME;
    return count;
  };`;
const get = (path: string) => ({ request: { url: `http://localhost${path}` } });

describe("isolation by instance", () => {
  test("a sandbox keeps its state between requests, up to a number of them", async () => {
    const { program, run } = sandboxes();
    const counts = await program(counter);
    const seen = [];
    for (let i = 0; i < 7; i++) seen.push(json(await run(counts, { reuse: { ...reuse, maxRequests: 3 } })));
    assert.deepEqual(seen, [1, 2, 3, 1, 2, 3, 1]);
  });

  test("not beyond an age", async () => {
    const { program, run } = sandboxes();
    const counts = await program(counter);
    assert.equal(json(await run(counts, { reuse: { ...reuse, maxAgeMs: 5 } })), 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(json(await run(counts, { reuse: { ...reuse, maxAgeMs: 5 } })), 1);
  });

  test("without it nothing is kept, before and after", async () => {
    const { program, run } = sandboxes({ warm: 1, maxIdle: 1 });
    const counts = await program(counter);
    assert.equal(json(await run(counts)), 1);
    assert.equal(json(await run(counts, { reuse })), 1);
    assert.equal(json(await run(counts)), 1);
    assert.equal(json(await run(counts, { reuse })), 2);
  });

  test("functions, and the same function with other variables, have their own", async () => {
    const { program, run } = sandboxes();
    const [one, other] = [await program(counter), await program(counter)];
    const first = { NAME: "first" };
    const second = { NAME: "second" };
    assert.equal(json(await run(one, { reuse, env: first })), 1);
    assert.equal(json(await run(other, { reuse, env: first })), 1);
    assert.equal(text(await run(one, { reuse, env: second, ...get("/variable") })), "second");
    assert.equal(text(await run(one, { reuse, env: first, ...get("/variable") })), "first");
    assert.equal(json(await run(one, { reuse, env: first })), 3);
  });

  test("an error leaves the sandbox as it is; a time-out or a limit drops it", async () => {
    const { program, run, runtime } = sandboxes();
    const counts = await program(counter);
    const tight = { reuse, timeoutMs: 300, memoryLimitBytes: 8 * 1024 * 1024 };
    await run(counts, tight);
    assert.equal((await run(counts, { ...tight, ...get("/throw") })).outcome.kind, "threw");
    assert.equal(json(await run(counts, tight)), 3);
    assert.equal((await run(counts, { ...tight, ...get("/spin") })).outcome.kind, "timedOut");
    assert.equal(json(await run(counts, tight)), 1);
    assert.equal((await run(counts, { ...tight, ...get("/memory") })).outcome.kind, "outOfMemory");
    assert.equal(json(await run(counts, tight)), 1);
    await runtime.close();
    assert.equal(runtime.stats().busy, 0);
  });

  test("a client that leaves while the function waits leaves nothing half done to the next request", async () => {
    const { program, run, runtime } = sandboxes();
    const counts = await program(counter);
    await run(counts, { reuse });
    const client = new AbortController();
    const left = run(counts, { reuse, signal: client.signal, ...get("/wait") });
    setTimeout(() => client.abort(), 5);
    assert.equal((await left).outcome.kind, "aborted");
    await runtime.close();
    assert.ok([1, 3].includes(json(await run(counts, { reuse }))));
  });

  test("microtasks run to their end before the next request, timers end with theirs", async () => {
    const { program, run } = sandboxes();
    const counts = await program(counter);
    assert.equal(json(await run(counts, { reuse, ...get("/after") })), 1);
    assert.equal(json(await run(counts, { reuse, ...get("/late") })), 1002);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(json(await run(counts, { reuse })), 1003);
  });

  test("requests at the same time have a sandbox each, also when some give theirs up while they wait", async () => {
    const { program, run, runtime } = sandboxes({ waitingBytes: 4 * 2 ** 20 });
    const counts = await program(counter);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => run(counts, { reuse, ...get("/wait") })),
    );
    for (const answer of answers) assert.equal(json(answer), 1);
    const again = await Promise.all(Array.from({ length: 3 }, () => run(counts, { reuse })));
    for (const answer of again) assert.ok(json(answer) >= 2);
    assert.equal(runtime.stats().busy, 0);
  });

  test("idle sandboxes with a state are bounded as all others", async () => {
    const { program, run, runtime } = sandboxes({ maxIdle: 3, warm: 0 });
    const functions = await Promise.all(Array.from({ length: 6 }, () => program(counter)));
    for (const one of functions) assert.equal(json(await run(one, { reuse })), 1);
    assert.ok(runtime.stats().idle <= 6, `${runtime.stats().idle}`);
    assert.equal(json(await run(functions[5]!, { reuse })), 2);
    assert.equal(json(await run(functions[0]!, { reuse })), 1);
  });
});

describe("idle sandboxes", () => {
  test("are given up beyond what was needed at once lately", async () => {
    const { program } = sandboxes();
    const { image } = await program("export default () => 1");
    const pool = new InstancePool(engine, { waitingBytes: 0, maxInstances: 8, maxIdle: 8 });
    const leases = Array.from({ length: 5 }, () => pool.acquire(image, "", 0));
    for (const lease of leases) pool.release(lease, lease.instance, "used");
    assert.equal(pool.stats().idle, 5);
    pool.trim(1);
    assert.equal(pool.stats().idle, 5, "all five were needed");
    const again = [0, 1].map(() => pool.acquire(image, "", 0));
    for (const lease of again) pool.release(lease, lease.instance, "used");
    pool.trim(1);
    assert.equal(pool.stats().idle, 2);
    pool.trim(1);
    assert.equal(pool.stats().idle, 1, "the least stays");
  });

  test("with a function's state in them are given up when they are too old", async () => {
    const { program } = sandboxes();
    const { image } = await program("export default () => 1");
    const pool = new InstancePool(engine, { waitingBytes: 0, maxInstances: 8, maxIdle: 8 });
    const short = { maxRequests: 10, maxAgeMs: 5 };
    const lease = pool.acquire(image, "", performance.now(), short);
    pool.release(lease, lease.instance, "at rest");
    assert.equal(pool.stats().idle, 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    pool.trim(0);
    pool.trim(0);
    assert.equal(pool.stats().idle, 0);
  });
});

describe("variables", () => {
  const shows = `
    const early = process.env;
    export default (_: Request, ctx: any) => ({ name: process.env.NAME ?? null, same: early === process.env && ctx.env === early });`;

  test("are there from the first request on, and what a request does to them is gone", async () => {
    const { program, run } = sandboxes();
    const show = await program(shows);
    const env = { NAME: "a\nb\u0000ü" };
    for (let i = 0; i < 3; i++)
      assert.deepEqual(json(await run(show, { env })), { name: env.NAME, same: true });
    const sets = await program(
      "export default () => { const old = process.env.NAME; process.env.NAME = 'x'; return old };",
    );
    for (let i = 0; i < 3; i++) assert.equal(text(await run(sets, { env: { NAME: "y" } })), "y");
  });

  test("of several sets at the same time each request has its own", async () => {
    const { program, run } = sandboxes();
    const show = await program(shows);
    const sets = Array.from({ length: 7 }, (_, i) => ({ NAME: `${i}` }));
    for (let i = 0; i < 30; i++) {
      const env = sets[i % sets.length]!;
      assert.equal(json(await run(show, { env })).name, env.NAME);
    }
    assert.equal(json(await run(show)).name, null);
  });

  test("fuel is the same for the first request and for later ones", async () => {
    const { program, run } = sandboxes();
    const show = await program(shows);
    const env = { NAME: "n" };
    const [first, second] = [await run(show, { env }), await run(show, { env })];
    assert.equal(first.metrics.fuel, second.metrics.fuel);
  });

  test("a setter that the function has put there can't make the first request fail, nor keep its time", async () => {
    const { program, run } = sandboxes();
    const trap = await program(`
      Object.defineProperty(process.env, "NAME", { set() { for (;;) {} }, get: () => "own" });
      export default () => process.env.NAME;`);
    const result = await run(trap, { env: { NAME: "n" }, timeoutMs: 100 });
    assert.equal(result.outcome.kind, "timedOut");
  });
});

describe("requests' heads", () => {
  test("with a line break in them are refused", async () => {
    const { program, run } = sandboxes();
    const any = await program("export default (r: Request) => [...r.headers].length;");
    await assert.rejects(run(any, { request: { headers: [["a", "b\nc"]] } }), TypeError);
    assert.equal(
      json(
        await run(any, {
          request: {
            headers: [
              ["a", ""],
              ["b", "é"],
            ],
          },
        }),
      ),
      2,
    );
  });
});
