import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { sendError } from "./edge/outgoing.ts";
import { errorAnswer, type PlatformError } from "./errors.ts";
import { requestIdOf } from "./request-id.ts";

/** An unread body up to this length is read to its end and thrown away; a longer one costs the connection. */
const SKIPPED_BODY_BYTES = 64 * 1024;

/** Answers a request with an error, before anything has been done for it. */
export function refuse({ headers }: IncomingMessage, response: ServerResponse, error: PlatformError): void {
  const announced = Number(headers["content-length"] ?? 0);
  const last = announced > SKIPPED_BODY_BYTES || headers["transfer-encoding"] !== undefined;
  sendError(response, error, requestIdOf(headers["x-request-id"] as string | undefined), last);
}

/** The same on a connection on which no request has come about, which ends with it. */
export function refuseConnection(socket: Socket, error: PlatformError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = errorAnswer(error, requestIdOf(undefined));
  headers.push(["content-length", `${Buffer.byteLength(body)}`], ["connection", "close"]);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      `${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
  );
}
