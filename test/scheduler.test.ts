import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Scheduler } from "../runtime/scheduler.ts";

const guest = (cpuMs: number) => ({ cpuMs, stopped: false });

test("of a function's guests the one that has had least time goes first", async () => {
  const scheduler = new Scheduler();
  const order: number[] = [];
  await Promise.all(
    [300, 100, 200].map(async (cpuMs) => {
      await scheduler.park("f", guest(cpuMs));
      order.push(cpuMs);
    }),
  );
  assert.deepEqual(order, [100, 200, 300]);
});

test("a flow of new requests does not hold up an older one of the same function for ever", async () => {
  const scheduler = new Scheduler();
  let resumed = false;
  const older = scheduler.park("f", guest(2)).then(() => {
    resumed = true;
  });
  const others: Promise<void>[] = [];
  const until = performance.now() + 5_000;
  while (!resumed && performance.now() < until) {
    others.push(scheduler.park("f", guest(0.5)), scheduler.park("f", guest(0.5)));
    await setImmediate();
  }
  assert.ok(resumed, `still waiting behind ${others.length} that came later`);
  await Promise.all([older, ...others]);
});

test("functions share the thread, however many guests they have", async () => {
  const scheduler = new Scheduler();
  const turns = { many: 0, one: 0 };
  const spin = async (name: "many" | "one") => {
    const spinning = guest(0.5);
    while (turns.many + turns.one < 100) {
      await scheduler.park(name, spinning);
      turns[name]++;
      spinning.cpuMs += 0.5;
    }
  };
  await Promise.all([...Array.from({ length: 9 }, () => spin("many")), spin("one")]);
  assert.ok(turns.one >= 40, `${turns.one} turns of ${turns.one + turns.many}`);
});
