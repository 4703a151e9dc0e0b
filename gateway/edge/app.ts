import { type Context, Hono } from "hono";
import type { Admission } from "../admission.ts";
import { requestBody } from "../body.ts";
import type { EdgeConfig } from "../config.ts";
import { codeOf, errorResponse, outcomeError, PlatformError, toPlatformError } from "../errors.ts";
import { requestHeaders } from "../headers.ts";
import type { Invoker } from "../invoker.ts";
import type { Logger } from "../log.ts";
import { requestIdOf } from "../request-id.ts";
import { RequestScope } from "../request-scope.ts";
import { chooseVersion, FUNCTION_KEY_HEADER } from "./choose.ts";
import type { Registry } from "./registry.ts";
import { toHttpResponse } from "./respond.ts";
import { edgeTarget } from "./target.ts";

export interface EdgeDeps {
  config: EdgeConfig;
  registry: Registry;
  invoker: Invoker;
  admission: Admission;
  /** The requests that are under way. */
  scopes: Set<RequestScope>;
  log: Logger;
}

/** Methods that no `Request` can have. */
const IMPOSSIBLE_METHODS = new Set(["TRACE", "TRACK", "CONNECT"]);

/** The public listener: invocations and the two health checks, nothing else. */
export function createEdgeApp(deps: EdgeDeps): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    if (!deps.admission.draining) return c.json({ status: "ready" });
    const error = new PlatformError("overloaded", "The server is shutting down", { retryAfterSeconds: 1 });
    return errorResponse(error, requestIdOf(c.req.header("x-request-id")));
  });
  const invoke = (c: Context) => handle(deps, c.req.raw);
  app.all("/f/:name", invoke);
  app.all("/f/:name/*", invoke);
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

async function handle(deps: EdgeDeps, request: Request): Promise<Response> {
  const { config, registry, invoker, log } = deps;
  const requestId = requestIdOf(request.headers.get("x-request-id"));
  const scope = new RequestScope(config.limits.requestTimeoutMs, request.signal, deps.scopes);
  let streaming: Promise<unknown> | undefined;
  try {
    if (IMPOSSIBLE_METHODS.has(request.method)) {
      throw new PlatformError("method_not_allowed", `Functions do not take ${request.method}`);
    }
    const target = edgeTarget(request.url);
    const { live, setCookie } = chooseVersion(registry, target.name, request.headers);
    const body = await requestBody(request, config.limits.bodyLimitBytes, scope);
    const headers = requestHeaders(request.headers).filter(([name]) => name !== FUNCTION_KEY_HEADER);
    const { outcome, background } = await invoker.invoke(
      live,
      { method: request.method, url: target.url, headers, body },
      requestId,
      scope,
    );
    if (outcome.kind === "aborted") throw scope.error();
    if (outcome.kind !== "completed") throw outcomeError(outcome);
    if (outcome.response.body instanceof ReadableStream) streaming = background;
    const response = toHttpResponse(outcome.response, requestId);
    if (response) {
      if (setCookie) response.headers.append("set-cookie", setCookie);
      return response;
    }
    log.warn({ requestId, function: live.name }, "response with unusable status or headers");
    throw new PlatformError("invalid_response", "The function did not answer with a valid response");
  } catch (thrown) {
    const cutBody = codeOf(thrown) === "request_timeout" || codeOf(thrown) === "payload_too_large";
    const error = codeOf(thrown) === "request_timeout" ? scope.error() : toPlatformError(thrown);
    if (error !== thrown && error.code === "internal_error")
      log.error({ requestId, err: thrown }, "edge failed");
    const response = errorResponse(error, requestId);
    // The rest of the body is still on its way; the connection cannot carry another request.
    if (cutBody) response.headers.set("connection", "close");
    return response;
  } finally {
    if (streaming) void streaming.finally(() => scope[Symbol.dispose]());
    else scope[Symbol.dispose]();
  }
}
