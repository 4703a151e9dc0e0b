import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PostgresServer } from "./support/postgres-server.ts";
import { type Document, until } from "./support/system.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

/** The platform's database goes away under a running server, and comes back. */

let postgres: PostgresServer;
let server: TestServer;
before(async () => {
  postgres = await PostgresServer.start();
  server = await startTestServer({ DATABASE_URL: await postgres.database("platform") });
  await server.deploy("first", "one");
});
after(async () => {
  await server?.close();
  await postgres?.close();
});

const ask = async (method: string, path: string, body?: unknown) => {
  const response = await server.admin(method, path, body);
  return { status: response.status, headers: response.headers, body: (await response.json()) as Document };
};
const edge = async (name: string) => (await fetch(`${server.edgeUrl}/f/${name}`)).text();

describe("while the platform's database is away", {
  skip: process.env.TEST_POSTGRES_URL !== undefined,
}, () => {
  test("changes are refused and say why, and functions answer", async () => {
    assert.equal(await edge("first"), "1");
    await postgres.crash({ restart: false });
    for (const [method, path, body] of [
      ["POST", "/v1/functions", { name: "second", files: { "index.ts": "/** @function two */" } }],
      ["PUT", "/v1/functions/first/secrets", { A: "1" }],
      ["GET", "/v1/functions/first/versions", undefined],
      ["POST", "/v1/keys", { name: "k", scopes: ["read"] }],
    ] as const) {
      const refused = await ask(method, path, body);
      assert.deepEqual([path, refused.status, refused.body.error.code], [path, 503, "storage_unavailable"]);
      assert.equal(refused.headers.get("retry-after"), "5");
      assert.match(
        refused.body.error.message,
        /^The platform's database cannot be used: it cannot be asked \(\w+\)$/,
      );
      assert.doesNotMatch(JSON.stringify(refused.body), /insert|select|127\.0\.0\.1/);
    }
    assert.equal(await edge("first"), "1");
    assert.equal((await ask("GET", "/v1/functions/first")).status, 200, "what is known is told");
    assert.equal((await ask("GET", "/v1/functions/second")).status, 404, "and nothing of what was refused");
  });

  test("and when it is back, everything goes on", async () => {
    await postgres.restart();
    await until(async () => [200, 201].includes((await server.deploy("second", "two")).status));
    assert.equal(await edge("second"), "2");
    await until(
      async () => (await ask("GET", "/v1/functions/first/invocations")).body.invocations?.length >= 2,
    );
  });
});
