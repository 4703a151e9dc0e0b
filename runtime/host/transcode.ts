import { Readable } from "node:stream";
import {
  createDeflate,
  createDeflateRaw,
  createGunzip,
  createGzip,
  createInflate,
  createInflateRaw,
} from "node:zlib";
import type { Writing } from "../pipes.ts";
import type { Coding } from "../protocol.ts";
import { HostError } from "../services.ts";

/** Bytes of a piece of output: also what a decompressed bomb is read by. */
const options = { chunkSize: 64 * 1024, rejectGarbageAfterEnd: true };

const makers = {
  "compress gzip": () => createGzip(options),
  "compress deflate": () => createDeflate(options),
  "compress deflate-raw": () => createDeflateRaw(options),
  "decompress gzip": () => createGunzip(options),
  "decompress deflate": () => createInflate(options),
  "decompress deflate-raw": () => createInflateRaw(options),
} satisfies Record<Coding, () => unknown>;

/**
 * Compresses or decompresses on the host's thread pool: what is written to `sink` comes out of `readable`, and is made no
 * faster than it is read.
 */
export function transcode(coding: Coding): { sink: Writing; readable: ReadableStream<Uint8Array> } {
  const stream = makers[coding]();
  let writing: PromiseWithResolvers<void> | null = null;
  // the stream does not call back for a write that has failed
  stream.on("error", (error) => writing?.reject(damaged(error)));
  const sink: Writing = {
    get busy() {
      return writing !== null;
    },
    write: async (bytes) => {
      if (stream.errored) throw damaged(stream.errored);
      writing = Promise.withResolvers();
      const { promise, resolve } = writing;
      stream.write(bytes, () => {
        if (!stream.errored) resolve();
      });
      try {
        await promise;
      } finally {
        writing = null;
      }
    },
    close: () => stream.end(),
    fail: () => stream.destroy(),
  };
  const reader = (Readable.toWeb(stream) as ReadableStream<Uint8Array>).getReader();
  const readable = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (cause) {
          throw damaged(cause);
        }
      },
      cancel: () => void stream.destroy(),
    },
    { highWaterMark: 0 },
  );
  return { sink, readable };
}

function damaged(cause: unknown): HostError {
  return new HostError("compressed_data_invalid", "The compressed data is not valid", {
    name: "TypeError",
    cause,
  });
}
