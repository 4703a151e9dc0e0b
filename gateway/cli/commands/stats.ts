import type { PoolStats, RuntimeStats } from "../../ports.ts";
import { command, contextOf } from "../command.ts";
import { table } from "../table.ts";

interface Stats {
  activeExecutions: number;
  queuedExecutions: number;
  functions: number;
  workers: number;
  sandboxes: RuntimeStats;
  pool: PoolStats;
}

/** `stats`: what the server is doing now. */
export const stats = command("stats", "show what the server is doing").action(async (options) => {
  const context = contextOf(options);
  const document = await context.client.call<Stats>("GET", "/v1/stats");
  const { sandboxes, pool } = document;
  context.print(document, () =>
    table([
      ["functions", String(document.functions)],
      ["executions", `${document.activeExecutions} active, ${document.queuedExecutions} waiting`],
      ["sandboxes", `${sandboxes.busy} busy, ${sandboxes.idle} idle`],
      ["database", `${pool.inUseConnections} of at most ${pool.maxConnections} connections in use`],
    ]),
  );
});
