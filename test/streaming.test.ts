import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createEgress } from "../runtime/host/egress/egress.ts";
import type { InvocationRequest, InvocationResult, Outcome } from "../runtime/index.ts";
import { json, limits, noServices, type RunOptions, sandboxes } from "./support/sandbox.ts";
import { System, until } from "./support/system.ts";

const { runtime, program, run } = sandboxes();
const mebibyte = 1024 * 1024;

/** Runs without reading a streamed body. */
async function start(source: string, request: Partial<InvocationRequest> = {}, more: RunOptions = {}) {
  const { signal, services, ...own } = more;
  return runtime.run(
    await program(source),
    { method: "GET", url: "http://localhost/", headers: [], body: new Uint8Array(0), ...request },
    {
      limits: { ...limits, ...own },
      env: {},
      context: { requestId: "r1", functionName: "test", version: 1 },
      services: { ...noServices, ...services },
      ...(signal ? { signal } : {}),
    },
  );
}

function streamOf({ outcome }: InvocationResult): ReadableStream<Uint8Array> {
  assert.ok(outcome.kind === "completed", JSON.stringify(outcome));
  assert.ok(outcome.response.body instanceof ReadableStream);
  return outcome.response.body;
}

const finalOutcome = async (result: InvocationResult): Promise<Outcome> =>
  (await result.background)?.outcome ?? result.outcome;

/** A stream of `count` chunks that counts how many were asked for. */
function counted(count: number, bytes = 65_536) {
  const state = { pulled: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.pulled++ === count) controller.close();
        else controller.enqueue(new Uint8Array(bytes).fill(7));
      },
      cancel() {
        state.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { state, stream };
}

describe("request bodies", () => {
  test("are read as the function reads them", async () => {
    const { state, stream } = counted(50);
    const source = `export default async (request) => {
      const reader = request.body.getReader();
      const { value } = await reader.read();
      await new Promise((r) => setTimeout(r, 50));
      return { first: value.length };
    }`;
    const result = await run(await program(source), { request: { method: "POST", body: stream } });
    assert.deepEqual(json(result), { first: 65_536 });
    assert.ok(state.pulled <= 2, `${state.pulled} chunks were read`);
    assert.ok(state.cancelled, "what nobody reads is given up");
  });

  test("come whole to text(), json() and event-style handlers", async () => {
    const body = () => new Blob(['{"a":', '"ü"}']).stream();
    const event = "export const handler = (body) => ({ got: body })";
    const read =
      "export default async (request) => ({ got: await request.clone().json(), text: await request.text() })";
    const post = (source: string) =>
      program(source).then((p) => run(p, { request: { method: "POST", body: body() } }));
    assert.deepEqual(json(await post(event)), { got: { a: "ü" } });
    assert.deepEqual(json(await post(read)), { got: { a: "ü" }, text: '{"a":"ü"}' });
  });

  test("that break off are an error that the function can handle", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: () => Promise.reject(new Error("secret of the host")),
    });
    const source =
      "export default async (request) => { try { await request.text() } catch (e) { return e.message } }";
    const result = await run(await program(source), { request: { method: "POST", body } });
    assert.equal(
      Buffer.from((result.outcome as never as { response: { body: Uint8Array } }).response.body).toString(),
      "the host could not do this",
    );
  });
});

describe("100 MB take less than 16 MB of a sandbox", () => {
  /** Chunks that cannot be compressed: as much comes out as goes in. */
  const chunk = new Uint8Array(randomBytes(65_536));
  const chunks = 1600;
  const noise = () => {
    const state = { pulled: 0, cancelled: false };
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: (c) => (state.pulled++ === chunks ? c.close() : c.enqueue(chunk.slice())),
        cancel: () => {
          state.cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    return { state, stream };
  };
  const twice = (pack: string, unpack: string) =>
    `export default (request) => new Response(request.body.pipeThrough(${pack}).pipeThrough(${unpack}))`;
  const node = (
    code: string,
  ) => `import { pipeline, PassThrough, Readable, Transform } from "node:stream"; import zlib from "node:zlib";
    export default (request) => new Response(Readable.toWeb(pipeline(Readable.fromWeb(request.body), ${code}, () => {})))`;
  const functions: Record<string, string> = {
    "a TransformStream": `export default (request) => new Response(request.body.pipeThrough(new TransformStream({
      transform(chunk, c) { chunk[0] = ${chunk[0]}; c.enqueue(chunk) } })))`,
    "CompressionStream and DecompressionStream": twice(
      'new CompressionStream("gzip")',
      'new DecompressionStream("gzip")',
    ),
    "a pipeline of node:stream": node(
      "new Transform({ transform(chunk, encoding, done) { done(null, chunk) } }), new PassThrough()",
    ),
    "createGzip and createGunzip": node("zlib.createGzip({ level: 1 }), zlib.createGunzip()"),
  };
  for (const [name, source] of Object.entries(functions)) {
    test(name, async () => {
      const began = { method: "POST", body: noise().stream };
      const result = await start(source, began, { timeoutMs: 120_000 });
      let total = 0;
      for await (const part of streamOf(result)) total += part.length;
      assert.equal(total, chunks * chunk.length);
      const { metrics, outcome } = await result.background!;
      assert.equal(outcome.kind, "completed");
      assert.ok(metrics.memoryBytes <= 16 * mebibyte, `${metrics.memoryBytes / mebibyte} MiB`);
    });
  }

  for (const [name, source] of Object.entries(functions)) {
    test(`${name}: stops taking when nobody reads, and hears of a reader that leaves`, async () => {
      const { state, stream } = noise();
      const listening = source
        .replace(
          "(request) =>",
          "(request, ctx) => (request.signal.addEventListener('abort', () => ctx.log('left')),",
        )
        .replace(/\)$/, "))");
      const client = new AbortController();
      const result = await start(
        listening,
        { method: "POST", body: stream },
        { timeoutMs: 60_000, signal: client.signal },
      );
      const reader = streamOf(result).getReader();
      await reader.read();
      let before = -1;
      while (before !== state.pulled) {
        before = state.pulled;
        await sleep(100);
      }
      assert.ok(state.pulled < 100, `${state.pulled} chunks were taken`);
      client.abort();
      await reader.cancel().catch(() => {});
      const { logs, metrics } = await result.background!;
      assert.deepEqual(
        logs.map(({ message }) => message),
        ["left"],
      );
      assert.ok(metrics.memoryBytes <= 16 * mebibyte, `${metrics.memoryBytes / mebibyte} MiB`);
      assert.ok(state.cancelled, "what nobody reads is given up");
    });
  }
});

describe("response bodies", () => {
  test("leave as they are produced", async () => {
    const result = await start(`export default () => new Response(new ReadableStream({
      async pull(c) { c.enqueue(new TextEncoder().encode("tick ")); await new Promise((r) => setTimeout(r, 20)); this.n = (this.n ?? 0) + 1; if (this.n === 3) c.close() }
    }))`);
    const reader = streamOf(result).getReader();
    assert.equal(Buffer.from((await reader.read()).value!).toString(), "tick ");
    const rest: string[] = [];
    for (let next = await reader.read(); !next.done; next = await reader.read())
      rest.push(Buffer.from(next.value).toString());
    assert.equal(rest.join(""), "tick tick ");
    assert.equal((await finalOutcome(result)).kind, "completed");
  });

  test("are produced no faster than they are read", async () => {
    const source = `let made = 0; export default (request, ctx) => new Response(new ReadableStream({
      pull(c) { ctx.log(String(++made)); c.enqueue(new Uint8Array(65536)); if (made === 1000) c.close() } }))`;
    const result = await start(source);
    const reader = streamOf(result).getReader();
    await reader.read();
    await sleep(100);
    await reader.cancel();
    const { logs } = await result.background!;
    assert.ok(logs.length < 20, `${logs.length} chunks were made`);
  });

  test("an async iterator is a body", async () => {
    const source = `async function* parts() { yield new TextEncoder().encode("a"); yield new TextEncoder().encode("b") }
      export default () => new Response(parts())`;
    const result = await start(source);
    assert.equal(await new Response(streamOf(result) as BodyInit).text(), "ab");
  });

  test("break off when the stream fails, and the outcome says why", async () => {
    const source = `export default () => new Response(new ReadableStream({
      pull(c) { if (this.sent) throw new RangeError("no more"); this.sent = true; c.enqueue(new Uint8Array(1)) } }))`;
    const result = await start(source);
    await assert.rejects(new Response(streamOf(result) as BodyInit).arrayBuffer());
    const outcome = await finalOutcome(result);
    assert.ok(outcome.kind === "threw" && outcome.error.message === "no more", JSON.stringify(outcome));
  });

  test("break off at the deadline, whether read or not", async () => {
    const source = `export default () => new Response(new ReadableStream({
      async pull(c) { await new Promise((r) => setTimeout(r, 10)); c.enqueue(new Uint8Array(1)) } }))`;
    const result = await start(source, {}, { timeoutMs: 100 });
    await assert.rejects(new Response(streamOf(result) as BodyInit).arrayBuffer());
    assert.deepEqual(await finalOutcome(result), { kind: "timedOut", timeoutMs: 100 });
    const unread = await start(
      "export default () => new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)) } }))",
      {},
      { timeoutMs: 100 },
    );
    assert.deepEqual(await finalOutcome(unread), { kind: "timedOut", timeoutMs: 100 });
  });

  test("of chunks that are no bytes are errors of the function, and those that never end as well", async () => {
    const wrong = await start('export default () => new Response(ReadableStream.from(["text"]))');
    const failed = await finalOutcome(wrong);
    assert.ok(failed.kind === "threw" && /Uint8Array/.test(failed.error.message));
    const endless = await start("export default () => new Response(new ReadableStream({}))");
    const stalled = await finalOutcome(endless);
    assert.ok(stalled.kind === "threw" && stalled.error.code === "never_settled");
  });
});

describe("a client that goes away", () => {
  test("cancels the stream and fires request.signal; waitUntil goes on", async () => {
    const source = `export default (request, ctx) => {
      request.signal.addEventListener("abort", () => ctx.log("abort " + request.signal.reason.name));
      ctx.waitUntil(new Promise((r) => setTimeout(r, 100)).then(() => ctx.log("later")));
      return new Response(new ReadableStream({
        async pull(c) { await new Promise((r) => setTimeout(r, 5)); c.enqueue(new Uint8Array(65536)) },
        cancel() { ctx.log("cancel") } }));
    }`;
    const result = await start(source);
    const reader = streamOf(result).getReader();
    await reader.read();
    await reader.cancel();
    const { logs, outcome } = await result.background!;
    assert.equal(outcome.kind, "aborted");
    assert.deepEqual(logs.map(({ message }) => message).sort(), ["abort AbortError", "cancel", "later"]);
  });

  test("is heard of before the answer, too; what does not listen ends at once", async () => {
    const listening = `export default (request, ctx) => new Promise((resolve) => {
      request.signal.onabort = () => { ctx.log("heard"); resolve("nobody") };
      setTimeout(() => ctx.log("late"), 2000) })`;
    const heard = await start(listening, {}, { signal: AbortSignal.timeout(400) });
    assert.equal(heard.outcome.kind, "aborted");
    assert.deepEqual(
      (await heard.background!).logs.map(({ message }) => message),
      ["heard"],
    );
    const began = performance.now();
    const deaf = await start(
      "export default () => new Promise((r) => setTimeout(r, 3000))",
      {},
      { signal: AbortSignal.timeout(400) },
    );
    assert.equal(deaf.outcome.kind, "aborted");
    await deaf.background;
    assert.ok(performance.now() - began < 2_000);
  });

  test("stops one that computes on", async () => {
    const result = await start(
      "export default () => { for (;;); }",
      {},
      { signal: AbortSignal.timeout(30), timeoutMs: 4_000 },
    );
    assert.equal(result.outcome.kind, "aborted");
    const began = performance.now();
    await result.background;
    assert.ok(performance.now() - began < 2_000);
  });
});

describe("compression", () => {
  test("both ways, in three formats", async () => {
    const source = `export default async () => {
      const text = "thimble ".repeat(20_000), sizes = [];
      for (const format of ["gzip", "deflate", "deflate-raw"]) {
        const packed = new Blob([text]).stream().pipeThrough(new CompressionStream(format));
        const bytes = await new Response(packed).bytes();
        const back = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
        sizes.push(bytes.length < 2000 && await new Response(back).text() === text);
      }
      return sizes;
    }`;
    assert.deepEqual(json(await run(await program(source))), [true, true, true]);
  });

  test("a bomb is unpacked as it is read", async () => {
    const source = `export default async () => {
      const zeros = new ReadableStream({ pull(c) { this.n = (this.n ?? 0) + 1; if (this.n > 400) c.close(); else c.enqueue(new Uint8Array(262144)) } });
      const bomb = await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).bytes();
      let n = 0;
      for await (const chunk of new Blob([bomb]).stream().pipeThrough(new DecompressionStream("gzip"))) n += chunk.length;
      return [bomb.length < 200_000, n];
    }`;
    const result = await run(await program(source), { timeoutMs: 60_000, memoryLimitBytes: 16 * mebibyte });
    assert.deepEqual(json(result), [true, 400 * 262144]);
  });

  test("damaged data is a TypeError, on both sides", async () => {
    const source = `export default async () => {
      const stream = new DecompressionStream("gzip"), writer = stream.writable.getWriter();
      const name = (promise) => promise.then(() => "none", (e) => e.constructor.name);
      return Promise.all([name(writer.write(new Uint8Array([1, 2, 3]))), name(writer.close()), name(stream.readable.getReader().read())]);
    }`;
    assert.deepEqual(json(await run(await program(source))), ["TypeError", "TypeError", "TypeError"]);
  });
});

describe("unhandled rejections", () => {
  test("fail a request that is not answered", async () => {
    const { outcome } = await run(
      await program(
        `export default () => { Promise.reject(new RangeError("lost")); return new Promise((r) => setTimeout(r, 1000)) }`,
      ),
    );
    assert.ok(outcome.kind === "threw" && outcome.error.name === "RangeError", JSON.stringify(outcome));
  });
  test("are logged after the answer", async () => {
    const result = await run(
      await program(`export default () => { Promise.reject(new Error("lost")); return "ok" }`),
    );
    const { logs } = await result.background!;
    assert.match(logs[0]!.message, /Uncaught \(in promise\).*lost/);
  });
  test("are none when somebody listens in time, or prevents it", async () => {
    const source = `addEventListener("unhandledrejection", (event) => { event.preventDefault(); console.log("seen", event.reason) });
      export default async () => { const late = Promise.reject("a"); await null; late.catch(() => {}); Promise.reject("b"); await new Promise((r) => setTimeout(r, 5)); return "ok" }`;
    const result = await run(await program(source));
    assert.equal(result.outcome.kind, "completed");
    assert.deepEqual(
      result.logs.map(({ message }) => message),
      ["seen b"],
    );
  });
});

describe("fetch", () => {
  let server: Server;
  let base: string;
  const connections = new Set<unknown>();
  const egress = { current: createEgress() };
  before(async () => {
    server = createServer((request, response) => {
      connections.add(request.socket);
      if (request.url === "/slow") {
        response.write("first");
        response.on("close", () => connections.add("closed"));
      } else if (request.url === "/echo") request.pipe(response);
      else response.end("hello");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    base = `http://127.0.0.1:${port}`;
    egress.current = createEgress({ allow: [`127.0.0.1:${port}`] });
  });
  after(async () => {
    await egress.current.close();
    server.closeAllConnections();
    server.close();
  });
  const services = (policy = {}) => ({
    fetch: ((request, body, signal) =>
      egress.current.fetch(request, body, signal, policy)) as typeof noServices.fetch,
  });

  test("streams an answer, and AbortSignal cuts it", async () => {
    const source = `export default async () => {
      const controller = new AbortController();
      const response = await fetch("${base}/slow", { signal: controller.signal });
      const reader = response.body.getReader();
      const first = new TextDecoder().decode((await reader.read()).value);
      controller.abort();
      return [first, await reader.read().then(() => "none", (e) => e.name)];
    }`;
    assert.deepEqual(json(await run(await program(source), { services: services() })), [
      "first",
      "AbortError",
    ]);
    await until(async () => connections.has("closed"));
  });

  test("streams a body out while its answer comes in", async () => {
    const source = `export default async () => {
      let n = 0;
      const body = new ReadableStream({ pull(c) { if (n++ === 40) c.close(); else c.enqueue(new Uint8Array(65536)) } });
      const response = await fetch("${base}/echo", { method: "POST", body, duplex: "half" });
      let total = 0;
      for await (const chunk of response.body) total += chunk.length;
      return total;
    }`;
    assert.equal(
      json(await run(await program(source), { services: services(), memoryLimitBytes: 16 * mebibyte })),
      40 * 65536,
    );
  });

  test("keeps a connection for its tenant, and never gives it to another", async () => {
    const source = `export default async () => { for (let i = 0; i < 3; i++) await (await fetch("${base}/")).text(); return "ok" }`;
    const guest = await program(source);
    const mine = {};
    connections.clear();
    await run(guest, { services: services(mine) });
    await run(guest, { services: services(mine) });
    assert.equal(connections.size, 1);
    await run(guest, { services: services({}) });
    assert.equal(connections.size, 2);
  });
});

describe("through the server", () => {
  let system: System;
  before(async () => {
    system = await System.start({ FUNCTION_TIMEOUT_MS: "5000" });
  });
  after(() => system?.close());

  test("bodies stream both ways, and a client that leaves is noticed in the history", async () => {
    await system.deploy(
      "echo",
      `/** @function */ export default (request: Request) => new Response(request.body, { headers: { "content-type": "text/event-stream" } });`,
    );
    const chunks: string[] = [];
    const request = httpRequest(`${system.edgeUrl}/f/echo`, { method: "POST" });
    const answered = new Promise<void>((resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) => {
        response.on("data", (chunk) => {
          chunks.push(String(chunk));
          if (chunks.length === 3) request.end();
          else request.write(`data: ${chunks.length}\n\n`);
        });
        response.on("end", resolve);
      });
    });
    request.write("data: 0\n\n");
    await answered;
    assert.deepEqual(chunks, ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"]);

    await system.deploy(
      "ticks",
      `/** @function */ export default () => new Response(new ReadableStream({ async pull(c) { await new Promise((r) => setTimeout(r, 10)); c.enqueue(new TextEncoder().encode("tick")) } }));`,
    );
    const controller = new AbortController();
    const response = await fetch(`${system.edgeUrl}/f/ticks`, { signal: controller.signal });
    await response.body!.getReader().read();
    controller.abort();
    const [row] = await system.invocations("ticks", 1);
    assert.equal(row!.status, "aborted");
  });
});
