import assert from "node:assert/strict";
import { test } from "node:test";
import { Op } from "../runtime/protocol.ts";
import { bundleSource, Guest, run } from "./support/guest.ts";

const answer = async (source: string, request = {}) => (await Guest.of(source)).request(request);

test("default.fetch gets the request, the environment and the context", async () => {
  const source = `export default { greeting: "hi", async fetch(request, env, ctx) {
    return Response.json([this.greeting, request.method, new URL(request.url).pathname, env.NAME, ctx.requestId, ctx.functionName, ctx.version]);
  } }`;
  const result = await run(source, { path: "/a?b=c", env: { NAME: "ada" } });
  assert.deepEqual(result, ["hi", "GET", "/a", "ada", "req-1", "hello", 3]);
});

test("a default function gets the request and the context", async () => {
  const result = await run(
    "export default (request, ctx) => ({ method: request.method, id: ctx.requestId })",
  );
  assert.deepEqual(result, { method: "GET", id: "req-1" });
});

test("an event-style handler gets the parsed body", async () => {
  const source =
    "export async function handler(body, ctx) { return { body: body ?? 'none', url: ctx.request.url } }";
  const url = "http://localhost:8787/";
  assert.deepEqual(await run(source, { body: '{"action":"list"}' }), { body: { action: "list" }, url });
  assert.deepEqual(await run(source), { body: "none", url });
});

test("an event-style handler never sees a body that is not JSON", async () => {
  const guest = await answer("export const handler = () => { throw new Error('called') }", { body: "{nope" });
  assert.equal(guest.answer?.head.status, 400);
  const { error } = guest.json() as { error: { code: string; message: string; requestId: string } };
  assert.equal(error.code, "invalid_input");
  assert.match(error.message, /not valid JSON/);
  assert.equal(error.requestId, "req-1");
});

test("Deno.serve is captured in each of its forms", async () => {
  for (const args of [
    "() => new Response('hi')",
    "{ port: 1 }, () => 'hi'",
    "{ handler: () => 'hi' }",
    "{ fetch: () => 'hi' }",
  ]) {
    const guest = await answer(`Deno.serve(${args}); export {}`);
    assert.equal(guest.answer?.body, "hi", args);
  }
});

test("a fetch event listener answers with respondWith", async () => {
  const guest = await answer(
    "addEventListener('fetch', (e) => e.respondWith(new Response(e.request.method))); export {}",
  );
  assert.equal(guest.answer?.body, "GET");
});

test("functions named after methods: others get 405, OPTIONS gets Allow, HEAD falls back to GET", async () => {
  const source =
    "export function GET() { return 'got' } export const POST = async (request) => await request.text()";
  assert.equal((await answer(source)).answer?.body, "got");
  assert.equal((await answer(source, { method: "POST", body: "sent" })).answer?.body, "sent");
  const allow = [["allow", "GET, HEAD, POST, OPTIONS"]];
  const refused = await answer(source, { method: "DELETE" });
  assert.deepEqual([refused.answer?.head.status, refused.answer?.head.headers], [405, allow]);
  const options = await answer(source, { method: "OPTIONS" });
  assert.deepEqual([options.answer?.head.status, options.answer?.head.headers], [204, allow]);
  const head = await answer(source, { method: "HEAD" });
  assert.deepEqual([head.answer?.head.status, head.answer?.body], [200, ""]);
});

test("the default export goes before handler, handler before methods, methods before Deno.serve", async () => {
  const serve = "Deno.serve(() => 'serve');";
  const get = "export function GET() { return 'get' }";
  const handler = "export function handler() { return 'handler' }";
  assert.equal((await answer(serve + get)).answer?.body, "get");
  assert.equal((await answer(serve + get + handler)).answer?.body, "handler");
  assert.equal(
    (await answer(`${serve + get + handler} export default () => 'default'`)).answer?.body,
    "default",
  );
});

test("a module with nothing to call is refused at registration", async () => {
  await assert.rejects(Guest.of("export const answer = 42"), /nothing that can be called/);
});

test("results become responses", async () => {
  const json = [["content-type", "application/json"]];
  const text = [["content-type", "text/plain;charset=UTF-8"]];
  const octets = [["content-type", "application/octet-stream"]];
  const cases: [string, number, unknown[], string][] = [
    ["{ a: [1] }", 200, json, '{"a":[1]}'],
    ["7", 200, json, "7"],
    ["false", 200, json, "false"],
    ["'text'", 200, text, "text"],
    ["new Uint8Array([104, 105])", 200, octets, "hi"],
    ["new Uint8Array([104, 105]).buffer", 200, octets, "hi"],
    ["null", 204, [], ""],
    ["undefined", 204, [], ""],
    ["new Response('made', { status: 201, headers: { 'X-A': 'b' } })", 201, [...text, ["x-a", "b"]], "made"],
    ["Response.redirect('http://a/b')", 302, [["location", "http://a/b"]], ""],
  ];
  for (const [value, status, headers, body] of cases) {
    for (const arrow of ["() =>", "async () =>"]) {
      const { answer: got, failure } = await answer(`export default ${arrow} (${value})`);
      assert.deepEqual(
        [got?.head.status, got?.head.headers, got?.body],
        [status, headers, body],
        `${value} ${failure?.message}`,
      );
    }
  }
});

test("a result that is no response fails as invalid_response", async () => {
  const values = [
    "() => 1",
    "Symbol()",
    "1n",
    "(() => { const a = {}; a.a = a; return a })()",
    "Response.error()",
    "(() => { const r = new Response('x'); r.text(); return r })()",
    "(() => { const r = new Response('x'); r.body.getReader(); return r })()",
  ];
  for (const value of values) {
    const { failure, answer: got } = await answer(`export default () => (${value})`);
    assert.equal(got, undefined, value);
    assert.equal(failure?.code, "invalid_response", value);
    assert.ok(failure.message.length > 20);
  }
});

test("thrown values reach the host with name, message, stack and causes", async () => {
  for (const arrow of ["() =>", "async () =>"]) {
    const source = `export default ${arrow} { throw new RangeError("too far", { cause: new Error("why") }) }`;
    const { failure } = await answer(source);
    assert.equal(failure?.name, "RangeError");
    assert.equal(failure?.message, "too far");
    assert.match(failure?.stack ?? "", /function\.js:1[\s\S]*Caused by: Error: why/);
  }
  const { failure } = await answer("export default () => { throw { a: 1 } }");
  assert.equal(failure?.message, "Thrown value: { a: 1 }");
  const hostile =
    "export default () => { throw Object.defineProperty(new Error(), 'message', { get() { throw 1 } }) }";
  assert.match((await answer(hostile)).failure?.message ?? "", /cannot be read/);
});

test("waitUntil keeps the invocation open after the response", async () => {
  const source = `export default (request, { waitUntil }) => {
    waitUntil(new Promise((resolve) => setTimeout(resolve, 50)));
    waitUntil(Promise.reject(new Error("late")));
    return "now";
  }`;
  const guest = await answer(source);
  assert.equal(guest.answer?.head.more, true);
  assert.equal(guest.done, false);
  guest.complete(guest.last(Op.timer));
  assert.equal(guest.done, true);
  assert.match(guest.logs[0]?.message ?? "", /waitUntil was rejected: Error: late/);
});

test("a Hono app runs unchanged", async () => {
  const source = await bundleSource(`
    import { Hono } from "hono";
    import { cors } from "hono/cors";
    const app = new Hono();
    app.use("*", cors());
    app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q"), env: c.env.NAME }));
    app.post("/echo", async (c) => c.text(JSON.stringify(await c.req.json()), 201, { "x-a": "b" }));
    app.get("/later", (c) => { c.executionCtx.waitUntil(new Promise((resolve) => setTimeout(resolve, 1))); return c.html("<p>") });
    app.onError((error, c) => c.json({ caught: error.message }, 500));
    app.get("/throw", () => { throw new Error("oh") });
    export default app;`);
  const get = await answer(source, { path: "/users/7?q=x", env: { NAME: "n" } });
  assert.deepEqual(get.json(), { id: "7", q: "x", env: "n" });
  assert.deepEqual(new Map(get.answer?.head.headers).get("access-control-allow-origin"), "*");
  const post = await answer(source, { path: "/echo", body: '{"a":1}' });
  assert.deepEqual([post.answer?.head.status, post.answer?.body], [201, '{"a":1}']);
  assert.equal(new Map(post.answer?.head.headers).get("x-a"), "b");
  assert.equal((await answer(source, { path: "/nope" })).answer?.head.status, 404);
  assert.deepEqual((await answer(source, { path: "/throw" })).json(), { caught: "oh" });
  assert.equal((await answer(source, { path: "/later" })).answer?.head.more, true);
});

test("a function that patches built-ins does not break the dispatcher", async () => {
  const source = `
    JSON.parse = JSON.stringify = Promise.prototype.then = TextDecoder.prototype.decode = TextEncoder.prototype.encode = () => { throw new Error("patched") };
    Promise.resolve = Map.prototype.get = Reflect.apply = undefined;
    export async function handler(body) { return { body } }`;
  assert.deepEqual(await run(source, { body: "[1]" }), { body: [1] });
});
