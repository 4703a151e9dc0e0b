import { type Duplex, type Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";
import type { HeaderList } from "../../protocol.ts";
import { egressError } from "./errors.ts";

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

/**
 * Reads a body, decoded. Rejects with `egress_too_large` as soon as the decoded bytes are more than `maxBytes`, and
 * with `egress_protocol` for a body that does not decode.
 */
export async function readBody(
  body: Readable,
  applied: string[],
  maxBytes: number,
  host: string,
): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        return done(
          egressError("egress_too_large", `the answer from ${host} is larger than ${maxBytes} bytes`),
        );
      chunks.push(chunk);
      done();
    },
  });
  const first = await firstChunk(body);
  // What answers HEAD, 204 or 304 may name a coding and have nothing to decode.
  if (first === null) return new Uint8Array(0);
  body.unshift(first);
  const decoders = applied.toReversed().map((coding) => decoder(coding, first));
  try {
    await pipeline([body, ...decoders, sink]);
  } catch (error) {
    if (String((error as { code?: unknown }).code).match(/^(Z_|ERR_BROTLI|ERR__ERROR|ERR_PADDING)/))
      throw egressError("egress_protocol", `the answer from ${host} cannot be decompressed`, error);
    throw error;
  }
  return Buffer.concat(chunks);
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
