import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BuildSandbox } from "../compiler/engine/build-sandbox.ts";
import { GuestMessageError } from "../runtime/guest-message.ts";
import { Instance } from "../runtime/instance.ts";
import { databaseOf, engine, type RunOptions, sandboxes, text } from "./support/sandbox.ts";

/**
 * The guest library runs in the sandbox: a function can get hold of its native `host` function and say anything to the host.
 * This is one way: the engine hands stack frames' functions to `Error.prepareStackTrace`, and `crypto.getRandomValues` calls the host
 * with what it takes for bytes.
 */
const capture = `
  function captureHost() {
    let found;
    const prepare = Error.prepareStackTrace;
    const { Uint8Array: real, ArrayBuffer: buffers } = globalThis;
    const { isView } = buffers;
    Error.prepareStackTrace = (error, sites) => {
      for (const site of sites) {
        const candidate = site.getFunction?.();
        if (typeof candidate === "function" && candidate.length === 3) found ??= candidate;
      }
      return "";
    };
    globalThis.Uint8Array = function () { return {} };
    buffers.isView = () => true;
    try { crypto.getRandomValues(new real(8)) } catch (error) { String(error.stack) }
    globalThis.Uint8Array = real;
    buffers.isView = isView;
    Error.prepareStackTrace = prepare;
    return found;
  }`;

const { program, run, runtime } = sandboxes();

const attack = async (body: string, options: RunOptions = {}) => {
  const source = `// @ts-nocheck\n${capture}
    export default async (request) => {
      if (request.url.endsWith("/ok")) return "fine";
      const host = captureHost();
      if (!host) return "no host function";
      ${body}
    };`;
  const guest = await program(source);
  const result = await run(guest, { timeoutMs: 5_000, ...options });
  await result.background;
  assert.equal(text(await run(guest, { request: { url: "http://localhost/ok" } })), "fine");
  assert.equal(runtime.stats().busy, 0);
  return result;
};

describe("messages that the guest library never sends", () => {
  const malformed: Record<string, string> = {
    "an unknown call": "host(99)",
    "a response without a head": "host(1)",
    "a head that ends after its flags": `host(1, '200\\n0')`,
    "a header without a value": `host(1, '200\\n0\\n\\na')`,
    "a status that is no number": `host(1, 'ok\\n0\\n')`,
    "no status": `host(1, '\\n0\\n')`,
    "a status below zero": `host(1, '-1\\n0\\n')`,
    "flags that are no number": `host(1, '200\\nmore\\n')`,
    "flags that there are not": `host(1, '200\\n4\\n')`,
    "an error whose name is an object": `host(2, '{"name":{"toString":1},"message":"m"}')`,
    "an error whose stack is a number": `host(2, '{"name":"E","message":"m","stack":5}')`,
    "a log line whose message is an object": `host(3, '{"level":"info","message":{"length":0}}')`,
    "a log level that there is not": `host(3, '{"level":"fatal","message":"m"}')`,
    "30 MB of JSON in a log line": "host(3, '[' + '{},'.repeat(1e7) + '0]')",
    "a fetch of nothing": "host(6, '{}')",
    "a query without parameters": `host(7, '{"text":"select 1"}')`,
    "a timer of a megabyte": "host(5, '9'.repeat(1e6))",
    "a clock without room": "host(10, '', new Uint8Array(1))",
    "a chunk that is too large": "host(12, '0', new Uint8Array(262145))",
    "a coding that there is not": `host(15, '{"coding":"compress zip","options":{}}')`,
    "a cryptographic call without arguments": `host(16, '{"method":"digest"}')`,
    "text to decode that is longer than its bytes": `host(17, '{"id":1,"encoding":"big5","length":99}', new Uint8Array(9))`,
    "an encoding that there is not": `host(17, '{"id":1,"encoding":"x","length":1}', new Uint8Array(9))`,
    "a result that has no room": `host(17, '{"id":1,"encoding":"big5","length":9}', new Uint8Array(9).fill(255))`,
    "the end before there is an answer": "host(9)",
    "a part of the library that there is not": "host(18, '99')",
    "a coding's options that are no numbers": `host(15, '{"coding":"compress gzip","options":{"level":"9"}}')`,
    "a flush of what does not compress": "host(23, '0', new Uint8Array(1))",
    "a flush of no kind": `host(23, String(host(15, '{"coding":"compress gzip","options":{}}')))`,
  };
  for (const [name, call] of Object.entries(malformed)) {
    test(`${name} ends the sandbox`, async () => {
      const { outcome, metrics } = await attack(`${call}; return "went on"`);
      assert.equal(outcome.kind, "trapped", JSON.stringify(outcome));
      assert.ok(metrics.wallMs < 4_000);
    });
  }

  test("the first answer counts: what follows an error or a response changes nothing", async () => {
    const failed = await attack(
      `host(2, '{"name":"E","message":"m"}'); host(1, '200\\n1\\n'); return new Promise(() => {})`,
    );
    assert.equal(failed.outcome.kind, "threw");
    const answered = await attack(
      `host(1, '201\\n0\\n'); host(1, '500\\n0\\n'); host(2, '{"name":"E","message":"m"}'); return 1`,
    );
    assert.ok(answered.outcome.kind === "completed" && answered.outcome.response.status === 201);
  });

  test("what is run is what the host has brought, at the length that it says", async () => {
    for (const [length, ...parts] of [
      [4096],
      [4096, new Uint8Array(8)],
      [8, new Uint8Array(4096)],
    ] as const) {
      const instance = new Instance(engine);
      instance.restore(engine.plain);
      instance.bind(new BuildSandbox(instance));
      instance.provide(...parts);
      await assert.rejects(instance.runBytecode(length), GuestMessageError);
    }
  });

  test("bodies of requests that wait are held up to a bound", async () => {
    const never = () => new Promise<never>(() => {});
    const requests = `
      const head = '{"method":"POST","url":"http://x/","headers":[],"redirect":"follow","hasBody":true}';
      const body = new Uint8Array(9e6);
      const answers = [];
      for (let i = 0; i < 10; i++) answers.push(host(6, head, body) > 0);
      return answers.filter(Boolean).length`;
    const { outcome } = await attack(requests, { timeoutMs: 10_000, services: { fetch: never } });
    assert.ok(outcome.kind === "completed", JSON.stringify(outcome));
    assert.equal(Buffer.from(outcome.response.body as Uint8Array).toString(), "3");
  });

  test("queries that wait are held up to a bound, lists in them by what they take", async () => {
    const openDatabase = databaseOf(() => new Promise<never>(() => {}));
    const taken = async (call: string) => {
      const source = `
        const lists = "[" + "[],".repeat(100_000) + "0]";
        const answers = [];
        for (let i = 0; i < 100; i++) answers.push(${call} > 0);
        return answers.filter(Boolean).length`;
      return Number(text(await attack(source, { timeoutMs: 10_000, services: { openDatabase } })));
    };
    assert.equal(await taken(`host(7, "\\nobjects\\n\\n\\n" + "x".repeat(1e6))`), 33);
    assert.equal(await taken(`host(7, "\\nobjects\\n\\n" + lists + "\\n")`), 5);
  });

  test("calls that bring much are timed by what they take the host", async () => {
    const source =
      'const bytes = new Uint8Array(8e6); for (let i = 0; i < 100_000; i++) host(4, "", bytes); return 1';
    const { outcome, metrics } = await attack(source, { timeoutMs: 100 });
    assert.equal(outcome.kind, "timedOut");
    assert.ok(metrics.wallMs < 2_000, `${metrics.wallMs}`);
  });

  test("errors that inherit a toJSON, or are very long, are reported within bounds", async () => {
    const guest = await program(`export default () => { throw new Error("x".repeat(20_000_000)) };`);
    const { outcome } = await run(guest);
    assert.ok(outcome.kind === "threw" && outcome.error.message.length < 10_000);
    const inherited = await program(
      `export default () => { (Object.prototype as any).toJSON = () => ({ name: "E", message: "m", stack: 5 }); throw new Error("no") };`,
    );
    assert.equal((await run(inherited)).outcome.kind, "trapped");
  });

  test("headers beyond what the host takes are an invalid response", async () => {
    const guest = await program(
      `export default () => new Response("x", { headers: { "x-long": "y".repeat(100_000) } });`,
    );
    assert.equal((await run(guest)).outcome.kind, "invalidResponse");
  });
});
