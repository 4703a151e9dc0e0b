import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { serverSentData } from "../gateway/cli/server-sent-events.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

describe("admin", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const call = async (method: string, path: string, body?: unknown): Promise<[number, Document]> => {
    const response = await server.admin(method, path, body);
    return [response.status, await response.json()];
  };

  test("asks for the key, which is made at the first start with mode 0600", async () => {
    const bare = (authorization?: string) =>
      fetch(`${server.adminUrl}/v1/functions`, authorization ? { headers: { authorization } } : {});
    for (const wrong of [undefined, "Bearer wrong", `Basic ${server.key}`, `Bearer ${server.key}x`]) {
      const response = await bare(wrong);
      assert.equal(response.status, 401);
      assert.equal(((await response.json()) as Document).error.code, "unauthorized");
    }
    assert.equal((await bare(`Bearer ${server.key}`)).status, 200);
    assert.equal(statSync(join(server.dataDir, "admin-key")).mode & 0o777, 0o600);
    assert.ok(server.key.length >= 43);
  });

  test("deploys: 201 with function, version and analysis, and it answers at once (R5)", async () => {
    const response = await server.deploy("first", "one");
    assert.equal(response.status, 201);
    const document = (await response.json()) as Document;
    assert.deepEqual([document.function.name, document.function.version, document.version], ["first", 1, 1]);
    assert.deepEqual(document.analysis, { passed: true, findings: [], config: {} });
    assert.equal(await (await fetch(`${server.edgeUrl}/f/first`)).text(), "1");
  });

  test("refuses what the analysis refuses: 422, every finding, nothing stored (R5)", async () => {
    const [status, document] = await call("POST", "/v1/functions", {
      name: "bad",
      files: { "index.ts": "x" },
    });
    assert.equal(status, 422);
    assert.equal(document.error.code, "analysis_failed");
    assert.equal(document.analysis.findings[0].rule, "annotation-missing");
    assert.equal((await call("GET", "/v1/functions/bad"))[0], 404);
    const broken = await server.deploy("bad", "broken");
    assert.equal(broken.status, 422);
    assert.equal(((await broken.json()) as Document).error.code, "compile_failed");
    const files = { "index.ts": "x" };
    assert.equal(
      (await call("POST", "/v1/functions", { name: "loose", files, allowUnannotated: true }))[0],
      201,
    );
  });

  test("refuses malformed input, naming the field", async () => {
    const files = { "index.ts": "/** @function one */" };
    for (const [body, field] of [
      ["{", "JSON"],
      [{ files }, "name"],
      [{ name: "Bad Name", files }, "name"],
      [{ name: "a".repeat(64), files }, "name"],
      [{ name: "x", files: { "index.ts": 1 } }, "files.index.ts"],
      [{ name: "x", files, entry: "other.ts" }, "entry"],
      [{ name: "x", files, entry: "toString" }, "entry"],
      [{ name: "x", files: {} }, "entry"],
      [{ name: "x", files, config: { timeoutMs: 0 } }, "config.timeoutMs"],
      [{ name: "x", files, config: { nonsense: 1 } }, "config"],
      [{ name: "x", files, surprise: true }, "surprise"],
    ] as const) {
      const [status, { error }] = await call("POST", "/v1/functions", body);
      assert.deepEqual([status, error.code], [400, "invalid_input"], JSON.stringify(body));
      assert.ok(error.message.includes(field), `${error.message} names ${field}`);
    }
  });

  test("swaps versions without losing a request, and rolls back", async () => {
    await server.deploy("swap", "slow");
    const inFlight = fetch(`${server.edgeUrl}/f/swap`);
    await sleep(30);
    await server.deploy("swap", "two");
    assert.equal(await (await fetch(`${server.edgeUrl}/f/swap`)).text(), "2");
    assert.equal(await (await inFlight).text(), "slow");
    const [, { versions }] = await call("GET", "/v1/functions/swap/versions");
    assert.deepEqual(
      versions.map((v: Document) => [v.version, v.live]),
      [
        [2, true],
        [1, false],
      ],
    );
    assert.equal((await call("POST", "/v1/functions/swap/rollback", { version: 1 }))[0], 200);
    assert.equal(await (await fetch(`${server.edgeUrl}/f/swap`)).text(), "slow");
    const [status, { error }] = await call("POST", "/v1/functions/swap/rollback", { version: 7 });
    assert.deepEqual([status, error.code], [404, "version_not_found"]);
  });

  test("lowers limits to the function's wishes", async () => {
    const files = { "index.ts": "/** @function hang */ export const config = { timeoutMs: 60 }" };
    const [, document] = await call("POST", "/v1/functions", {
      name: "short",
      files,
      config: { memoryMb: 512 },
    });
    assert.deepEqual(document.function.limits, { timeoutMs: 60, memoryMb: 128, concurrency: 10, fuel: null });
    const response = await fetch(`${server.edgeUrl}/f/short`);
    assert.match(await response.text(), /timed out after 60 ms/);
  });

  test("lists, shows and deletes", async () => {
    await server.deploy("gone", "one");
    const [, { functions }] = await call("GET", "/v1/functions");
    const names = functions.map((f: Document) => f.name);
    assert.ok(names.includes("gone"));
    assert.deepEqual(names, [...names].sort());
    assert.equal((await call("GET", "/v1/functions/gone"))[1].path, "/f/gone");
    assert.equal((await call("DELETE", "/v1/functions/gone"))[0], 200);
    assert.equal((await call("DELETE", "/v1/functions/gone"))[0], 404);
    assert.equal((await fetch(`${server.edgeUrl}/f/gone`)).status, 404);
  });

  test("shows an answer's headers, whatever their names are", async () => {
    await server.deploy("names");
    const [status, result] = await call("POST", "/v1/functions/names/invoke", {});
    assert.equal(status, 200);
    assert.deepEqual(result.headers, { constructor: "a", "x-twice": ["1", "2"] });
  });

  test("invokes with method, path, query, headers and body", async () => {
    await server.deploy("echo");
    const [status, result] = await call("POST", "/v1/functions/echo/invoke", {
      path: "/a/b",
      query: { q: ["1", "2"], r: "x y" },
      headers: { "X-Own": "1" },
      body: { action: "list" },
    });
    assert.equal(status, 200);
    assert.equal(result.status, 200);
    const seen = JSON.parse(result.body);
    assert.equal(seen.method, "POST");
    assert.equal(seen.url, "http://localhost/a/b?q=1&q=2&r=x+y");
    assert.equal(seen.body, '{"action":"list"}');
    const headers = Object.fromEntries(seen.headers);
    assert.deepEqual([headers["content-type"], headers["x-own"]], ["application/json", "1"]);
    assert.equal(result.metrics.fuel, 42);
    assert.deepEqual(result.logs, [{ level: "info", message: "ran echo" }]);
    assert.equal(JSON.parse((await call("POST", "/v1/functions/echo/invoke", {}))[1].body).method, "GET");
  });

  test("shows the owner why a function failed", async () => {
    await server.deploy("throw");
    const [status, result] = await call("POST", "/v1/functions/throw/invoke", {});
    assert.equal(status, 200);
    assert.equal(result.status, 500);
    assert.equal(JSON.parse(result.body).error.message, "The function threw an error");
    assert.deepEqual(result.error.detail, {
      name: "TypeError",
      message: "secret detail",
      stack: "at secret.ts:1",
    });
    const [, { logs }] = await call("GET", "/v1/functions/throw/logs");
    assert.deepEqual(
      logs.map((line: Document) => line.level),
      ["info", "error"],
    );
    assert.match(logs[1].message, /secret detail/);
  });

  test("keeps the history of executions", async () => {
    await server.deploy("history", "memory");
    await fetch(`${server.edgeUrl}/f/history`, { headers: { "x-request-id": "traced" } });
    await sleep(250);
    const [, { invocations }] = await call("GET", "/v1/functions/history/invocations?limit=5");
    assert.equal(invocations.length, 1);
    const [row] = invocations;
    assert.deepEqual([row.status, row.errorCode, row.requestId], ["failed", "memory_limit", "traced"]);
    assert.ok(row.durationMs >= 0);
    const [status, { error }] = await call("GET", "/v1/functions/history/invocations?limit=many");
    assert.equal(status, 400);
    assert.match(error.message, /^limit: /);
  });

  test("follows logs as server-sent events", async () => {
    await server.deploy("followed", "one");
    await fetch(`${server.edgeUrl}/f/followed`);
    const client = new AbortController();
    const response = await fetch(`${server.adminUrl}/v1/functions/followed/logs?follow=1`, {
      headers: { authorization: `Bearer ${server.key}` },
      signal: client.signal,
    });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const seen: string[] = [];
    for await (const data of serverSentData(response)) {
      seen.push(JSON.parse(data).message);
      if (seen.length === 1) await fetch(`${server.edgeUrl}/f/followed`);
      if (seen.length === 2) break;
    }
    client.abort();
    assert.deepEqual(seen, ["ran one", "ran one"]);
  });

  test("reports numbers: stats and Prometheus metrics", async () => {
    const [, stats] = await call("GET", "/v1/stats");
    assert.equal(stats.activeExecutions, 0);
    assert.ok(stats.functions > 0);
    assert.deepEqual(Object.keys(stats.pool).sort(), [
      "availableConnections",
      "inUseConnections",
      "initialized",
      "maxConnections",
      "totalConnections",
    ]);
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    assert.match(metrics, /thimble_executions_total\{function="first",outcome="completed"\} 1/);
    assert.match(metrics, /thimble_active_executions 0/);
    assert.match(metrics, /process_cpu_seconds_total/);
  });

  test("has no route that it does not have", async () => {
    for (const path of ["/v1/functions/echo/nothing", "/v1/nothing", "/"]) {
      const [status, { error }] = await call("GET", path);
      assert.deepEqual([status, error.code], [404, "not_found"]);
    }
  });

  test("logs no key and no internal cause to clients", async () => {
    assert.ok(!JSON.stringify(server.logged).includes(server.key));
  });
});

describe("admin, starting", () => {
  test("says which port is taken and how to choose another", async () => {
    const server = await startTestServer();
    const { port } = new URL(server.edgeUrl);
    await assert.rejects(startTestServer({ PORT: port }), (error: Document) => {
      assert.equal(error.code, "port_in_use");
      assert.match(error.message, new RegExp(`Port ${port} on 127.0.0.1 .* PORT`));
      return true;
    });
    await server.close();
  });

  test("takes the key from THIMBLE_ADMIN_KEY", async () => {
    const key = "a-key-of-our-own-0123456789";
    const server = await startTestServer({ THIMBLE_ADMIN_KEY: key });
    const headers = { authorization: `Bearer ${key}` };
    assert.equal((await fetch(`${server.adminUrl}/v1/stats`, { headers })).status, 200);
    assert.equal((await server.admin("GET", "/v1/stats")).status, 401);
    await server.close();
  });
});
