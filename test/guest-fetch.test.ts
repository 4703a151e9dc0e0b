import assert from "node:assert/strict";
import { test } from "node:test";
import type { FetchResponse } from "../runtime/protocol.ts";
import { Op } from "../runtime/protocol.ts";
import { Guest } from "./support/guest.ts";

const start = async (body: string) =>
  (await Guest.of(`export default async (request, ctx) => { ${body} }`)).request();
const caught = "(e) => ({ name: e.name, message: e.message, code: e.code, cause: e.cause?.message })";
const head: FetchResponse = {
  status: 201,
  statusText: "Created",
  headers: [["content-type", "application/json"]],
  url: "http://api/x",
  redirected: true,
};

test("fetch sends what it was given and answers with a Response", async () => {
  const guest =
    await start(`const r = await fetch("http://api/a b", { method: "post", headers: { "X-A": "1" }, body: JSON.stringify({ a: 1 }), redirect: "manual" });
    return [r.status, r.statusText, r.ok, r.url, r.redirected, r.headers.get("Content-Type"), await r.json()];`);
  const call = guest.last(Op.fetch);
  assert.deepEqual(JSON.parse(call.text), {
    method: "POST",
    url: "http://api/a%20b",
    headers: [
      ["content-type", "text/plain;charset=UTF-8"],
      ["x-a", "1"],
    ],
    redirect: "manual",
    hasBody: true,
  });
  assert.equal(new TextDecoder().decode(call.bytes), '{"a":1}');
  guest.complete(call, head, '{"b":2}');
  const result = [201, "Created", true, "http://api/x", true, "application/json", { b: 2 }];
  assert.deepEqual(guest.json(), result);
});

test("a fetched Response can be returned as it is", async () => {
  const guest = await start('return fetch(new Request("http://api/", { headers: { a: "b" } }))');
  assert.equal(JSON.parse(guest.last(Op.fetch).text).hasBody, false);
  guest.complete(guest.last(Op.fetch), head, "body");
  assert.deepEqual(
    [guest.answer?.head.status, guest.answer?.head.headers, guest.answer?.body],
    [201, head.headers, "body"],
  );
});

test("a network error is a TypeError with the code", async () => {
  const guest = await start(`return fetch("http://10.0.0.1/").catch(${caught})`);
  guest.reject(guest.last(Op.fetch), { name: "Error", message: "private address", code: "egress_denied" });
  const cause = "private address";
  assert.deepEqual(guest.json(), {
    name: "TypeError",
    message: `fetch failed: ${cause}`,
    code: "egress_denied",
    cause,
  });
});

test("bad arguments reject, they do not throw", async () => {
  const guest = await start(
    `return Promise.all([fetch("/relative").catch(${caught}), fetch("http://a", { body: "x" }).catch(${caught})])`,
  );
  assert.deepEqual(
    (guest.json() as { name: string }[]).map(({ name }) => name),
    ["TypeError", "TypeError"],
  );
});

test("an aborted fetch is cancelled at the host and rejects with the reason", async () => {
  const guest = await start(`return fetch("http://a", { signal: AbortSignal.timeout(30) }).catch(${caught})`);
  const call = guest.last(Op.fetch);
  guest.complete(guest.last(Op.timer));
  assert.equal((guest.json() as { name: string }).name, "TimeoutError");
  assert.equal(guest.last(Op.cancel).text, `${call.id}`);
  guest.complete(call, head);
  const before = await start(`return fetch("http://a", { signal: AbortSignal.abort() }).catch(${caught})`);
  assert.equal((before.json() as { name: string }).name, "AbortError");
  assert.equal(
    before.calls.some(({ op }) => op === Op.fetch),
    false,
  );
});
