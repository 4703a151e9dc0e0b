import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { countedBody, WHOLE_BODY_BYTES } from "../body.ts";
import { PlatformError } from "../errors.ts";
import type { RequestScope } from "../request-scope.ts";

const EMPTY = new Uint8Array(0);

/** Headers as {@link IncomingMessage} has them, by name. */
export class IncomingHeaders {
  readonly #headers: IncomingMessage["headers"];

  constructor(headers: IncomingMessage["headers"]) {
    this.#headers = headers;
  }

  get(name: string): string | null {
    const value = this.#headers[name.toLowerCase()];
    return value === undefined ? null : Array.isArray(value) ? value.join(", ") : value;
  }

  /** Of a whole list: a generator takes longer for each than all that is done with it. */
  [Symbol.iterator](): Iterator<[string, string]> {
    const list: [string, string][] = [];
    for (const name in this.#headers) list.push([name, this.get(name)!]);
    return list[Symbol.iterator]();
  }
}

/** The Host header; of two, which no two servers would take the same one of, none that can be used (RFC 9112, section 3.2). */
export function hostOf({ headers, rawHeaders }: IncomingMessage): string {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === "host") count++;
  return count > 1 ? "" : (headers.host ?? "localhost");
}

/**
 * A request's body as the function gets it: whole when it is short, else a stream, which is read as the function reads it. Throws
 * `payload_too_large` when it says that it is over `limitBytes` (a stream that turns out to be ends the scope), `invalid_input` when it
 * breaks off, `request_timeout` when the scope ends first.
 */
export function bodyOf(
  incoming: IncomingMessage,
  limitBytes: number,
  scope: RequestScope,
): Uint8Array | ReadableStream<Uint8Array> | Promise<Uint8Array> {
  const { method, headers } = incoming;
  const length = headers["content-length"];
  if (method === "GET" || method === "HEAD") return EMPTY;
  if (length === undefined && headers["transfer-encoding"] === undefined) return EMPTY;
  if (length !== undefined && Number(length) > limitBytes) {
    throw new PlatformError("payload_too_large", `The request body is over the limit of ${limitBytes} bytes`);
  }
  if (length !== undefined && Number(length) <= WHOLE_BODY_BYTES) return receive(incoming, scope);
  return countedBody(Readable.toWeb(incoming) as ReadableStream<Uint8Array>, limitBytes, scope);
}

function receive(incoming: IncomingMessage, scope: RequestScope): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const onAbort = () => reject(new PlatformError("request_timeout", "The request body took too long"));
    const leave = () => scope.signal.removeEventListener("abort", onAbort);
    if (scope.signal.aborted) onAbort();
    scope.signal.addEventListener("abort", onAbort);
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      leave();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    });
    incoming.on("error", (cause) => {
      leave();
      reject(new PlatformError("invalid_input", "The request body could not be read", { cause }));
    });
  });
}
