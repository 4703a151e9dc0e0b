import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Broker, openBroker } from "../gateway/broker/broker.ts";
import { DatabaseFunctions } from "./support/database-functions.ts";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";

/** Packages that query through `import postgres from "postgres"` or `thimble:db`, unchanged, in a sandbox. */
function packageSuite(functions: () => DatabaseFunctions) {
  it("drizzle-orm on its postgres-js driver", async () => {
    const drizzle = await functions().folder("test/fixtures/database/drizzle");
    const step = (name: string) => functions().json(drizzle, name);
    assert.equal(
      (await functions().run(drizzle, { request: { url: "http://x/create" } })).outcome.kind,
      "completed",
    );
    assert.deepEqual(await step("insert"), {
      id: 1,
      name: "Ada",
      mood: "wild",
      tags: ["a", 'b"c', "d,e", "{}"],
      scores: [1, 2, 3],
      settings: { theme: "dark", nested: [1, { a: null }] },
      balance: "12345678901234567890.5",
      visits: "9007199254740993",
      ratio: 0.1,
      active: true,
      born: "1815-12-10",
      uid: "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
      seenAt: "2024-02-29T12:34:56.789Z",
      createdAt: "2024-03-01T00:00:00.123Z",
      changedAt: "2024-03-01 00:00:00.123456+00",
    });
    assert.deepEqual(await step("select"), {
      found: [{ name: "Ada", seenAt: "2024-02-29T12:34:56.789Z", born: "1815-12-10" }],
      counted: { n: 3 },
      joined: [
        { title: "two", author: "Ada" },
        { title: "one", author: "Ada" },
      ],
    });
    const author = { name: "Ada" };
    assert.deepEqual(await step("relations"), [
      {
        name: "Ada",
        posts: [
          { title: "one", author },
          { title: "two", author },
        ],
      },
      { name: "Bob", posts: [] },
      { name: "Cy", posts: [] },
    ]);
    assert.deepEqual(await step("upsert"), [{ ratio: 3, settings: { theme: "blue" } }]);
    const seen = await step("transaction");
    assert.deepEqual(seen, ["TransactionRollbackError", "Rollback", 2, "changed my mind", 2, 7]);
    assert.deepEqual(await step("errors"), {
      name: "PostgresError",
      code: "23505",
      detail: "Key (name)=(Ada) already exists.",
      constraint_name: "users_name_key",
      table_name: "users",
      known: true,
    });
    assert.deepEqual(await step("prepared"), [[{ id: 1 }], []]);
  });

  it("drizzle-orm on its pg-proxy driver", async () => {
    const drizzle = await functions().folder("test/fixtures/database/drizzle-proxy");
    assert.deepEqual(await functions().json(drizzle), [
      { id: 1, body: "first" },
      { id: 2, body: "changed" },
    ]);
  });

  it("kysely", async () => {
    const kysely = await functions().folder("test/fixtures/database/kysely");
    assert.deepEqual(await functions().json(kysely), {
      undone: "no",
      joined: [
        { name: "Ada", age: 36, likes: ["engines", "notes"], pet: "Rex" },
        { name: "Bob", age: 40, likes: [], pet: null },
      ],
      streamed: ["Ada", "Bob"],
      updated: "2",
      counted: { n: "2" },
    });
  });
}

async function setUp(databaseUrl: string | null) {
  const dataDir = await mkdtemp(join(tmpdir(), "thimble-packages-"));
  const broker: Broker = openBroker({ databaseUrl, dataDir });
  // the embedded database is made at the first query, which may take longer than one may
  await until(async () => {
    const session = broker.openSession({ functionName: "test", access: "read" });
    const query = session.query({ text: "select 1", params: [] }, new AbortController().signal);
    return query.then(
      () => true,
      () => false,
    );
  });
  const functions = new DatabaseFunctions(broker);
  const close = async () => {
    await functions.close();
    await broker.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { functions, close };
}

describe("packages on a Postgres server", () => {
  let server: PostgresServer;
  let parts: Awaited<ReturnType<typeof setUp>>;
  before(async () => {
    server = await PostgresServer.start();
    parts = await setUp(await server.database("functions"));
  });
  after(async () => {
    await parts?.close();
    await server?.close();
  });
  packageSuite(() => parts.functions);
});

describe("packages on the embedded database", () => {
  let parts: Awaited<ReturnType<typeof setUp>>;
  before(async () => {
    parts = await setUp(null);
  });
  after(() => parts?.close());
  packageSuite(() => parts.functions);
});
