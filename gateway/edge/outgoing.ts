import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { InvocationResponse } from "../../runtime/invocation.ts";
import { errorAnswer, type PlatformError } from "../errors.ts";
import { responseHeaders } from "../headers.ts";
import { HeldAnswers } from "./held-answers.ts";

/** Bodies up to this length leave in one write with the head: Node puts strings together, byte for byte in Latin-1. */
const ONE_WRITE_BYTES = 16 * 1024;

/** Answers of this process that are about to leave. */
export const heldAnswers = new HeldAnswers();

/** Sends a function's answer; false, and nothing sent, when it is none that could be. */
export function sendResponse(
  outgoing: ServerResponse,
  { status, headers, body }: InvocationResponse,
  requestId: string,
  setCookie: string | undefined,
): boolean {
  // 1xx would be taken for an interim answer, and the client would go on waiting.
  const usable = Number.isInteger(status) && status >= 200 && status <= 599;
  const checked = usable ? responseHeaders(headers) : undefined;
  if (!checked) {
    discard(body);
    return false;
  }
  const lines: string[] = [];
  for (const [name, value] of checked) lines.push(name, value);
  lines.push("x-request-id", requestId);
  if (setCookie !== undefined) lines.push("set-cookie", setCookie);
  if (status === 204 || status === 205 || status === 304) {
    discard(body);
    send(outgoing, status, lines, "");
  } else if (body instanceof Uint8Array) {
    if (body.length > 0 || outgoing.req.method !== "HEAD") lines.push("content-length", `${body.length}`);
    send(outgoing, status, lines, body.length > ONE_WRITE_BYTES ? body : asBuffer(body).toString("latin1"));
  } else {
    outgoing.writeHead(status, lines);
    void sendStream(outgoing, body);
  }
  return true;
}

/** Sends head and body; short ones with the other answers of this turn of the event loop. */
function send(outgoing: ServerResponse, status: number, lines: string[], body: string | Uint8Array): void {
  if (typeof body !== "string") outgoing.writeHead(status, lines).end(body);
  else
    heldAnswers.add(() => {
      if (!outgoing.destroyed) outgoing.writeHead(status, lines).end(body, "latin1");
    });
}

/** Sends an error; `last`: the connection can't carry another request. */
export function sendError(
  outgoing: ServerResponse,
  error: PlatformError,
  requestId: string,
  last: boolean,
): void {
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  const { status, headers, body } = errorAnswer(error, requestId);
  const lines = headers.flat();
  if (last) lines.push("connection", "close");
  lines.push("content-length", `${Buffer.byteLength(body)}`);
  send(outgoing, status, lines, Buffer.from(body).toString("latin1"));
}

/** As fast as the client takes it; a stream that breaks off cuts the connection, so that no client takes it for whole. */
async function sendStream(outgoing: ServerResponse, body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  const gone = once(outgoing, "close");
  outgoing.on("close", () => void reader.cancel().catch(() => {}));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!outgoing.write(value)) await Promise.race([once(outgoing, "drain"), gone]);
    }
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

function discard(body: InvocationResponse["body"]): void {
  if (body instanceof ReadableStream) void body.cancel().catch(() => {});
}
