import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, mkdir, symlink } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fixture, System } from "./support/system.ts";

/** Everything that a function may look like, deployed from folders by the command line, answering over HTTP. */

const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
const shapes = ["default-fetch", "default-function", "event", "deno-serve", "methods", "fidelity", "globals"];

let system: System;

before(async () => {
  system = await System.start();
  const folder = (name: string) => join(system.folder, name);
  for (const name of ["hono", "features"]) {
    await cp(fixture(name), folder(name), { recursive: true });
    await mkdir(folder(`${name}/node_modules`));
  }
  // As package managers lay them out: one linked, one copied.
  await symlink(join(modules, "hono"), folder("hono/node_modules/hono"));
  await cp(fixture("packages/tiny-cjs"), folder("features/node_modules/tiny-cjs"), { recursive: true });
  await Promise.all(shapes.map((name) => system.deployPath(name, fixture(name))));
  await Promise.all(["hono", "features"].map((name) => system.deployPath(name, folder(name))));
});
after(() => system?.close());

/** A request that no client library has improved. */
async function raw(
  path: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: Uint8Array } = {},
): Promise<{ response: IncomingMessage; body: Buffer }> {
  const { hostname, port } = new URL(system.edgeUrl);
  const { body, ...rest } = options;
  const request = httpRequest({ hostname, port, path: `/f/${path}`, ...rest });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { response, body: await buffer(response) };
}

describe("handler shapes", () => {
  test("a default object with fetch", async () => {
    const { body } = await system.call("default-fetch/some/where");
    const expected = { greeting: "hello", path: "/some/where", timeoutMs: "5000", name: "default-fetch" };
    assert.deepEqual(body, { ...expected, version: 1 });
  });

  test("a default function", async () => {
    const { body } = await system.call("default-function", { method: "PATCH", body: "sent" });
    assert.deepEqual(body, { method: "PATCH", text: "sent" });
  });

  test("an event-style handler: JSON in, JSON out", async () => {
    const headers = { "x-request-id": "given-by-the-client" };
    const body = JSON.stringify({ numbers: [1, 2, 3.5] });
    const answer = await system.call("event", { method: "POST", body, headers });
    assert.deepEqual(answer.body, { sum: 6.5, requestId: "given-by-the-client" });
    assert.equal(answer.headers.get("x-request-id"), "given-by-the-client");
    assert.equal(answer.headers.get("content-type"), "application/json");
    assert.equal((await system.call("event")).body.sum, null);
    const bad = await system.call("event", { method: "POST", body: "{numbers" });
    assert.deepEqual([bad.status, bad.body.error.code], [400, "invalid_input"]);
  });

  test("Deno.serve", async () => {
    assert.equal(await (await system.fetch("deno-serve/x")).text(), "served /x");
  });

  test("exports named after methods", async () => {
    assert.deepEqual((await system.call("methods")).body, { got: true });
    const posted = await system.fetch("methods", { method: "POST", body: "new" });
    assert.deepEqual([posted.status, await posted.text()], [201, "new"]);
    const refused = await system.fetch("methods", { method: "DELETE" });
    assert.deepEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD, POST, OPTIONS"]);
    const options = await system.fetch("methods", { method: "OPTIONS" });
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, POST, OPTIONS"]);
    const head = await raw("methods", { method: "HEAD" });
    assert.deepEqual([head.response.statusCode, head.body.length], [200, 0]);
  });

  test("a Hono app from the function's own node_modules", async () => {
    const user = await system.call("hono/api/users/a%20b?tag=x&tag=%C3%BC", {
      headers: { origin: "https://app.example" },
    });
    assert.deepEqual(user.body, { id: "a b", tags: ["x", "ü"] });
    assert.equal(user.headers.get("access-control-allow-origin"), "https://app.example");
    const made = await system.call("hono/api/users", { method: "POST", body: '{"name":"Ada"}' });
    assert.deepEqual([made.status, made.body], [201, { made: { name: "Ada" } }]);
    const preflight = await system.fetch("hono/api/users", { method: "OPTIONS" });
    assert.equal(preflight.status, 204);
    const cookies = await system.fetch("hono/cookies");
    assert.deepEqual(cookies.headers.getSetCookie(), ["a=1; Path=/", "b=2; HttpOnly"]);
    const refused = await system.fetch("hono/refused");
    assert.deepEqual([refused.status, await refused.text()], [403, "not you"]);
    const missing = await system.fetch("hono/no/such");
    assert.deepEqual([missing.status, await missing.text()], [404, "nothing at /no/such"]);
  });

  test("TypeScript's own syntax, several files, JSON, a CommonJS package", async () => {
    const expected = {
      text: "3.75 € (EURO)!",
      trace: ["total(apple,pear)"],
      currencies: ["Euro", "Dollar"],
      tiny: "1.2.3",
      later: "loaded later",
    };
    assert.deepEqual((await system.call("features?item=apple&item=pear")).body, expected);
    // The trace is state of a module: the next request must not find it.
    assert.deepEqual((await system.call("features?item=apple&item=pear")).body, expected);
  });
});

describe("requests as the function sees them", () => {
  test("method, path and URL", async () => {
    const host = new URL(system.edgeUrl).host;
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const { body } = await system.call("fidelity/a/b", { method });
      assert.deepEqual([body.method, body.url], [method, `http://${host}/a/b`]);
    }
    const urls: [path: string, seen: string][] = [
      ["fidelity", "/"],
      ["fidelity/", "/"],
      ["fidelity?x", "/?x"],
      ["fidelity/a%2Fb/c%20d", "/a%2Fb/c%20d"],
      ["fidelity//twice//over", "//twice//over"],
      ["fidelity/f/fidelity", "/f/fidelity"],
      ["fidelity/%C3%BC?%C3%A4=1#not-sent", "/%C3%BC?%C3%A4=1"],
    ];
    for (const [path, seen] of urls) {
      const { body } = await system.call(path);
      assert.equal(body.url, `http://${host}${seen}`, path);
    }
    const { body } = await raw("fidelity/own", { headers: { host: "shop.example:81" } });
    assert.equal(JSON.parse(body.toString()).url, "http://shop.example:81/own");
  });

  test("queries: repeated, empty, encoded, unicode", async () => {
    const { body } = await system.call(
      "fidelity/q?a=1&a=2&b=&c&d=x+y%20z&e=a%26b%3Dc&%F0%9D%84%9E=%E2%82%AC",
    );
    const plain = [
      ["a", "1"],
      ["a", "2"],
      ["b", ""],
      ["c", ""],
    ];
    assert.deepEqual(body.query, [...plain, ["d", "x y z"], ["e", "a&b=c"], ["𝄞", "€"]]);
  });

  test("headers, without those of the connection", async () => {
    const { body } = await raw("fidelity/h", {
      headers: {
        "X-Twice": ["1", "2"],
        "X-Empty": "",
        Connection: "close, x-hop",
        "X-Hop": "1",
        TE: "trailers",
      },
    });
    const seen = Object.fromEntries(JSON.parse(body.toString()).headers);
    assert.deepEqual([seen["x-twice"], seen["x-empty"]], ["1, 2", ""]);
    for (const name of ["connection", "x-hop", "te"]) assert.ok(!(name in seen), name);
  });

  test("bodies: text, JSON, form, clone, stream, none", async () => {
    const post = (path: string, body: RequestInit["body"]) =>
      system.call(`fidelity/${path}`, { method: "POST", body: body ?? null });
    const unicode = "grüße 𝄞 \u0000 \u2028";
    assert.equal((await post("text-of", unicode)).body.body, unicode);
    assert.deepEqual((await post("json", '{"a":[1,null,"ü"]}')).body, { json: { a: [1, null, "ü"] } });
    const form = new URLSearchParams({ a: "x y", b: "ü&" });
    assert.deepEqual((await post("form", form)).body, { a: "x y", b: "ü&" });
    const multipart = new FormData();
    multipart.append("field", "value\r\nover two lines");
    assert.deepEqual((await post("form", multipart)).body, { field: "value\r\nover two lines" });
    assert.deepEqual((await post("clone", '{"n":1}')).body, ['{"n":1}', 1]);
    assert.deepEqual((await post("chunks", unicode)).body, { text: unicode, empty: true });
    assert.deepEqual((await post("length", "")).body, { length: 0 });
    assert.equal((await system.call("fidelity/none", { method: "POST" })).body.body, "");
  });

  test("a body in chunks, of a length not announced", async () => {
    const { hostname, port } = new URL(system.edgeUrl);
    const request = httpRequest({ hostname, port, path: "/f/fidelity/length", method: "PUT" });
    for (let i = 0; i < 100; i++) request.write(Buffer.alloc(1000, i));
    request.end();
    const [response] = await once(request, "response");
    assert.deepEqual(JSON.parse(await text(response)), { length: 100_000 });
  });
});

describe("responses as the client sees them", () => {
  const values = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

  test("binary bodies, byte for byte", async () => {
    const { response, body } = await raw("fidelity/values");
    assert.deepEqual(body, values);
    assert.equal(response.headers["content-type"], "application/x-values");
    assert.equal(response.headers["content-length"], "256");
    const megabyte = Buffer.alloc(1 << 20, values);
    assert.ok((await raw("fidelity/megabyte")).body.equals(megabyte));
    for (const sent of [values, megabyte, values.subarray(0, 1), values.subarray(0, 0)]) {
      const echoed = await raw("fidelity/binary", { method: "POST", body: sent });
      assert.ok(echoed.body.equals(sent), `${sent.length} bytes`);
    }
  });

  test("a response made of a stream", async () => {
    const response = await system.fetch("fidelity/stream");
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.equal(await response.text(), "0;1;2;3;4;");
  });

  test("every status; none of 204, 205 and 304 has a body", async () => {
    for (const code of [200, 201, 202, 400, 404, 418, 451, 500, 503, 599]) {
      const { response, body } = await raw(`fidelity/status?code=${code}`);
      assert.deepEqual([response.statusCode, body.toString()], [code, `status ${code}`]);
    }
    for (const code of [204, 205, 304]) {
      const { response, body } = await raw(`fidelity/status?code=${code}`);
      assert.deepEqual([response.statusCode, body.length, response.headers.etag], [code, 0, '"v"']);
    }
  });

  test("HEAD has the headers and no body", async () => {
    const { response, body } = await raw("fidelity/values", { method: "HEAD" });
    assert.deepEqual([response.statusCode, body.length], [200, 0]);
    assert.equal(response.headers["content-type"], "application/x-values");
  });

  test("repeated headers and cookies, a redirect, plain values", async () => {
    const cookies = await system.fetch("fidelity/cookies");
    assert.deepEqual(cookies.headers.getSetCookie(), ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"]);
    assert.equal(cookies.headers.get("x-own"), "one, two");
    const redirect = await system.fetch("fidelity/redirect", { redirect: "manual" });
    assert.equal(redirect.status, 307);
    assert.equal(redirect.headers.get("location"), "https://example.com/elsewhere");
    assert.equal((await system.fetch("fidelity/nothing")).status, 204);
    const plain = await system.fetch("fidelity/text");
    assert.deepEqual(
      [plain.headers.get("content-type"), await plain.text()],
      ["text/plain;charset=UTF-8", "just text"],
    );
  });
});

test("the globals of the web", async () => {
  const { body } = await system.call("globals");
  assert.deepEqual(body.encoded, [...Buffer.from("grüße 𝄞")]);
  assert.deepEqual([body.decoded, body.fatal], ["grüße 𝄞", "TypeError"]);
  assert.deepEqual(body.params, ["a=1&a=2&b=x+y+z&%C3%BC=%26", ["1", "2"], "x y z"]);
  assert.deepEqual(body.cloned, [true, true, [1, [2]], [1, 2]]);
  assert.deepEqual(body.base64, ["AP9hYmM=", 255]);
  assert.equal(body.digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.match(body.uuid, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(body.url, "https://user@example.com:8443/a/c?d#e");
  assert.ok(Math.abs(body.now - Date.now()) < 60_000);
  const again = (await system.call("globals")).body;
  for (const field of ["uuid", "random", "math"]) assert.notDeepEqual(again[field], body[field], field);
});
