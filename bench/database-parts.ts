import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectBroker } from "../gateway/broker/broker-client.ts";
import { startBroker } from "../gateway/broker/start-broker.ts";
import type { RuntimeOptions } from "../runtime/index.ts";
import { DatabaseFunctions } from "../test/support/database-functions.ts";
import { PostgresServer } from "../test/support/postgres-server.ts";

/** A server, a broker in a process of its own as in production, and functions in sandboxes of this process. */
export async function databaseParts(maxConnections: number, options?: RuntimeOptions) {
  const server = await PostgresServer.start();
  const databaseUrl = await server.database("functions");
  const dataDir = mkdtempSync(join(tmpdir(), "thimble-bench-"));
  const broker = await startBroker({ databaseUrl, dataDir, maxConnections });
  const client = connectBroker(broker.socketPath);
  const functions = new DatabaseFunctions(client, options);
  return {
    server,
    databaseUrl,
    broker,
    client,
    functions,
    async close() {
      await functions.close();
      await client.close();
      await broker.close();
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** CPU time that a process has used, µs; null where the system does not tell (other than Linux). Its grain is 10 ms. */
export function cpuMicrosOf(pid: number): number | null {
  if (process.platform !== "linux") return null;
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** The value below which this share of all lies. */
export function quantile(values: number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * share)]!;
}
