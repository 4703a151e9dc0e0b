import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { draw, mainVersion, type Sticky } from "../gateway/traffic.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

const split = (percent: number, sticky?: Sticky) => ({
  shares: [
    { version: 1, percent: 100 - percent },
    { version: 2, percent },
  ],
  ...(sticky && { sticky }),
});

describe("drawing a version", () => {
  test("follows the percentages", () => {
    const rounds = 20_000;
    let second = 0;
    for (let n = 0; n < rounds; n++) if (draw("f", split(10), new Headers()).version === 2) second++;
    // 10 % within six standard deviations
    assert.ok(Math.abs(second / rounds - 0.1) < 0.013, String(second));
  });

  test("is the same for the same header, and moves only clients of the share that grows", () => {
    const users = Array.from({ length: 2_000 }, (_, n) => new Headers({ "x-user": `user ${n}` }));
    const versions = (percent: number) =>
      users.map((headers) => draw("f", split(percent, "header:x-user"), headers).version);
    const [ten, again, thirty] = [versions(10), versions(10), versions(30)];
    assert.deepEqual(ten, again);
    assert.ok(
      ten.every((version, n) => version === 1 || thirty[n] === 2),
      "who has the new one keeps it",
    );
    const share = thirty.filter((version) => version === 2).length / users.length;
    assert.ok(Math.abs(share - 0.3) < 0.07, String(share));
  });

  test("is kept by a cookie, which a client without one is given", () => {
    const first = draw("f", split(50, "cookie"), new Headers());
    assert.match(
      first.setCookie ?? "",
      /^thimble-f=\d{1,4}; Path=\/f\/f; Max-Age=86400; HttpOnly; SameSite=Lax$/,
    );
    const cookie = `other=1; ${first.setCookie?.split(";")[0]}`;
    for (let n = 0; n < 50; n++) {
      assert.deepEqual(draw("f", split(50, "cookie"), new Headers({ cookie })), { version: first.version });
    }
    for (const bad of [
      "thimble-f=",
      "thimble-f=x",
      "thimble-f=99999",
      "thimble-f=-1",
      "thimble-g=1",
      ";;=",
    ]) {
      assert.ok(draw("f", split(50, "cookie"), new Headers({ cookie: bad })).setCookie, bad);
    }
  });

  test("knows which version is the main one: of equal shares the newest", () => {
    assert.equal(mainVersion(split(10)), 1);
    assert.equal(mainVersion(split(50)), 2);
  });
});

describe("traffic among versions", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.deploy("app", "one");
  });
  after(() => server.close());

  const call = async (method: string, path: string, body?: unknown): Promise<[number, Document]> => {
    const response = await server.admin(method, `/v1/functions/${path}`, body);
    return [response.status, await response.json()];
  };
  const answers = async (times: number, path = "app") => {
    const seen: Record<string, number> = {};
    for (let n = 0; n < times; n++) {
      const text = await (await fetch(`${server.edgeUrl}/f/${path}`)).text();
      seen[text] = (seen[text] ?? 0) + 1;
    }
    return seen;
  };

  test("a version without traffic has a preview, and nothing else", async () => {
    const response = await server.deploy("app", "two", { withoutTraffic: true });
    assert.equal(response.status, 201);
    const { function: fn, version } = (await response.json()) as Document;
    assert.deepEqual([version, fn.version, fn.traffic], [2, 1, { 1: 100 }]);
    assert.match(fn.previews[2], /^\/f\/app@[0-9a-f]{12}$/);
    assert.equal(await (await fetch(server.edgeUrl + fn.previews[2])).text(), "2");
    assert.equal(await (await fetch(`${server.edgeUrl}${fn.previews[2]}/deep?q=1`)).text(), "2");
    assert.deepEqual(await answers(10), { 1: 10 });
    const invoked = await call("POST", "app/invoke", { version: 2 });
    assert.equal(invoked[1].body, "2");
    assert.equal((await call("POST", "app/invoke", { version: 9 }))[1].error.code, "version_not_found");
  });

  test("a preview is not to be guessed", async () => {
    const [, { previews }] = await call("GET", "app");
    for (const path of [
      "app@2",
      "app@",
      "app@0",
      previews[2].slice(3, -1),
      `${previews[2].slice(3, -1)}_`,
      "none@2",
    ]) {
      const response = await fetch(`${server.edgeUrl}/f/${path}`);
      assert.equal(response.status, 404, path);
    }
  });

  test("is shared out, moved, and sent back by a rollback at once", async () => {
    const [status, { function: fn }] = await call("PUT", "app/traffic", { 1: 50, 2: 50 });
    assert.deepEqual([status, fn.traffic, fn.version], [200, { 1: 50, 2: 50 }, 2]);
    const seen = await answers(80);
    assert.ok(seen[1]! > 10 && seen[2]! > 10, JSON.stringify(seen));
    await call("PUT", "app/traffic", { 2: 100 });
    assert.deepEqual(await answers(10), { 2: 10 });
    await call("POST", "app/rollback", { version: 1 });
    assert.deepEqual(await answers(10), { 1: 10 });
    assert.deepEqual((await call("GET", "app"))[1].traffic, { 1: 100 });
  });

  test("sticks to a client by cookie", async () => {
    await call("PUT", "app/traffic", { 1: 50, 2: 50, sticky: "cookie" });
    const first = await fetch(`${server.edgeUrl}/f/app`);
    const cookie = first.headers.get("set-cookie")?.split(";")[0] ?? "";
    const text = await first.text();
    for (let n = 0; n < 20; n++) {
      const next = await fetch(`${server.edgeUrl}/f/app`, { headers: { cookie } });
      assert.equal(await next.text(), text);
      assert.equal(next.headers.get("set-cookie"), null);
    }
  });

  test("goes to a new deployment wholly, unless that asks for none", async () => {
    await call("PUT", "app/traffic", { 1: 50, 2: 50 });
    await server.deploy("app", "slow", { withoutTraffic: true });
    assert.deepEqual((await call("GET", "app"))[1].traffic, { 1: 50, 2: 50 });
    await server.deploy("app", "one");
    assert.deepEqual((await call("GET", "app"))[1].traffic, { 1: 100 });
  });

  test("is refused when malformed or of versions that are not there", async () => {
    for (const [body, message] of [
      [{ 1: 50, 2: 40 }, "add up to 90"],
      [{ 1: 150, 2: -50 }, "1:"],
      [{}, "add up to 0"],
      [{ one: 100 }, '"one"'],
      [{ 1: "100" }, "1:"],
      [{ 1: 100, sticky: "moon" }, "sticky"],
      [{ 1: 100, sticky: "header:bad name" }, "sticky"],
      [{ 1: 33.333, 2: 66.667 }, "1:"],
      [[], "body"],
    ] as const) {
      const [status, { error }] = await call("PUT", "app/traffic", body);
      assert.deepEqual([status, error.code], [400, "invalid_input"], JSON.stringify(body));
      assert.ok(error.message.includes(message), error.message);
    }
    assert.equal((await call("PUT", "app/traffic", { 1: 50, 99: 50 }))[1].error.code, "version_not_found");
    assert.equal((await call("PUT", "none/traffic", { 1: 100 }))[1].error.code, "function_not_found");
  });

  test("the same content again is the same version, made live", async () => {
    const again = await server.deploy("app", "two");
    assert.equal(again.status, 200);
    const document = (await again.json()) as Document;
    assert.deepEqual([document.version, document.created, document.function.version], [2, false, 2]);
    const other = await server.deploy("app", "two", { config: { timeoutMs: 77 } });
    assert.equal(
      ((await other.json()) as Document).created,
      true,
      "another configuration is another version",
    );
  });

  test("a deletion waits for what is in flight", async () => {
    await server.deploy("leaving", "slow");
    const inFlight = fetch(`${server.edgeUrl}/f/leaving`).then((response) => response.text());
    while ((await call("GET", "leaving"))[1].activeExecutions === 0);
    let ended = false;
    void inFlight.then(() => {
      ended = true;
    });
    const [status, document] = await call("DELETE", "leaving");
    assert.deepEqual([status, document.deleted, document.stillRunning], [200, true, 0]);
    assert.equal(await inFlight, "slow");
    assert.ok(ended);
  });
});
