import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { type Document, System, until } from "./support/system.ts";

/** Every limit over HTTP (R1, R2, R6, R7, R8): the error it ends in, and that the function goes on serving. */

let system: System;

before(async () => {
  system = await System.start({
    FUNCTION_MAX_CONCURRENT: "300",
    FUNCTION_QUEUE_TIMEOUT_MS: "50",
    FUNCTION_REQUEST_TIMEOUT_MS: "60000",
    MAX_SANDBOXES: "300",
    MAX_BODY_MB: "1",
    MAX_RESPONSE_MB: "1",
  });
});
after(() => system?.close());

/** A function that answers `/ok`, and does something else everywhere else. */
const failing = (body: string, config = "{}") =>
  `export const config = ${config};
/** @function */
export default async (request: Request) => {
  if (new URL(request.url).pathname === "/ok") return "fine";
  ${body}
};`;

async function assertServes(name: string): Promise<void> {
  const response = await system.fetch(`${name}/ok`);
  assert.deepEqual([response.status, await response.text()], [200, "fine"]);
}

function assertError(
  answer: { status: number; headers: Headers; body: Document },
  status: number,
  code: string,
) {
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer.body));
  assert.deepEqual(Object.keys(answer.body), ["error"]);
  assert.deepEqual(Object.keys(answer.body.error), ["code", "message", "requestId"]);
  assert.equal(answer.headers.get("x-request-id"), answer.body.error.requestId);
}

const idle = () => until(async () => (await system.stats()).activeExecutions === 0);

const spin = "for (;;) {}";
const sleep = (ms: number) => `await new Promise((resolve) => setTimeout(resolve, ${ms})); return "slept";`;

describe("execution time-out", () => {
  for (const [what, body] of [
    ["computing", spin],
    ["waiting", sleep(60_000)],
  ] as const) {
    for (const timeoutMs of [5, 50, 500]) {
      test(`after ${timeoutMs} ms of ${what}, by the function's own config`, async () => {
        const name = `${what}-${timeoutMs}`;
        await system.deploy(name, failing(body, `{ timeoutMs: ${timeoutMs} }`));
        const began = performance.now();
        const answer = await system.call(name);
        assert.ok(performance.now() - began >= timeoutMs - 1, "not before its time");
        assertError(answer, 504, "execution_timeout");
        assert.match(answer.body.error.message, new RegExp(`timed out after ${timeoutMs} ms`));
        // On a busy machine even a quick answer may take more than 5 ms.
        await until(async () => (await system.fetch(`${name}/ok`)).status === 200);
        const [row] = (await system.invocations(name, 2)).filter((one) => one.status === "timeout");
        assert.equal(row.errorCode, "execution_timeout");
        assert.match(row.error, new RegExp(`timed out after ${timeoutMs} ms`));
      });
    }
  }

  test("the server's limit cannot be raised by a function", async () => {
    const { function: shown } = await system.deploy(
      "greedy",
      failing("", "{ timeoutMs: 5000, memoryMb: 4096 }"),
    );
    assert.deepEqual([shown.limits.timeoutMs, shown.limits.memoryMb], [5000, 128]);
    const files = { "index.ts": failing("", "{ timeoutMs: 60000 }") };
    const { status, body } = await system.admin("POST", "/v1/functions", { name: "greedier", files });
    assert.equal(status, 422);
    assert.deepEqual(
      body.analysis.findings.map(({ rule }: { rule: string }) => rule),
      ["config-limit"],
    );
  });
});

describe("other limits of one execution", () => {
  const cases: [code: string, status: number, body: string, config?: string, message?: RegExp][] = [
    [
      "memory_limit",
      500,
      "const all: unknown[] = []; for (;;) all.push(new Uint8Array(100_000).fill(1));",
      "{ memoryMb: 16 }",
      /limit of 16 MB/,
    ],
    ["stack_overflow", 500, "const deep = (n: number): number => deep(n + 1) + 1; return deep(0);"],
    ["fuel_exhausted", 500, spin, "{ fuel: 5_000_000 }", /fuel of 5000000/],
    ["invalid_response", 502, "const ring: any = {}; ring.ring = ring; return ring;"],
    ["invalid_response", 502, "return () => {};"],
    ["invalid_response", 502, "return Response.error();"],
    ["response_too_large", 502, "return new Uint8Array(2 ** 20 + 1);", "{}", /limit of 1048576 bytes/],
    ["response_too_large", 502, 'return "é".repeat(2 ** 19 + 1);'],
    ["function_error", 500, 'throw new Error("x");'],
    ["function_error", 500, "await Promise.reject(null);"],
    ["function_error", 500, "await new Promise(() => {});"],
  ];
  for (const [index, [code, status, body, config, message]] of cases.entries()) {
    test(`${code}: ${body.slice(0, 40)}`, async () => {
      const name = `limit-${index}`;
      await system.deploy(name, failing(body, config));
      const answer = await system.call(name);
      assertError(answer, status, code);
      if (message) assert.match(answer.body.error.message, message);
      await assertServes(name);
      assert.equal((await system.call(name)).status, status, "the second time as the first");
      const rows = await system.invocations(name, 3);
      assert.deepEqual(rows.map((row) => row.errorCode).sort(), [code, code, null].sort());
    });
  }

  test("a response of the largest size is sent", async () => {
    await system.deploy("largest", "export default () => new Uint8Array(2 ** 20);");
    assert.equal((await (await system.fetch("largest")).arrayBuffer()).byteLength, 2 ** 20);
  });

  test("fuel is the same for the same request", async () => {
    await system.deploy("counting", failing("let n = 0; while (n < 100_000) n++; return { n };"));
    const fuel = async () =>
      (await system.admin("POST", "/v1/functions/counting/invoke", {})).body.metrics.fuel;
    const first = await fuel();
    assert.ok(first > 100_000);
    assert.equal(await fuel(), first);
  });
});

test("a function's error is told to its owner only", async () => {
  const secret = "the-password-is-tulip";
  await system.deploy(
    "leaky",
    failing(
      `const reveal = () => { throw new TypeError(${JSON.stringify(secret)}); };\n  try { reveal(); } catch (error) { console.warn(error); throw error; }`,
    ),
  );
  const response = await system.fetch("leaky", { headers: { "x-request-id": "trace-me" } });
  const shown = JSON.stringify([await response.text(), [...response.headers]]);
  assert.equal(response.status, 500);
  for (const part of [secret, "TypeError", "index.ts", "reveal", " at "])
    assert.ok(!shown.includes(part), part);

  const invoked = (await system.admin("POST", "/v1/functions/leaky/invoke", {})).body;
  assert.deepEqual([invoked.status, invoked.error.code], [500, "function_error"]);
  assert.deepEqual([invoked.error.detail.name, invoked.error.detail.message], ["TypeError", secret]);
  assert.match(invoked.error.detail.stack, /reveal.*index\.ts:5:\d+/);
  assert.ok(!invoked.body.includes(secret));

  const { stdout } = await system.cli(["logs", "leaky"]);
  assert.match(stdout, new RegExp(`error .* trace-me TypeError: ${secret}\\n.*reveal.*index\\.ts:5:\\d+`));
  assert.match(stdout, new RegExp(`warn .* trace-me TypeError: ${secret}\\n.*reveal.*index\\.ts:5:\\d+`));
  // and in the server's own log, which arrives through a pipe
  await until(async () => system.log.includes(secret));
  const [row] = await system.invocations("leaky", 2);
  assert.equal(row.error, `TypeError: ${secret}`);
  await assertServes("leaky");
});

test("concurrency_limit: one at a time, the rest 429 with Retry-After", async () => {
  await system.deploy("single", failing(sleep(4_500), "{ concurrency: 1 }"));
  const client = new AbortController();
  const first = system.fetch("single", { signal: client.signal });
  first.catch(() => {});
  const active = async () => (await system.admin("GET", "/v1/functions/single")).body.activeExecutions;
  await until(async () => (await active()) === 1);
  const refused = await Promise.all(Array.from({ length: 5 }, () => system.call("single")));
  for (const answer of refused) {
    assertError(answer, 429, "concurrency_limit");
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  }
  // Other functions have slots of their own.
  await system.deploy("neighbour", failing(""));
  await assertServes("neighbour");
  client.abort();
  await assert.rejects(first, { name: "AbortError" });
  // Nobody waits for the first any more: its slot is given back long before it would have ended by itself.
  await until(async () => (await active()) === 0);
  await assertServes("single");
  const [latest, aborted] = await system.invocations("single", 2);
  assert.deepEqual([latest.status, aborted.status], ["completed", "aborted"]);
});

describe("requests that reach no function", () => {
  /** Sends parts of a body until there is an answer. */
  async function upload(headers: Record<string, string>): Promise<{ status: number; body: Document }> {
    const { hostname, port } = new URL(system.edgeUrl);
    const request = httpRequest({ hostname, port, path: "/f/sink", method: "POST", headers });
    // The server hangs up on what it will not read.
    request.on("error", () => {});
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    let done = false;
    answered.then(
      () => (done = true),
      () => {},
    );
    const pushing = (async () => {
      for (let sent = 0; !done && sent < 200; sent++) {
        request.write(Buffer.alloc(16_384));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    const [response] = await answered;
    const body = JSON.parse(await text(response));
    request.destroy();
    await pushing;
    return { status: response.statusCode ?? 0, body };
  }

  test("payload_too_large, announced or not", async () => {
    await system.deploy(
      "sink",
      "export default async (request: Request) => ({ n: (await request.bytes()).length });",
    );
    for (const headers of [{ "content-length": "3276800" }, { "transfer-encoding": "chunked" }]) {
      const { status, body } = await upload(headers as unknown as Record<string, string>);
      assert.deepEqual([status, body.error.code], [413, "payload_too_large"]);
    }
    const largest = await system.call("sink", { method: "POST", body: new Uint8Array(2 ** 20) });
    assert.deepEqual(largest.body, { n: 2 ** 20 });
    // the announced one was not executed; the other was, until it was too long
    const rows = await system.invocations("sink", 2);
    assert.deepEqual(rows.map(({ status }) => status).sort(), ["aborted", "completed"]);
  });

  test("not found: the function, the path, the method's place", async () => {
    assertError(await system.call("no-such-function"), 404, "function_not_found");
    assertError(await system.call("No%20Such"), 404, "function_not_found");
    assertError(await system.call("__proto__"), 404, "function_not_found");
    const elsewhere = await fetch(`${system.edgeUrl}/v1/functions`);
    assert.deepEqual([elsewhere.status, (await elsewhere.json()).error.code], [404, "not_found"]);
    const invoked = await system.admin("POST", "/v1/functions/no-such-function/invoke", {});
    assert.deepEqual([invoked.status, invoked.body.error.code], [404, "function_not_found"]);
  });

  test("invalid_input: a malformed Host, JSON that is none, a name that cannot be", async () => {
    const { hostname, port } = new URL(system.edgeUrl);
    const request = httpRequest({ hostname, port, path: "/f/sink", headers: { host: "a b@c" } });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const { error } = JSON.parse(await text(response));
    assert.deepEqual([response.statusCode, error.code], [400, "invalid_input"]);
    await system.deploy("event", "export async function handler(body: unknown) { return { body }; }");
    const bad = await system.call("event", { method: "POST", body: "[1," });
    assert.deepEqual([bad.status, bad.body.error.code], [400, "invalid_input"]);
    const files = { "index.ts": "/** @function */ export default () => 1;" };
    const named = await system.admin("POST", "/v1/functions", { name: "no/name", files });
    assert.deepEqual([named.status, named.body.error.code], [400, "invalid_input"]);
  });
});

test("health is told, and other functions answer, while guests spin", async () => {
  await system.deploy("spinning", failing(spin, "{ timeoutMs: 3000 }"));
  await system.deploy("quick", failing(""));
  let ended = 0;
  const spinners = Array.from({ length: 6 }, async () => {
    const { status } = await system.fetch("spinning");
    ended++;
    return status;
  });
  await until(async () => (await system.stats()).activeExecutions === 6);
  for (let i = 0; i < 3; i++) {
    for (const path of ["/healthz", "/readyz"]) {
      assert.equal((await fetch(system.edgeUrl + path)).status, 200, path);
    }
    await assertServes("quick");
  }
  assert.equal(ended, 0, "all that happened while the guests were spinning");
  assert.deepEqual(new Set(await Promise.all(spinners)), new Set([504]));
  await idle();
});

test("after a storm of 200 requests of every kind nothing is left", async () => {
  const kinds: Record<string, [source: string, status: number | "gone"]> = {
    "storm-ok": [failing('return "ok";'), 200],
    "storm-timeout": [failing(spin, "{ timeoutMs: 20 }"), 504],
    "storm-wait": [failing(sleep(60_000), "{ timeoutMs: 100 }"), 504],
    "storm-memory": [failing("return new ArrayBuffer(2 ** 30);", "{ memoryMb: 16 }"), 500],
    "storm-stack": [failing("const deep = (): number => deep() + 1; return deep();"), 500],
    "storm-throw": [failing('throw new Error("storm");'), 500],
    "storm-background": [
      `/** @function */ export default (_request: Request, ctx: any) => {
         ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 30)));
         return "ok";
       };`,
      200,
    ],
    "storm-gone": [failing(sleep(4_000)), "gone"],
  };
  await Promise.all(Object.entries(kinds).map(([name, [source]]) => system.deploy(name, source)));
  const names = Object.keys(kinds);
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const name = names[i % names.length]!;
      const expected = kinds[name]![1];
      const signal = expected === "gone" ? AbortSignal.timeout(10 + i) : AbortSignal.timeout(60_000);
      const status = await system.fetch(name, { signal }).then(
        async (response) => {
          await response.arrayBuffer();
          return response.status;
        },
        (error) => (error.name === "TimeoutError" ? "gone" : String(error)),
      );
      if (status !== expected) wrong.push(`${name}: ${status}`);
    }),
  );
  assert.deepEqual(wrong, []);
  await idle();
  const { body } = await system.admin("GET", "/v1/functions");
  for (const one of body.functions) assert.equal(one.activeExecutions, 0, one.name);
  const metrics = await (await fetch(`${system.adminUrl}/metrics`)).text();
  assert.match(metrics, /^thimble_active_executions 0$/m);
  assert.match(metrics, /^thimble_queued_executions 0$/m);
  for (const name of names) {
    // Those whose client left before the execution began have no row.
    const rows = await system.invocations(name, name === "storm-gone" ? 1 : 25);
    assert.ok(rows.length <= 25, name);
    if (name === "storm-gone") assert.deepEqual(new Set(rows.map((row) => row.status)), new Set(["aborted"]));
    // The limit of 20 ms may be short for a busy machine, right after a storm.
    await until(async () => (await system.fetch(`${name}/ok`)).status === 200);
  }
});
