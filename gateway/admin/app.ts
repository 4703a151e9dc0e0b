import { Hono, type MiddlewareHandler } from "hono";
import type { Catalog, DeployedFunction } from "../catalog.ts";
import { errorResponse, PlatformError, toPlatformError } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { FunctionLogs } from "../function-logs.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { FunctionDatabase } from "../ports.ts";
import { requestIdOf } from "../request-id.ts";
import type { Actor } from "../store/functions.ts";
import type { Store } from "../store/open.ts";
import type { Deployer } from "./deployer.ts";
import { checked, deploySchema, invokeSchema, jsonInput, limitSchema, rollbackSchema } from "./input.ts";
import { streamLogs } from "./log-stream.ts";
import { functionView } from "./views.ts";

export interface AdminDeps {
  store: Store;
  catalog: Catalog;
  deployer: Deployer;
  fleet: Fleet;
  database: Pick<FunctionDatabase, "stats">;
  logs: FunctionLogs;
  metrics: Metrics;
  log: Logger;
  verifyKey(presented: string): boolean;
  /** Whether `/metrics` asks for the key: when others than this machine can reach it. */
  guardMetrics: boolean;
  /** Ends open streams. */
  stop: AbortSignal;
}

type Env = { Variables: { requestId: string; by: Actor } };

/** The admin listener: everything under `/v1`, for who has the key, and `/metrics`. */
export function createAdminApp(deps: AdminDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.header("x-request-id"));
    c.set("requestId", requestId);
    c.set("by", { actor: "admin", requestId });
    await next();
    c.header("x-request-id", requestId);
  });
  const auth = requireKey(deps.verifyKey);
  app.use("/v1/*", auth);
  if (deps.guardMetrics) app.use("/metrics", auth);
  addFunctionRoutes(app, deps);
  addOperationRoutes(app, deps);
  app.notFound((c) => errorResponse(new PlatformError("not_found", "No such route"), c.get("requestId")));
  app.onError((thrown, c) => {
    const error = toPlatformError(thrown);
    const requestId = c.get("requestId");
    if (error.code === "internal_error") deps.log.error({ requestId, err: thrown }, "admin request failed");
    return errorResponse(error, requestId);
  });
  return app;
}

function requireKey(verify: (presented: string) => boolean): MiddlewareHandler<Env> {
  return async (c, next) => {
    const presented = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (presented === undefined) {
      throw new PlatformError("unauthorized", "Send the admin key: Authorization: Bearer <key>");
    }
    if (!verify(presented)) throw new PlatformError("unauthorized", "The admin key is not the right one");
    await next();
  };
}

function addFunctionRoutes(app: Hono<Env>, deps: AdminDeps): void {
  const { catalog, deployer, fleet, store, log } = deps;
  const view = async (deployed: DeployedFunction) => {
    const { active } = await fleet.stats();
    return functionView(deployed, active[deployed.name] ?? 0);
  };

  app.post("/v1/functions", async (c) => {
    const input = await jsonInput(c.req.raw, deploySchema);
    const request = { ...input, config: input.config as import("../../compiler/types.ts").FunctionConfig };
    const { deployed, analysis } = await deployer.deploy(request, c.get("by"));
    const version = deployed.liveVersion;
    log.info({ requestId: c.get("requestId"), function: deployed.name, version }, "deployed");
    return c.json({ function: await view(deployed), version, analysis }, 201);
  });
  app.get("/v1/functions", async (c) => {
    const { active } = await fleet.stats();
    const functions = catalog.list().map((deployed) => functionView(deployed, active[deployed.name] ?? 0));
    return c.json({ functions });
  });
  app.get("/v1/functions/:name", async (c) => c.json(await view(catalog.get(c.req.param("name")))));
  app.delete("/v1/functions/:name", async (c) => {
    const name = c.req.param("name");
    await deployer.remove(name, c.get("by"));
    log.info({ requestId: c.get("requestId"), function: name }, "deleted");
    return c.json({ name, deleted: true });
  });
  app.get("/v1/functions/:name/versions", async (c) => {
    const { id } = catalog.get(c.req.param("name"));
    return c.json({ versions: await store.functions.versions(id) });
  });
  app.post("/v1/functions/:name/rollback", async (c) => {
    const { version } = await jsonInput(c.req.raw, rollbackSchema);
    const deployed = await deployer.rollback(c.req.param("name"), version, c.get("by"));
    log.info({ requestId: c.get("requestId"), function: deployed.name, version }, "rolled back");
    return c.json({ function: await view(deployed), version });
  });
}

function addOperationRoutes(app: Hono<Env>, deps: AdminDeps): void {
  const { catalog, fleet, database, store, logs, metrics } = deps;

  app.post("/v1/functions/:name/invoke", async (c) => {
    const { name } = catalog.get(c.req.param("name"));
    const input = await jsonInput(c.req.raw, invokeSchema);
    return c.json(await fleet.invoke(name, input, c.get("requestId"), c.req.raw.signal));
  });
  app.get("/v1/functions/:name/invocations", async (c) => {
    const { id } = catalog.get(c.req.param("name"));
    const limit = checked(limitSchema, c.req.query("limit"), "limit");
    return c.json({ invocations: await store.invocations.recent(id, limit) });
  });
  app.get("/v1/functions/:name/logs", (c) => {
    const { name } = catalog.get(c.req.param("name"));
    const limit = checked(limitSchema, c.req.query("limit"), "limit");
    if (c.req.query("follow") === "1") return streamLogs(c, logs, name, limit, deps.stop);
    return c.json({ logs: logs.recent(name, limit) });
  });
  app.get("/v1/stats", async (c) => {
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
  });
  app.get("/metrics", async (c) => {
    return c.text(await metrics.text(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}
