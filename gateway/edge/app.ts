import { Hono } from "hono";
import type { Admission } from "../admission.ts";
import type { EdgeConfig } from "../config.ts";
import { errorResponse, overloaded, PlatformError, toPlatformError } from "../errors.ts";
import type { Invoker } from "../invoker.ts";
import type { Logger } from "../log.ts";
import { requestIdOf } from "../request-id.ts";
import type { RequestScope } from "../request-scope.ts";
import type { Registry } from "./registry.ts";

export interface EdgeDeps {
  config: EdgeConfig;
  registry: Registry;
  invoker: Invoker;
  admission: Admission;
  /** The requests that are under way. */
  scopes: Set<RequestScope>;
  log: Logger;
}

/** What the public listener answers besides functions: the two health checks. */
export function createEdgeApp(deps: EdgeDeps): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    if (!deps.admission.draining) return c.json({ status: "ready" });
    return errorResponse(
      overloaded("The server is shutting down"),
      requestIdOf(c.req.header("x-request-id")),
    );
  });
  app.notFound((c) => {
    const error = new PlatformError("not_found", "There is nothing here; functions are under /f/<name>");
    return errorResponse(error, requestIdOf(c.req.header("x-request-id")));
  });
  app.onError((error, c) => {
    deps.log.error({ err: error }, "edge request failed");
    return errorResponse(toPlatformError(error), requestIdOf(c.req.header("x-request-id")));
  });
  return app;
}
