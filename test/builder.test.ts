import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Builder } from "../compiler/builder/builder.ts";
import { FairQueue } from "../compiler/builder/fair-queue.ts";
import { Runtime } from "../runtime/index.ts";
import { compiler, engine } from "./support/sandbox.ts";

const input = (source: string) => ({
  sources: { entry: "index.ts", files: { "index.ts": source } },
  requireAnnotation: true,
});
const annotated = "/** @function */\n";

describe("the builder process", () => {
  const builder = new Builder();
  after(() => builder.close());

  test("builds what the compiler builds, byte for byte", async () => {
    const source = `${annotated}export default () => "hello";`;
    const there = await builder.build(input(source));
    const here = await compiler.build(input(source));
    assert.equal(Buffer.compare(there.artifact, here.artifact), 0);
    assert.equal((await new Runtime(engine).load(there.artifact)).manifest.entry, "index.ts");
  });

  test("hands findings and errors through", async () => {
    await assert.rejects(
      builder.build(input("export default () => eval('1');")),
      (error: Error & { analysis: never }) => {
        const rules = (error.analysis as { findings: { rule: string }[] }).findings.map(({ rule }) => rule);
        assert.deepEqual(rules.sort(), ["annotation-missing", "dynamic-code"]);
        return true;
      },
    );
    await assert.rejects(builder.build(input(`import "left-pad"; ${annotated}export default () => 1;`)), {
      code: "compile_failed",
      message: /left-pad/,
    });
    await assert.rejects(
      builder.build(input(`throw new Error("at the top"); ${annotated}export default () => 1;`)),
      {
        code: "compile_failed",
        message: /at the top/,
      },
    );
    await assert.rejects(builder.build(input(`for (;;) {} ${annotated}export default () => 1;`)), {
      code: "compile_failed",
      message: /timed out/,
    });
    await assert.rejects(
      builder.build(
        input(`const all = []; for (;;) all.push(new Array(1e6)); ${annotated}export default () => 1;`),
      ),
      { code: "compile_failed", message: /128 MB/ },
    );
    await assert.rejects(
      builder.build(input(`await new Promise(() => {}); ${annotated}export default () => 1;`)),
      {
        code: "compile_failed",
        message: /never settles/,
      },
    );
  });

  test("builds one after the other, and each gets its own answer", async () => {
    const results = await Promise.all(
      [1, 2, 3].map((n) => builder.build(input(`${annotated}export default () => ${n};`))),
    );
    assert.equal(new Set(results.map(({ artifact }) => Buffer.from(artifact).toString("base64"))).size, 3);
  });
});

describe("a builder that takes too long", () => {
  test("is stopped, and the next build has a new one", async () => {
    const hasty = new Builder({ timeoutMs: 1 });
    await assert.rejects(hasty.build(input("export default 1;")), {
      code: "compile_failed",
      message: /timed out after 1 ms/,
    });
    await hasty.close();
  });
});

describe("a builder", () => {
  const one = input(`${annotated}export default () => 1;`);

  test("that was idle for long has a new process for the next build", async () => {
    const builder = new Builder({ idleMs: 1 });
    await builder.build(one);
    await sleep(200);
    assert.ok(WebAssembly.validate((await builder.build(one)).artifact));
    await builder.close();
  });

  test("builds nothing once it is closed, also not what waited", async () => {
    const builder = new Builder();
    const waiting = [builder.build(one), builder.build(one)].map((build) => assert.rejects(build));
    await builder.close();
    await Promise.all([...waiting, assert.rejects(builder.build(one), /closed/)]);
  });

  test("is made ready before its first build", async () => {
    const builder = new Builder();
    await builder.warm();
    assert.ok(WebAssembly.validate((await builder.build(one)).artifact));
    await builder.close();
  });

  test("lets one who builds once go before the hundredth build of another", async () => {
    const builder = new Builder();
    const ended: string[] = [];
    const build = (lane: string) => builder.build(one, lane).then(() => ended.push(lane));
    await Promise.all([...Array.from({ length: 6 }, () => build("busy")), build("quiet"), build("late")]);
    await builder.close();
    assert.deepEqual(ended, ["busy", "busy", "quiet", "late", "busy", "busy", "busy", "busy"]);
  });
});

describe("a queue with lanes", () => {
  test("gives each lane its turn, and each lane's items in their order", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "a3", "b1", "c1", "b2"]) queue.add(item[0]!, item);
    const taken = Array.from({ length: 4 }, () => queue.take());
    queue.add("d", "d1");
    taken.push(queue.take(), queue.take(), queue.take(), queue.take());
    assert.deepEqual(taken, ["a1", "b1", "c1", "a2", "b2", "a3", "d1", undefined]);
  });
});

describe("sources that came without a folder", () => {
  test("can't import files of the machine that builds them", async () => {
    const builder = new Builder();
    const outside = new URL("../package.json", import.meta.url).pathname;
    for (const specifier of [
      outside,
      `file://${outside}`,
      `../..${outside}`,
      `./../../../../..${outside}`,
      "hono",
    ]) {
      const source = `import taken from ${JSON.stringify(specifier)}; ${annotated}export default () => taken;`;
      await assert.rejects(builder.build(input(source)), (error: Error & { code: string }) => {
        assert.equal(error.code, "compile_failed", error.message);
        assert.doesNotMatch(JSON.stringify(error), /quickjs-wasi/);
        return true;
      });
    }
    await builder.close();
  });

  test("whose paths contradict each other are refused", async () => {
    const files = { "index.ts": `${annotated}export default () => 1;`, a: "1", "a/b.ts": "1" };
    await assert.rejects(compiler.build({ sources: { entry: "index.ts", files }, requireAnnotation: true }), {
      code: "compile_failed",
    });
  });

  test("can't leave an image that each request would copy for long", async () => {
    await assert.rejects(
      compiler.build(
        input(`globalThis.big = new Uint8Array(40e6).fill(7); ${annotated}export default () => 1;`),
      ),
      { code: "compile_failed", message: /16 MB is the limit/ },
    );
  });
});
