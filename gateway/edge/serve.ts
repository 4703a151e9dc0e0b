import type { IncomingMessage, ServerResponse } from "node:http";
import { maxChunkBytes } from "../../runtime/protocol.ts";
import { codeOf, outcomeError, PlatformError, toPlatformError } from "../errors.ts";
import { requestHeaders } from "../headers.ts";
import { requestIdOf } from "../request-id.ts";
import { RequestScope } from "../request-scope.ts";
import type { EdgeDeps } from "./app.ts";
import { chooseVersion, FUNCTION_KEY_HEADER } from "./choose.ts";
import { bodyOf, hostOf, IncomingHeaders } from "./incoming.ts";
import { heldAnswers, sendError, sendResponse } from "./outgoing.ts";
import { edgeTarget } from "./target.ts";
import { UnsentAnswers } from "./unsent-answers.ts";

/** Methods that no function gets to see: no `Request` can have them. */
const IMPOSSIBLE_METHODS = new Set(["TRACE", "TRACK", "CONNECT"]);

/** Answers up to this length fit into the system's buffers. */
const SMALL_ANSWER_BYTES = 16 * 1024;

/** Where functions answer, as a path or in the absolute form that proxies use. */
const FUNCTION_TARGET = /^(?:https?:\/\/[^/?#]*)?\/f\/[^/?#]/i;

/**
 * Answers what is for a function, and says whether it was. Without the web platform's Request and Response in between: making those took
 * longer than running a small function.
 */
export function functionServer(
  deps: EdgeDeps,
): (incoming: IncomingMessage, outgoing: ServerResponse) => boolean {
  const unsent = new UnsentAnswers();
  return (incoming, outgoing) => {
    if (!FUNCTION_TARGET.test(incoming.url ?? "")) return false;
    void serve(deps, unsent, incoming, outgoing);
    return true;
  };
}

/** What may be held of a body until its client takes it, bytes: of a stream what waits in the sink and at the connection. */
const heldBytes = (body: Uint8Array | ReadableStream) =>
  body instanceof Uint8Array ? body.length : 2 * maxChunkBytes;

async function serve(
  deps: EdgeDeps,
  unsent: UnsentAnswers,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  heldAnswers.releaseLate();
  const { config, registry, invoker, log } = deps;
  const headers = new IncomingHeaders(incoming.headers);
  const requestId = requestIdOf(headers.get("x-request-id"));
  const scope = new RequestScope(config.limits.requestTimeoutMs, deps.scopes);
  outgoing.on("close", () => {
    unsent.remove(outgoing);
    if (!outgoing.writableFinished) scope.clientGone();
  });
  let streaming: Promise<unknown> | undefined;
  try {
    const { method = "GET" } = incoming;
    if (IMPOSSIBLE_METHODS.has(method)) {
      throw new PlatformError("method_not_allowed", `Functions do not take ${method}`);
    }
    const target = edgeTarget(hostOf(incoming), incoming.url ?? "/");
    const { live, setCookie } = chooseVersion(registry, target.name, headers);
    const received = bodyOf(incoming, config.limits.bodyLimitBytes, scope);
    const body = received instanceof Promise ? await scope.within(received) : received;
    const shown = requestHeaders(headers, FUNCTION_KEY_HEADER);
    const request = { method, url: target.url, headers: shown, body };
    const { outcome, background } = await invoker.invoke(live, request, requestId, scope);
    if (outcome.kind === "aborted") throw scope.error();
    if (outcome.kind !== "completed") throw outcomeError(outcome);
    if (outcome.response.body instanceof ReadableStream) streaming = background;
    if (sendResponse(outgoing, outcome.response, requestId, setCookie)) {
      const bytes = heldBytes(outcome.response.body);
      if (bytes > SMALL_ANSWER_BYTES) unsent.add(outgoing, bytes);
      return;
    }
    log.warn({ requestId, function: live.name }, "response with unusable status or headers");
    throw new PlatformError("invalid_response", "The function did not answer with a valid response");
  } catch (thrown) {
    const code = codeOf(thrown);
    const error = code === "request_timeout" ? scope.error() : toPlatformError(thrown);
    if (error !== thrown && error.code === "internal_error")
      log.error({ requestId, err: thrown }, "edge failed");
    // Of a body that is still on its way the rest can't be told from another request.
    sendError(outgoing, error, requestId, code === "request_timeout" || code === "payload_too_large");
  } finally {
    if (streaming) void streaming.finally(() => scope[Symbol.dispose]());
    else scope[Symbol.dispose]();
  }
}
