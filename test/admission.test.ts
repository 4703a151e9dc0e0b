import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Admission, type Release } from "../gateway/admission.ts";

const admission = (queueTimeoutMs = 1000, queueLimit = 100) =>
  new Admission({ queueTimeoutMs, queueLimit, limit: 1000, totalQueueLimit: 1000 });
const at = (gate: Admission, limit = 1, signal?: AbortSignal) =>
  Promise.resolve().then(() => gate.acquire("f", limit, signal));

describe("admission (R2)", () => {
  test("admits up to the limit at once and counts exactly", async () => {
    const gate = admission();
    const releases = await Promise.all([at(gate, 3), at(gate, 3), at(gate, 3)]);
    assert.equal(gate.active("f"), 3);
    assert.equal(gate.active(), 3);
    for (const release of releases) {
      release();
      release();
    }
    assert.equal(gate.active("f"), 0);
    assert.equal(gate.active(), 0);
  });

  test("does not let one function's executions count for another", async () => {
    const gate = admission(0);
    await at(gate);
    assert.equal(typeof gate.acquire("g", 1), "function");
    assert.equal(gate.active(), 2);
  });

  test("admits those who wait in the order of their coming", async () => {
    const gate = admission();
    const first = await at(gate);
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (n) => {
      const release = await gate.acquire("f", 1);
      order.push(n);
      release();
    });
    assert.equal(gate.queued("f"), 3);
    first();
    await Promise.all(waiting);
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(gate.queued(), 0);
  });

  test("refuses with concurrency_limit after the queue time", async () => {
    const gate = admission(20);
    await at(gate);
    const started = performance.now();
    await assert.rejects(at(gate), { code: "concurrency_limit", status: 429, retryAfterSeconds: 1 });
    assert.ok(performance.now() - started >= 18);
    assert.equal(gate.queued(), 0);
    assert.equal(gate.active(), 1);
  });

  test("refuses at once when the queue is full", async () => {
    const gate = admission(1000, 1);
    const release = await at(gate);
    const second = gate.acquire("f", 1) as Promise<Release>;
    await assert.rejects(at(gate), { code: "concurrency_limit" });
    release();
    (await second)();
    assert.equal(gate.active(), 0);
  });

  test("lets a client that goes away leave the queue", async () => {
    const gate = admission();
    const release = await at(gate);
    const client = new AbortController();
    const waiting = at(gate, 1, client.signal);
    await Promise.resolve();
    client.abort();
    await assert.rejects(waiting, { code: "client_closed" });
    assert.equal(gate.queued("f"), 0);
    release();
    assert.equal(gate.active(), 0);
    await assert.rejects(at(gate, 1, client.signal), { code: "client_closed" });
  });

  test("admits those who wait when a new version raises the limit, before the newcomer", async () => {
    const gate = admission(50);
    await at(gate, 1);
    const waiting = gate.acquire("f", 1) as Promise<Release>;
    await assert.rejects(async () => {
      const newcomer = gate.acquire("f", 2);
      await waiting;
      await newcomer;
    });
    assert.equal(gate.active("f"), 2);
  });

  test("drains: refuses all who come and wait, and resolves when the last has ended", async () => {
    const gate = admission();
    const release = await at(gate);
    const waiting = at(gate);
    await Promise.resolve();
    let drained = false;
    const draining = gate.drain().then(() => {
      drained = true;
    });
    await assert.rejects(waiting, { code: "overloaded", status: 503 });
    await assert.rejects(at(gate), { code: "overloaded" });
    assert.equal(drained, false);
    release();
    await draining;
  });
});
