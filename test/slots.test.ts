import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Admission, ALL_FUNCTIONS } from "../gateway/admission.ts";
import { type Borrower, SlotBank } from "../gateway/processes/slot-bank.ts";
import { randomNumbers } from "./support/wasm-modules.ts";

/** Several processes' admissions and one bank, with messages between them that take their time. */
class Processes {
  readonly admissions: Admission[] = [];
  readonly limits: Record<string, number> = { [ALL_FUNCTIONS]: 1000, f: 10, g: 10 };
  readonly bank = new SlotBank<Borrower>((key) => this.limits[key] ?? 0);
  readonly borrowers: Borrower[] = [];
  messages = 0;
  most = 0;
  served: number[] = [];

  constructor(count: number, { queueTimeoutMs = 10_000, queueLimit = 1000, limit = 1000 } = {}) {
    this.limits[ALL_FUNCTIONS] = limit;
    for (let i = 0; i < count; i++) {
      const borrower: Borrower = {
        grant: (key, amount) => this.#send(() => admission.grant(key, amount)),
        owe: (key, amount, keep) => this.#send(() => admission.owe(key, amount, keep)),
      };
      const admission = new Admission({
        ...{ queueTimeoutMs, queueLimit, limit, totalQueueLimit: 10_000 },
        lender: {
          want: (key, amount) => this.#send(() => this.bank.want(borrower, key, amount)),
          giveBack: (key, amount, wanted) =>
            this.#send(() => this.bank.giveBack(borrower, key, amount, wanted)),
        },
      });
      this.bank.add(borrower);
      this.admissions.push(admission);
      this.borrowers.push(borrower);
      this.served.push(0);
    }
  }

  /** In order, as on a channel. */
  #send(deliver: () => void): void {
    this.messages++;
    setImmediate(deliver);
  }

  get active(): number {
    return this.admissions.reduce((sum, admission) => sum + admission.active(), 0);
  }

  /** One execution. */
  async run(process: number, key: string, ms: number): Promise<void> {
    const release = await this.admissions[process]!.acquire(key, this.limits[key]!);
    this.most = Math.max(this.most, this.active);
    await sleep(ms);
    this.served[process]!++;
    release();
  }
}

const all = (count: number, run: (i: number) => Promise<void>) =>
  Promise.all(Array.from({ length: count }, (_, i) => run(i)));

describe("slots of limits that hold over several processes", () => {
  test("are never more than the limit, and all who wait come to their turn", async () => {
    for (const [limit, count] of [
      [1, 2],
      [2, 3],
      [3, 2],
      [10, 4],
    ] as const) {
      const processes = new Processes(count);
      processes.limits.f = limit;
      const random = randomNumbers(limit * 10 + count);
      await all(200, async () => {
        await sleep(random(100));
        await processes.run(random(count), "f", random(4));
      });
      assert.ok(processes.most <= limit, `${processes.most} of ${limit}`);
      assert.equal(processes.active, 0);
    }
  });

  test("can all be used by one process while the others need none", async () => {
    const processes = new Processes(4);
    await processes.run(1, "f", 0);
    await all(10, () => processes.run(0, "f", 20));
    assert.equal(processes.most, 10);
    await all(10, () => processes.run(2, "f", 20));
    assert.equal(processes.most, 10);
  });

  test("are shared evenly while several need them", async () => {
    for (const limit of [1, 3, 10]) {
      const processes = new Processes(2);
      processes.limits.f = limit;
      let going = true;
      const loops = all(2 * 2 * limit, async (i) => {
        while (going) await processes.run(i % 2, "f", 1);
      });
      await sleep(400);
      going = false;
      await loops;
      const [a, b] = processes.served as [number, number];
      assert.ok(Math.min(a, b) * 4 > Math.max(a, b), `${a} and ${b} of ${limit}`);
    }
  });

  test("cost no messages as long as a process has enough", async () => {
    const processes = new Processes(2);
    await processes.run(0, "f", 0);
    const before = processes.messages;
    for (let i = 0; i < 100; i++) await processes.run(0, "f", 0);
    await all(5, () => processes.run(0, "f", 1));
    assert.equal(processes.messages, before);
  });

  test("of a process that is gone are free, and a lowered limit is kept to", async () => {
    const processes = new Processes(2);
    await all(10, () => processes.run(0, "f", 1));
    processes.bank.remove(processes.borrowers[0]!);
    await all(10, () => processes.run(1, "f", 1));
    processes.limits.f = 2;
    processes.bank.settle("f");
    await sleep(5);
    processes.most = 0;
    await all(10, () => processes.run(1, "f", 1));
    assert.equal(processes.most, 2);
  });

  test("are waited for also where nobody may queue", async () => {
    const processes = new Processes(2, { queueTimeoutMs: 0, queueLimit: 0 });
    await all(10, (i) => processes.run(i % 2, "f", 30));
    assert.equal(processes.most, 10);
    const busy = all(10, (i) => processes.run(i % 2, "f", 300));
    await sleep(20);
    await assert.rejects(processes.run(0, "f", 0), { code: "concurrency_limit" });
    await busy;
  });

  test("bound all functions together as well", async () => {
    const processes = new Processes(2, { limit: 4 });
    await all(40, (i) => processes.run(i % 2, i % 3 === 0 ? "f" : "g", 2));
    assert.equal(processes.most, 4);
    const short = new Processes(1, { limit: 4, queueTimeoutMs: 150 });
    const busy = all(4, () => short.run(0, "f", 600));
    await sleep(20);
    await assert.rejects(short.run(0, "g", 0), { code: "overloaded", status: 503, retryAfterSeconds: 1 });
    await busy;
    assert.equal(short.active, 0);
  });

  test("that were never lent cannot be given back", () => {
    const processes = new Processes(1);
    assert.throws(() => processes.bank.giveBack(processes.borrowers[0]!, "f", 1, 0), RangeError);
  });
});
