import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ErrorBody, PlatformError } from "./errors.ts";
import { requestIdOf } from "./request-id.ts";

/** An unread body up to this length is read to its end and thrown away; a longer one costs the connection. */
const SKIPPED_BODY_BYTES = 64 * 1024;

/** Answers a request with an error, with as little work as possible: a refusal must cost much less than an execution. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: PlatformError): void {
  const requestId = requestIdOf(request.headers["x-request-id"] as string | undefined);
  const body = bodyOf(error, requestId);
  const headers: Record<string, string | number> = {
    "content-type": "application/json",
    "x-request-id": requestId,
    "content-length": Buffer.byteLength(body),
  };
  if (error.retryAfterSeconds !== undefined) headers["retry-after"] = error.retryAfterSeconds;
  const length = request.headers["content-length"];
  const long = Number(length ?? 0) > SKIPPED_BODY_BYTES || request.headers["transfer-encoding"] !== undefined;
  if (long) headers.connection = "close";
  response.writeHead(error.status, headers).end(body);
}

/** The same on a connection on which no request has come about, which ends with it. */
export function refuseConnection(socket: Socket, error: PlatformError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = requestIdOf(undefined);
  const body = bodyOf(error, requestId);
  const retry = error.retryAfterSeconds === undefined ? "" : `Retry-After: ${error.retryAfterSeconds}\r\n`;
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nContent-Type: application/json\r\n` +
      `X-Request-Id: ${requestId}\r\n${retry}Content-Length: ${Buffer.byteLength(body)}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

function bodyOf({ code, message }: PlatformError, requestId: string): string {
  return JSON.stringify({ error: { code, message, requestId } } satisfies ErrorBody);
}
