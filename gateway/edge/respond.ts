import type { InvocationResponse } from "../../runtime/invocation.ts";
import { responseHeaders } from "../headers.ts";

/** A function's answer as an HTTP response, or undefined when it is none that could be sent. */
export function toHttpResponse(answer: InvocationResponse, requestId: string): Response | undefined {
  const { status } = answer;
  // 1xx would be taken for an interim answer, and the client would go on waiting.
  const usable = Number.isInteger(status) && status >= 200 && status <= 599;
  const headers = usable ? responseHeaders(answer.headers) : undefined;
  if (!headers) {
    discard(answer.body);
    return undefined;
  }
  headers.push(["x-request-id", requestId]);
  const empty = status === 204 || status === 205 || status === 304;
  if (empty) discard(answer.body);
  const body = empty ? null : (answer.body as Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>);
  return new Response(body, { status, headers: compact(headers) });
}

function discard(body: InvocationResponse["body"]): void {
  if (body instanceof ReadableStream) void body.cancel().catch(() => {});
}

/** A plain record when no name comes twice: the server writes it without building a `Headers` first. */
function compact(list: [string, string][]): Record<string, string> | Headers {
  const record: Record<string, string> = {};
  for (const [name, value] of list) {
    if (name in record) return new Headers(list);
    record[name] = value;
  }
  return record;
}
