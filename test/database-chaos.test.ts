import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connectBroker } from "../gateway/broker/broker-client.ts";
import { startBroker } from "../gateway/broker/start-broker.ts";
import { runChaos } from "./support/database-chaos.ts";
import { DatabaseFunctions } from "./support/database-functions.ts";
import { PostgresServer } from "./support/postgres-server.ts";

/** `npm run bench:db -- chaos` does the same with 10,000 invocations. */
test("invocations that end in every way leave nothing behind, while the server crashes", {
  timeout: 300_000,
}, async (t) => {
  const server = await PostgresServer.start();
  const dataDir = await mkdtemp(join(tmpdir(), "thimble-chaos-"));
  const databaseUrl = await server.database("functions");
  const maxConnections = 5;
  const broker = await startBroker({ databaseUrl, dataDir, maxConnections, timeoutMs: 2000 });
  const client = connectBroker(broker.socketPath);
  const functions = new DatabaseFunctions(client);
  t.after(async () => {
    await functions.close();
    await client.close();
    await broker.close();
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const restarts = server.own ? 1 : 0;
  const report = await runChaos({
    ...{ server, databaseUrl, functions, maxConnections, restarts },
    invocations: 300,
    concurrency: 30,
  });
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.wrongRows, 0);
  assert.equal(report.sum, 0);
  assert.ok(report.mostConnections <= maxConnections);
  assert.deepEqual([report.busySessions, report.locks], [0, 0]);
  assert.ok(report.connections <= maxConnections);
  assert.ok((report.outcomes["pays: completed"] ?? 0) > 0);
  // loosely: how fast it is, the benchmark says
  assert.ok(report.recoveryMs < 20_000);
  const { inUseConnections, totalConnections } = await broker.poolStats();
  assert.deepEqual([inUseConnections, totalConnections], [0, report.connections]);
});
