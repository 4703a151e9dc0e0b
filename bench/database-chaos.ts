import { runChaos } from "../test/support/database-chaos.ts";
import { databaseParts } from "./database-parts.ts";
import type { Table } from "./table.ts";

const invocations = Number(process.env.BENCH_INVOCATIONS ?? 10_000);

/** Invocations of which a third is killed in a transaction, while the server is killed twice. */
export async function run(): Promise<Table> {
  const maxConnections = 5;
  const parts = await databaseParts(maxConnections);
  const { server, databaseUrl, functions, broker } = parts;
  const report = await runChaos({
    ...{ server, databaseUrl, functions, maxConnections, invocations },
    concurrency: 50,
    restarts: 2,
  });
  const { inUseConnections, totalConnections } = await broker.poolStats();
  await parts.close();
  const { outcomes, ...figures } = report;
  const rows = [
    ...Object.entries(outcomes)
      .sort()
      .map(([name, value]) => ({ name, value })),
    ...Object.entries(figures).map(([name, value]) => ({ name, value })),
    {
      name: "connections by the pool's own count, and in use",
      value: `${totalConnections}, ${inUseConnections}`,
    },
  ];
  return {
    title: `Database chaos: ${invocations.toLocaleString("en-US")} invocations, a third killed, the server killed ${report.restarts} times`,
    columns: [{ key: "value", label: "" }],
    rows,
    notes: [
      "Wrong rows: a payment that its invocation's outcome rules out. Sum: of all balances, 0 when nothing was paid in half.",
    ],
  };
}
