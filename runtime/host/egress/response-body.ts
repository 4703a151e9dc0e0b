import { type Duplex, pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";
import type { HeaderList } from "../../protocol.ts";
import { egressError, fromTransport } from "./errors.ts";

const MAX_CODINGS = 2;

/** The codings of a response in the order they were applied; null when there is one that we did not ask for. */
export function codings(headers: HeaderList): string[] | null {
  const list = headers
    .filter(([name]) => name === "content-encoding")
    .flatMap(([, value]) => value.split(","))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
  const known = list.every((coding) => /^(x-gzip|gzip|deflate|br)$/.test(coding));
  return known && list.length <= MAX_CODINGS ? list : null;
}

export interface BodyOptions {
  /** Of the decoded bytes: more break the stream with `egress_too_large`. */
  maxBytes: number;
  host: string;
  signal: AbortSignal;
  /** Called once, when everything has been read (`whole`), or the rest will not be. */
  done(whole: boolean): void;
}

/**
 * A body, decoded, as fast as it is read. It breaks with `egress_protocol` when it does not decode, and with the errors of the
 * connection.
 */
export function bodyStream(
  body: Readable,
  applied: string[],
  options: BodyOptions,
): ReadableStream<Uint8Array> {
  const { maxBytes, host, signal, done } = options;
  const chunks = decoded(body, applied);
  // undici calls it an error when a body is destroyed that nobody has finished
  body.on("error", () => {});
  let bytes = 0;
  const stop = () => {
    body.destroy();
    done(false);
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const chunk = await chunks.next();
          if (chunk.done) {
            controller.close();
            done(true);
            return;
          }
          bytes += chunk.value.length;
          if (bytes > maxBytes)
            throw egressError("egress_too_large", `the answer from ${host} is larger than ${maxBytes} bytes`);
          controller.enqueue(chunk.value);
        } catch (error) {
          stop();
          if (/^(Z_|ERR_BROTLI|ERR__ERROR|ERR_PADDING)/.test(String((error as { code?: unknown }).code)))
            throw egressError("egress_protocol", `the answer from ${host} cannot be decompressed`, error);
          throw fromTransport(error, host, signal);
        }
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
}

async function* decoded(body: Readable, applied: string[]): AsyncGenerator<Buffer> {
  if (applied.length === 0) {
    yield* body;
    return;
  }
  const first = await firstChunk(body);
  // What answers HEAD, 204 or 304 may name a coding and have nothing to decode.
  if (first === null) return;
  body.unshift(first);
  const decoders = applied.toReversed().map((coding) => decoder(coding, first));
  const last = decoders[decoders.length - 1]!;
  // an error destroys all of them, and so comes out of the last
  pipeline([body, ...decoders], () => {});
  yield* last;
}

function decoder(coding: string, first: Buffer): Duplex {
  if (coding === "br") return createBrotliDecompress();
  if (coding !== "deflate") return createGunzip();
  // Servers disagree whether "deflate" has the zlib header, whose low four bits are 8.
  return (first[0]! & 0x0f) === 8 ? createInflate() : createInflateRaw();
}

async function firstChunk(body: Readable): Promise<Buffer | null> {
  for (;;) {
    const chunk = body.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (body.readableEnded) return null;
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        body.off("readable", settle).off("end", settle).off("error", fail).off("close", settle);
        resolve();
      };
      const fail = (error: Error) => {
        settle();
        reject(error);
      };
      body.on("readable", settle).on("end", settle).on("error", fail).on("close", settle);
    });
    if (body.errored) throw body.errored;
    if (body.readableEnded || body.destroyed) return null;
  }
}
