import type { InvocationMetrics, InvocationRequest, InvocationResult } from "../../runtime/invocation.ts";
import type { HeaderList, LogLine } from "../../runtime/protocol.ts";
import type { InvokeInput } from "../admin/input.ts";
import { type ErrorCode, outcomeDetail, outcomeError, PlatformError } from "../errors.ts";
import { requestHeaders, responseHeaders } from "../headers.ts";
import type { Invoker } from "../invoker.ts";
import type { LiveFunction } from "../live-function.ts";
import type { RequestScope } from "../request-scope.ts";

/** The answer of the admin's `invoke`. */
export interface InvokeResult {
  /** What an edge client would get. */
  status: number;
  headers: Record<string, string | string[]>;
  body: string;
  /** `base64` when the body is no UTF-8 text. */
  bodyEncoding: "utf8" | "base64";
  metrics: InvocationMetrics;
  logs: LogLine[];
  requestId: string;
  /** Present when the function failed; with its own message and stack, which edge clients never see. */
  error?: { code: ErrorCode; message: string; detail?: { name?: string; message: string; stack?: string } };
}

/** Executes a function as the edge would. Throws what {@link Invoker.invoke} throws. */
export async function invokeForAdmin(
  invoker: Invoker,
  live: LiveFunction,
  input: InvokeInput,
  requestId: string,
  scope: RequestScope,
): Promise<InvokeResult> {
  const { outcome, metrics, logs } = await collect(
    await invoker.invoke(live, toRequest(input), requestId, scope),
    live.limits.responseLimitBytes,
  );
  const common = { metrics, logs, requestId };
  if (outcome.kind === "completed") {
    const { status, headers, body } = outcome.response;
    const sendable = responseHeaders(headers);
    if (sendable && status >= 200 && status <= 599) {
      return { status, headers: toRecord(sendable), ...toText(body as Uint8Array), ...common };
    }
  }
  const error =
    outcomeError(outcome) ??
    new PlatformError("invalid_response", "The function did not answer with a valid response");
  const detail = outcomeDetail(outcome);
  const { code, message } = error;
  return {
    status: error.status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ error: { code, message, requestId } }),
    bodyEncoding: "utf8",
    ...common,
    error: detail ? { code, message, detail } : { code, message },
  };
}

/** The result with a streamed body read to its end; a body that breaks off is the outcome that it broke off with. */
async function collect(result: InvocationResult, limitBytes: number): Promise<InvocationResult> {
  const { outcome, background } = result;
  if (outcome.kind !== "completed" || !(outcome.response.body instanceof ReadableStream)) return result;
  const chunks: Uint8Array[] = [];
  let total = 0;
  let over = false;
  try {
    for await (const chunk of outcome.response.body) {
      total += chunk.byteLength;
      over = total > limitBytes;
      if (over) break;
      chunks.push(chunk);
    }
  } catch {
    // the outcome says why
  }
  const final = { ...result, ...(await background) };
  if (over) return { ...final, outcome: { kind: "responseTooLarge", limitBytes } };
  if (final.outcome.kind !== "completed") return final;
  const body = Buffer.concat(chunks, total);
  return { ...final, outcome: { kind: "completed", response: { ...outcome.response, body } } };
}

function toRequest(input: InvokeInput): InvocationRequest {
  const headers = headersOf(input.headers ?? {});
  let body = new Uint8Array(0);
  if (typeof input.body === "string") {
    body = Uint8Array.from(Buffer.from(input.body, input.bodyEncoding ?? "utf8"));
  } else if (input.body !== undefined) {
    body = Uint8Array.from(Buffer.from(JSON.stringify(input.body)));
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
  }
  if (input.body !== undefined) headers.set("content-length", String(body.byteLength));
  if (!headers.has("host")) headers.set("host", "localhost");
  const url = new URL(input.path ?? "/", "http://localhost");
  for (const [name, value] of queryOf(input.query)) url.searchParams.append(name, value);
  return {
    method: input.method ?? (input.body === undefined ? "GET" : "POST"),
    // A path such as `//other` would otherwise become a host.
    url: `http://localhost${input.path?.startsWith("//") ? input.path : url.pathname}${url.search}`,
    headers: requestHeaders(headers),
    body,
  };
}

function headersOf(record: Record<string, string>): Headers {
  try {
    return new Headers(record);
  } catch (error) {
    throw new PlatformError("invalid_input", "headers: not valid HTTP headers", { cause: error });
  }
}

function queryOf(query: InvokeInput["query"]): [string, string][] {
  if (query === undefined) return [];
  if (typeof query === "string") return [...new URLSearchParams(query)];
  return Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, one]),
  );
}

function toRecord(list: HeaderList): Record<string, string | string[]> {
  const values = Map.groupBy(list, ([name]) => name);
  return Object.fromEntries(
    [...values].map(([name, [first, ...more]]) => [
      name,
      more.length === 0 ? first![1] : [first![1], ...more.map(([, value]) => value)],
    ]),
  );
}

function toText(body: Uint8Array): Pick<InvokeResult, "body" | "bodyEncoding"> {
  try {
    return {
      body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body),
      bodyEncoding: "utf8",
    };
  } catch {
    return { body: Buffer.from(body).toString("base64"), bodyEncoding: "base64" };
  }
}
