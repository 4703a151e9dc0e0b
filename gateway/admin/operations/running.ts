import { z } from "zod";
import { invocationDocument, invocationsDocument, logsDocument, statsDocument } from "../documents.ts";
import { invokeSchema, limitSchema, listQuery } from "../input.ts";
import { streamLogs } from "../log-stream.ts";
import { operation } from "../operation.ts";

const logsQuery = z.object({ limit: limitSchema, follow: z.enum(["0", "1"]).default("0") });

export const runningOperations = [
  operation({
    method: "post",
    path: "/v1/functions/:name/invoke",
    scope: "invoke",
    summary: "Call a function; the answer tells what it cost, and why it failed",
    body: invokeSchema,
    answer: { status: 200, schema: invocationDocument },
    errors: [
      "function_not_found",
      "version_not_found",
      "concurrency_limit",
      "overloaded",
      "execution_timeout",
    ],
    harmless: true,
    async handle({ c, deps, body, param }) {
      const { name } = deps.catalog.get(param("name"));
      return c.json(await deps.fleet.invoke(name, body, c.get("requestId"), c.req.raw.signal));
    },
  }),
  operation({
    method: "get",
    path: "/v1/functions/:name/invocations",
    scope: "read",
    summary: "The history of its executions, the newest first",
    query: listQuery,
    answer: { status: 200, schema: invocationsDocument },
    errors: ["function_not_found"],
    async handle({ c, deps: { catalog, store }, query, param }) {
      const { id } = catalog.get(param("name"));
      return c.json({ invocations: await store.invocations.recent(id, query.limit) });
    },
  }),
  operation({
    method: "get",
    path: "/v1/functions/:name/logs",
    scope: "read",
    summary: "What it logged, the oldest first; with follow=1 as server-sent events that go on",
    query: logsQuery,
    answer: { status: 200, schema: logsDocument },
    errors: ["function_not_found"],
    handle({ c, deps: { catalog, logs, stop }, query, param }) {
      const { name } = catalog.get(param("name"));
      if (query.follow === "1") return streamLogs(c, logs, name, query.limit, stop);
      return c.json({ logs: logs.recent(name, query.limit) });
    },
  }),
  operation({
    method: "get",
    path: "/v1/stats",
    scope: "read",
    summary: "What the server is doing now",
    answer: { status: 200, schema: statsDocument },
    errors: [],
    async handle({ c, deps: { fleet, catalog, database } }) {
      const { activeExecutions, queuedExecutions, workers, sandboxes } = await fleet.stats();
      return c.json({
        activeExecutions,
        queuedExecutions,
        functions: catalog.size,
        workers: workers.length,
        processes: workers,
        sandboxes,
        pool: await database.stats(),
      });
    },
  }),
];
