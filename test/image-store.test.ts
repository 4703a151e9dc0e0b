import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ImageStore } from "../runtime/image-store.ts";
import { Instance } from "../runtime/instance.ts";
import { engine, json, limits, noServices, sandboxes, text } from "./support/sandbox.ts";

const { program } = sandboxes();
const kilobyte = 1024;

/** Functions whose images are different from each other. */
const functions = (count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, i) =>
      program(`const own = Array.from({ length: 300 }, (_, j) => ({ own: ${i} * 1000 + j }));
        export default () => own[299].own;`),
    ),
  );

describe("images", () => {
  test("are decoded within a budget, the least recently used going first", async () => {
    const [first, second, third] = await functions(3);
    const store = new ImageStore(engine.base);
    const placed = store.place(first!.image);
    const size = store.decodedBytes;
    assert.ok(size > 10 * kilobyte, `${size}`);
    assert.equal(store.place(first!.image), placed, "decoded once");
    assert.equal(store.decodedBytes, size);

    const bounded = new ImageStore(engine.base, size * 2.5);
    const kept = bounded.place(first!.image);
    bounded.place(second!.image);
    assert.equal(bounded.place(first!.image), kept);
    bounded.place(third!.image);
    assert.ok(bounded.decodedBytes <= size * 2.5);
    assert.equal(bounded.place(first!.image), kept, "the one used later is still there");
  });

  test("that nobody has any more are given up", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const store = new ImageStore(engine.base);
    const [kept] = await functions(1);
    store.place(kept!.image);
    const size = store.decodedBytes;
    const placeOthers = async () => {
      for (const { image } of await functions(4)) store.place(image);
    };
    await placeOthers();
    assert.ok(store.decodedBytes > size);
    for (let turn = 0; turn < 100 && store.decodedBytes > 2.1 * size; turn++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    // One may still be on the stack.
    assert.ok(store.decodedBytes < 2.1 * size);
    assert.ok(store.place(kept!.image));
  });

  test("one that is larger than the budget is decoded all the same", async () => {
    const [first, second] = await functions(2);
    const store = new ImageStore(engine.base, 1);
    store.place(first!.image);
    const size = store.decodedBytes;
    store.place(second!.image);
    assert.ok(Math.abs(store.decodedBytes - size) < 8 * kilobyte, "the other one is gone");
  });

  test("an instance goes from one to another, however often they are dropped and decoded again", async () => {
    const programs = await functions(4);
    const images = new ImageStore(engine.base, 1);
    const instance = new Instance({ ...engine, images });
    for (let i = 0; i < 20; i++) {
      const { image } = programs[(i * 7) % programs.length]!;
      instance.restore(image);
      instance.writable(900_000 + i * 3_000, 100).fill(i + 1);
      instance.restore(image);
      const fresh = new Instance(engine);
      fresh.restore(image);
      assert.equal(Buffer.compare(instance.memory, fresh.memory), 0, `turn ${i}`);
    }
  });

  test("what a sandbox has become is saved as differences, and goes on in any other", async () => {
    const [one, other] = await functions(2);
    const instance = new Instance(engine);
    instance.restore(one!.image);
    instance.writable(1_050_623, 2).fill(77);
    instance.writable(64, 1).fill(78);
    const saved = instance.save();
    assert.equal(saved.segments.count, 3);
    const elsewhere = new Instance(engine);
    elsewhere.restore(other!.image);
    elsewhere.restore(one!.image, saved);
    assert.equal(Buffer.compare(instance.memory, elsewhere.memory), 0);
    elsewhere.restore(one!.image);
    instance.restore(one!.image);
    assert.equal(Buffer.compare(instance.memory, elsewhere.memory), 0);
    assert.equal(instance.save().segments.count, 0);
  });

  test("functions answer by turns with what is theirs", async () => {
    const { runtime } = sandboxes({ warm: 1, maxIdle: 1 });
    const programs = await functions(3);
    for (let i = 0; i < 12; i++) {
      const result = await runtime.run(
        programs[i % 3]!,
        { method: "GET", url: "http://x/", headers: [], body: new Uint8Array(0) },
        {
          limits,
          env: {},
          context: { requestId: "r", functionName: "f", version: 1 },
          services: noServices,
        },
      );
      assert.equal(json(result), (i % 3) * 1000 + 299, text(result));
    }
  });
});
