import type { WorkerStats } from "../../fleet.ts";
import type { PoolStats, RuntimeStats } from "../../ports.ts";
import { command, contextOf } from "../command.ts";
import { table } from "../table.ts";

interface Stats {
  activeExecutions: number;
  queuedExecutions: number;
  functions: number;
  processes: WorkerStats[];
  sandboxes: RuntimeStats;
  pool: PoolStats;
}

/** `stats`: what the server is doing now. */
export const stats = command("stats", "show what the server is doing").action(async (options) => {
  const context = contextOf(options);
  const document = await context.client.call<Stats>("GET", "/v1/stats");
  const { processes, sandboxes, pool } = document;
  const busiest = Math.max(0, ...processes.map(({ eventLoopDelayMs }) => eventLoopDelayMs));
  const memoryMb = processes.map(({ memoryBytes }) => (memoryBytes / 1e6).toFixed(0));
  context.print(document, () =>
    table([
      ["functions", String(document.functions)],
      ["executions", `${document.activeExecutions} active, ${document.queuedExecutions} waiting`],
      [
        "workers",
        processes.length === 0
          ? "none; the server runs functions itself"
          : `${processes.length}, ${memoryMb.join(" + ")} MB, at most ${busiest.toFixed(0)} ms late`,
      ],
      ["sandboxes", `${sandboxes.busy} busy, ${sandboxes.idle} idle`],
      ["database", `${pool.inUseConnections} of at most ${pool.maxConnections} connections in use`],
    ]),
  );
});
