import { getConnInfo } from "@hono/node-server/conninfo";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { Catalog } from "../catalog.ts";
import { codeOf, errorResponse, PlatformError } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { FunctionLogs } from "../function-logs.ts";
import { FUNCTION_NAME } from "../function-name.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { FunctionDatabase } from "../ports.ts";
import { requestIdOf } from "../request-id.ts";
import type { Store } from "../store/open.ts";
import { adminError } from "./admin-error.ts";
import { type Authenticate, authorize } from "./authenticate.ts";
import type { Deployer } from "./deployer.ts";
import { FailureLimit } from "./failure-limit.ts";
import { bodyInput, checked } from "./input.ts";
import type { AdminEnv, Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/index.ts";

export interface AdminDeps {
  store: Store;
  catalog: Catalog;
  deployer: Deployer;
  fleet: Fleet;
  database: Pick<FunctionDatabase, "stats">;
  logs: FunctionLogs;
  metrics: Metrics;
  log: Logger;
  authenticate: Authenticate;
  /** Whether `/metrics` asks for the key: when others than this machine can reach it. */
  guardMetrics: boolean;
  /** Ends open streams. */
  stop: AbortSignal;
}

/** The admin listener: the operations under `/v1`, for who has a key, and `/metrics`. */
export function createAdminApp(deps: AdminDeps): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();
  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.header("x-request-id"));
    c.set("requestId", requestId);
    await next();
    c.header("x-request-id", requestId);
  });
  const auth = requireKey(deps);
  for (const one of OPERATIONS) {
    const answer: MiddlewareHandler<AdminEnv> = (c) => perform(one, c, deps);
    app.on(one.method, [one.path], audit(deps, one), auth, answer);
  }
  app.use("/v1/*", auth);
  if (deps.guardMetrics) app.use("/metrics", auth);
  app.get("/metrics", async (c) => {
    return c.text(await deps.metrics.text(), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
  app.notFound((c) => errorResponse(new PlatformError("not_found", "No such route"), c.get("requestId")));
  app.onError((thrown, c) => {
    const error = adminError(thrown);
    const requestId = c.get("requestId");
    if (error.cause !== undefined && error.status >= 500)
      deps.log.error({ requestId, err: thrown }, "admin request failed");
    return errorResponse(error, requestId);
  });
  return app;
}

async function perform(one: Operation, c: Context<AdminEnv>, deps: AdminDeps): Promise<Response> {
  const name = c.req.param("name") ?? null;
  if (one.scope !== null && one.restrict !== "handler") authorize(c.get("principal"), one.scope, name);
  const query = one.query && checked(one.query, c.req.query(), "query");
  const body = one.body && (await bodyInput(c.req.raw, one.body, one.form));
  return one.handle({ c, deps, body, query, param: (key) => c.req.param(key) ?? "" });
}

/** Throws `unauthorized`, and `too_many_failures` after too many of those. */
function requireKey({ authenticate }: AdminDeps): MiddlewareHandler<AdminEnv> {
  const failures = new FailureLimit();
  return async (c, next) => {
    const address = addressOf(c);
    failures.check(address);
    const authorization = c.req.header("authorization");
    try {
      const principal = await authenticate(authorization);
      c.set("principal", principal);
      c.set("by", { actor: principal.actor, requestId: c.get("requestId") });
    } catch (error) {
      // Who shows none does not guess.
      if (codeOf(error) === "unauthorized" && authorization !== undefined) failures.failed(address);
      throw error;
    }
    await next();
  };
}

/** Notes each request that changes something, or was not allowed to, with its outcome. */
function audit(
  { store, log }: AdminDeps,
  { method, path, harmless = method === "get" }: Operation,
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    await next();
    const { status } = c.res;
    if (harmless && status !== 401 && status !== 403) return;
    const requestId = c.get("requestId");
    const entry = {
      actor: c.get("principal")?.actor ?? "unknown",
      address: addressOf(c),
      action: `${method.toUpperCase()} ${path}`,
      functionName: functionNameOf(c),
      status,
      errorCode: c.error ? adminError(c.error).code : null,
      requestId,
    };
    try {
      await store.audit.add(entry);
    } catch (error) {
      log.error({ requestId, entry, err: error }, "the audit log could not be written");
    }
  };
}

/** Of a name that cannot be one, nothing is noted. */
function functionNameOf(c: Context<AdminEnv>): string | null {
  const name = c.get("functionName") ?? c.req.param("name");
  return name !== undefined && FUNCTION_NAME.test(name) ? name : null;
}

function addressOf(c: Context<AdminEnv>): string {
  return getConnInfo(c).remote.address ?? "unknown";
}
