import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { inNode, inSandbox, type Sent } from "./support/packages.ts";

/** Packages that people use, unchanged: the same module answers alike in a sandbox and in Node. */
const folder = path.join(import.meta.dirname, "fixtures", "packages");

const json = (body: unknown, target = "/"): Sent => ({
  path: target,
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const post = (body: string, target = "/"): Sent => ({
  path: target,
  method: "POST",
  headers: { "content-type": "text/plain" },
  body,
});

const form = (body: string, headers: Record<string, string>): Sent => ({
  path: "/form",
  method: "POST",
  headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  body,
});

const requests: Record<string, Sent[]> = {
  "ajv.ts": [json({ name: "Ada", tags: ["a", "b"] }), json({ name: "A", tags: ["a", "a"], more: 1 })],
  "bcryptjs.ts": [{}],
  "cheerio.ts": [post('<h1>Title</h1><p>see <a href="/x">x</a> and <a class="y">y</a>')],
  "csv-parse.ts": [post('a,b\n1,"two ""2"""\n3,\n')],
  "data-formats.ts": [{}],
  "date-fns.ts": [{}],
  "drizzle.ts": [{}],
  "elysia.ts": [{ path: "/hello/ada?x=1" }, json({ a: 1, b: 2 }, "/sum"), json({ a: "no" }, "/sum")],
  "express.ts": [
    { path: "/hello/ada?x=1&y[z]=2", headers: { "x-agent": "test" } },
    json({ a: [1, 2] }, "/echo"),
    { ...json({}, "/echo"), body: "{broken" },
    { path: "/page" },
    { path: "/page", method: "HEAD" },
    { path: "/fails" },
    { path: "/none" },
  ],
  "express4.ts": [
    { path: "/hello/ada" },
    {
      path: "/form",
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "a=1&b[c]=2&d=x%20y",
    },
    { path: "/redirect" },
    { path: "/none" },
  ],
  "fast-xml-parser.ts": [post('<a x="1"><b>2</b><b>three &amp; four</b><c/></a>')],
  "fastify.ts": [
    { path: "/hello/ada" },
    { path: "/hello/a" },
    json({ a: 1 }, "/echo"),
    { path: "/fail" },
    { path: "/none" },
  ],
  "functional.ts": [{}],
  "graphql.ts": [post('{ hello(name: "you") numbers }'), post("{ nothing }")],
  "graphql-yoga.ts": [
    json({ query: '{ hello(name: "ada") }' }, "/graphql"),
    { path: "/graphql?query=%7Bhello%7D", headers: { accept: "application/json" } },
  ],
  "h3.ts": [{ path: "/hello/ada?x=1" }, json({ a: 1 }, "/echo"), { path: "/none" }],
  "handlebars.ts": [{}],
  "hono-helpers.ts": [
    { path: "/id" },
    { path: "/packed", headers: { "accept-encoding": "gzip" } },
    { path: "/packed" },
    { path: "/private/page" },
    { path: "/private/page", headers: { authorization: "Bearer opens" } },
    form("a=1", { origin: "http://localhost" }),
    form("a=1", { origin: "http://elsewhere" }),
    { path: "/cookie", headers: { cookie: "plain=v%20w; signed=value.1234" } },
    { path: "/sse" },
    { path: "/text" },
    { path: "/bytes" },
    { path: "/slow" },
  ],
  "hono-middleware.tsx": [
    { path: "/public/page", headers: { origin: "http://elsewhere" } },
    {
      path: "/public/page",
      method: "OPTIONS",
      headers: { origin: "http://elsewhere", "access-control-request-method": "PUT" },
    },
    { path: "/basic/hello" },
    { path: "/basic/hello", headers: { authorization: `Basic ${btoa("ada:lovelace")}` } },
    { path: "/token/claims" },
    { path: "/sign" },
    post("12345", "/limited"),
    post("123456", "/limited"),
  ],
  "hono-node-server.ts": [
    { path: "/hello/ada" },
    post("content", "/echo"),
    { path: "/stream" },
    { path: "/none" },
  ],
  "ids.ts": [{}],
  "itty-router.ts": [
    { path: "/users/3?x=1" },
    json({ a: 1 }, "/users"),
    { path: "/teapot" },
    { path: "/none" },
  ],
  "koa.ts": [{ path: "/json?a=1" }, { path: "/throw" }, { path: "/stream" }, { path: "/none" }],
  "kysely.ts": [{}],
  "lodash.ts": [{}],
  "luxon.ts": [{}],
  "marked.ts": [post("# Title\n\n*a* **b** `c`\n\n- [x](http://y)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")],
  "orpc.ts": [
    json({ json: { name: "ada" } }, "/rpc/greet"),
    json({ json: {} }, "/rpc/greet"),
    json({}, "/rpc/fail"),
    { path: "/none" },
  ],
  "papaparse.ts": [post('a,b\n1,x\n2,"y,z"\n')],
  "preact.tsx": [{}],
  "react.tsx": [{}],
  "templates.ts": [{}],
  "trpc.ts": [
    { path: `/trpc/greet?input=${encodeURIComponent('{"name":"ada"}')}` },
    json([1, 2, 3], "/trpc/add"),
    { path: "/trpc/fail" },
    { path: "/trpc/greet?input=1" },
  ],
  "valibot.ts": [json({ email: "a@b.cd" }), json({ email: "no", age: 3 })],
  "webhooks.ts": [{}],
  "yaml.ts": [post("a: 1\nb: [x, {y: z}]\nc: |\n  text\n  more\nd: &anchor {e: 2001-01-01}\nf: *anchor\n")],
  "zod.ts": [
    json({ item: "tea", count: "3", tags: ["a"] }),
    json({ item: "t", count: -1, at: "no", tags: ["c"] }),
  ],
};

describe("packages answer in a sandbox as in Node", () => {
  for (const [name, list] of Object.entries(requests)) {
    test(name.replace(/\.tsx?$/, ""), async () => {
      const file = path.join(folder, name);
      await using native = await inNode(file);
      const sandboxed = await inSandbox(file);
      for (const sent of list)
        assert.deepEqual(await sandboxed(sent), await native(sent), JSON.stringify(sent));
    });
  }

  test("jose, whose keys are new each time", async () => {
    const [here, there] = await both("jose.ts");
    assert.deepEqual(here, there);
  });

  test("jsonwebtoken, whose keys are new each time", async () => {
    const [here, there] = await both("jsonwebtoken.ts");
    assert.deepEqual(here, there);
  });
});

async function both(name: string): Promise<[unknown, unknown]> {
  const file = path.join(folder, name);
  await using native = await inNode(file);
  return [JSON.parse((await (await inSandbox(file))({})).body), JSON.parse((await native({})).body)];
}
