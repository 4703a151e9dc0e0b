import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

/** Two servers on one database: what one is told, the other does as well, at once and without being asked. */

let postgres: PostgresServer;
let one: TestServer;
let other: TestServer;

before(async () => {
  postgres = await PostgresServer.start();
  const settings = { DATABASE_URL: await postgres.database("shared"), THIMBLE_MASTER_KEY: "ab".repeat(32) };
  one = await startTestServer(settings);
  await one.deploy("before", "one");
  other = await startTestServer(settings);
});
after(async () => {
  await one?.close();
  await other?.close();
  await postgres?.close();
});

const answer = async (name: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${other.edgeUrl}/f/${name}`, { headers });
  return response.ok ? await response.text() : response.status;
};

/** Until the other server answers with this. */
const answers = (name: string, expected: string | number, headers?: Record<string, string>) =>
  until(async () => (await answer(name, headers)) === expected);

const call = async (server: TestServer, method: string, path: string, body?: unknown) => {
  const response = await server.admin(method, path, body);
  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
  const document = (await response.json()) as any;
  assert.ok(response.ok, JSON.stringify(document));
  return document;
};

describe("a second server on the same database", () => {
  test("has what was there at its start", async () => {
    await answers("before", "1");
  });

  test("takes over deployments, rollbacks, traffic and deletions", async () => {
    await one.deploy("shared", "one");
    await answers("shared", "1");
    await one.deploy("shared", "two");
    await answers("shared", "2");
    await call(one, "POST", "/v1/functions/shared/rollback", { version: 1 });
    await answers("shared", "1");
    await call(one, "PUT", "/v1/functions/shared/traffic", { 2: 100 });
    await answers("shared", "2");
    await call(one, "DELETE", "/v1/functions/shared");
    await answers("shared", 404);
    await one.deploy("shared", "one");
    await answers("shared", "1");
  });

  test("gives them back: each is told by the other", async () => {
    await other.deploy("back", "one");
    await until(async () => (await fetch(`${one.edgeUrl}/f/back`)).status === 200);
  });

  test("takes over variables", async () => {
    await one.deploy("echo");
    await call(one, "PUT", "/v1/functions/echo/secrets", { GREETING: "hello" });
    await until(async () => String(await answer("echo")).includes('"GREETING":"hello"'));
  });

  test("asks for keys when it should, and takes none that was revoked elsewhere", async () => {
    await one.deploy("locked", "one");
    await call(one, "PUT", "/v1/functions/locked/access", { access: "key" });
    await answers("locked", 401);
    const { key, id } = await call(one, "POST", "/v1/keys", { name: "k", scopes: ["invoke"] });
    await answers("locked", "1", { "x-function-key": key });
    await call(one, "DELETE", `/v1/keys/${id}`);
    await answers("locked", 401, { "x-function-key": key });
  });

  test("catches up on what it has missed while it was cut off", async () => {
    const feeds = "from pg_stat_activity where application_name = 'thimble changes'";
    const cut = await postgres.admin.unsafe(`select pg_terminate_backend(pid) ${feeds}`);
    assert.equal(cut.length, 2);
    await one.deploy("missed", "two");
    await answers("missed", "2");
    await until(async () => (await postgres.admin.unsafe(`select pid ${feeds}`)).length === 2);
    await one.deploy("missed", "one");
    await answers("missed", "1");
  });

  test("logs no failure but that it was cut off", () => {
    const errors = [...one.logged, ...other.logged].filter(({ level }) => Number(level) >= 50);
    assert.deepEqual(errors, []);
  });
});
