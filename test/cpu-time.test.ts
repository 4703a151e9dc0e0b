import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Parked, Scheduler } from "../runtime/scheduler.ts";
import { json, sandboxes, text } from "./support/sandbox.ts";

describe("a limit of CPU time", () => {
  const { program, run } = sandboxes();

  test("ends what computes, and says so", async () => {
    const spin = await program("export default () => { try { for (;;) {} } finally { for (;;) {} } };");
    const { outcome, metrics } = await run(spin, { cpuMs: 40 });
    assert.deepEqual(outcome, { kind: "outOfCpu", cpuMs: 40 });
    assert.ok(metrics.cpuMs >= 40 && metrics.cpuMs < 400, `${metrics.cpuMs}`);
  });

  test("does not count what waits", async () => {
    const waits = await program(
      "export default async () => { await new Promise((resolve) => setTimeout(resolve, 150)); return 'waited' };",
    );
    const result = await run(waits, { cpuMs: 100 });
    assert.equal(text(result), "waited");
    assert.ok(result.metrics.wallMs >= 149 && result.metrics.cpuMs < 100);
  });

  test("counts all that a request computes, before and after it waited", async () => {
    const twice = await program(`
      const compute = () => { const end = 3e5; let sum = 0; for (let i = 0; i < end; i++) sum += i; return sum };
      export default async () => {
        for (let i = 0; i < 10_000; i++) { compute(); await new Promise((resolve) => setTimeout(resolve, 1)) }
      };`);
    assert.equal((await run(twice, { cpuMs: 60, timeoutMs: 20_000 })).outcome.kind, "outOfCpu");
  });

  test("is counted apart from the time that others had meanwhile", async () => {
    const work = await program(
      "export default () => { let sum = 0; for (let i = 0; i < 1e5; i++) sum += i; return sum };",
    );
    const spin = await program("export default () => { for (;;) {} };");
    const alone = (await run(work)).metrics.cpuMs;
    const others = Array.from({ length: 4 }, () => run(spin, { timeoutMs: 1_000 }));
    const beside = await run(work, { cpuMs: Math.max(100, alone * 20) });
    assert.equal(beside.outcome.kind, "completed");
    for (const { outcome } of await Promise.all(others)) assert.equal(outcome.kind, "timedOut");
  });
});

describe("turns", () => {
  /** A guest that computes for so long in each turn. */
  class Guest implements Parked {
    cpuMs = 0;
    stopped = false;
    turns = 0;
  }

  async function spin(scheduler: Scheduler, name: string, guest: Guest, order: string[]): Promise<void> {
    while (!guest.stopped) {
      await scheduler.take(name);
      guest.cpuMs += 1;
      guest.turns++;
      order.push(name);
      scheduler.give();
      await scheduler.park(name, guest);
    }
  }

  test("are shared fairly between functions, then between the requests of each", async () => {
    const scheduler = new Scheduler();
    const order: string[] = [];
    const many = Array.from({ length: 9 }, () => new Guest());
    const single = new Guest();
    const all = [
      ...many.map((guest) => spin(scheduler, "many", guest, order)),
      spin(scheduler, "single", single, order),
    ];
    while (order.length < 400) await new Promise((resolve) => setImmediate(resolve));
    for (const guest of [...many, single]) guest.stopped = true;
    await Promise.all(all);
    const share = single.turns / order.length;
    assert.ok(share > 0.45 && share < 0.55, `${share}`);
    const turns = many.map((guest) => guest.turns);
    assert.ok(Math.max(...turns) - Math.min(...turns) <= 2, turns.join());
  });

  test("those that enter together have them by turns of their functions", async () => {
    const scheduler = new Scheduler();
    const order: string[] = [];
    const enter = async (name: string) => {
      await scheduler.take(name);
      order.push(name);
      await new Promise((resolve) => setImmediate(resolve));
      scheduler.give();
    };
    await Promise.all([..."aaaabbc"].map(enter));
    assert.deepEqual([...order].sort(), [..."aaaabbc"]);
    assert.ok(order.indexOf("b") <= 3 && order.indexOf("c") <= 3, order.join(""));
  });

  test("one who was away does not get what the others had meanwhile", async () => {
    const scheduler = new Scheduler();
    const order: string[] = [];
    const [old, late] = [new Guest(), new Guest()];
    const first = spin(scheduler, "old", old, order);
    while (order.length < 100) await new Promise((resolve) => setImmediate(resolve));
    const second = spin(scheduler, "late", late, order);
    while (order.length < 200) await new Promise((resolve) => setImmediate(resolve));
    old.stopped = late.stopped = true;
    await Promise.all([first, second]);
    assert.ok(late.turns < 60, `${late.turns} of 100`);
  });

  test("a function whose requests all spin leaves another one's short requests alone", async () => {
    const { program, run } = sandboxes();
    const spinner = await program("export default () => { for (;;) {} };");
    const hello = await program("export default () => ({ hello: 'world' });");
    const spinning = Array.from({ length: 10 }, () => run(spinner, { timeoutMs: 1_500 }));
    const waits: number[] = [];
    for (let i = 0; i < 100; i++) {
      const began = performance.now();
      assert.deepEqual(json(await run(hello)), { hello: "world" });
      waits.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    waits.sort((a, b) => a - b);
    assert.ok(waits[50]! < 50, `median ${waits[50]} ms`);
    for (const { outcome } of await Promise.all(spinning)) assert.equal(outcome.kind, "timedOut");
  });
});
