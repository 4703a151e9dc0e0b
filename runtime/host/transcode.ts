import { Readable } from "node:stream";
import zlib from "node:zlib";
import { SinkCancelled, type Writing } from "../pipes.ts";
import type { Coding, TranscodeOptions, TranscodeRequest } from "../protocol.ts";
import { HostError } from "../services.ts";

/** Bytes of a piece of output: also what a decompressed bomb is read by. */
const chunkSize = 64 * 1024;

type Transcoder = zlib.Gzip | zlib.BrotliCompress;

const makers = {
  "compress gzip": zlib.createGzip,
  "compress deflate": zlib.createDeflate,
  "compress deflate-raw": zlib.createDeflateRaw,
  "compress brotli": zlib.createBrotliCompress,
  "decompress gzip": zlib.createGunzip,
  "decompress deflate": zlib.createInflate,
  "decompress deflate-raw": zlib.createInflateRaw,
  "decompress brotli": zlib.createBrotliDecompress,
  "decompress unzip": zlib.createUnzip,
} satisfies Record<Coding, (options: object) => Transcoder>;

/** A window of up to 1 GiB, beyond the format that everybody reads. */
const { BROTLI_PARAM_LARGE_WINDOW, BROTLI_DECODER_PARAM_LARGE_WINDOW } = zlib.constants;

/** @throws HostError for Brotli with a window that takes too much memory. */
export function checkParams(brotli: "compress" | "decompress" | null, params: object | undefined): void {
  if (brotli === null || params === undefined) return;
  const large = brotli === "compress" ? BROTLI_PARAM_LARGE_WINDOW : BROTLI_DECODER_PARAM_LARGE_WINDOW;
  if (`${large}` in params)
    throw new HostError("ERR_BROTLI_INVALID_PARAM", "Brotli's large window is not supported in a sandbox", {
      name: "RangeError",
    });
}

function make(coding: Coding, { dictionary, ...options }: TranscodeOptions): Transcoder {
  const [direction, format] = coding.split(" ");
  checkParams(format === "brotli" ? (direction as "compress") : null, options.params);
  const known = dictionary === undefined ? {} : { dictionary: Buffer.from(dictionary, "base64") };
  return makers[coding]({ ...options, ...known, chunkSize });
}

/**
 * Compresses or decompresses on the host's thread pool: what is written to `sink` comes out of `readable`, and is made no
 * faster than it is read. `closed` resolves when zlib's memory is free. Options that zlib does not take fail the streams.
 */
export function transcode({ coding, options }: TranscodeRequest): {
  sink: Writing;
  readable: ReadableStream<Uint8Array>;
  closed: Promise<void>;
} {
  let stream: Transcoder;
  try {
    stream = make(coding, options);
  } catch (cause) {
    return refused(described(cause));
  }
  let writing: PromiseWithResolvers<void> | null = null;
  // the stream does not call back for a write that has failed, nor for one that is given up
  stream.on("error", (error) => writing?.reject(described(error)));
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  void closed.then(() => writing?.reject(new SinkCancelled()));
  const inTurn = async (work: (done: () => void) => void): Promise<void> => {
    if (stream.errored) throw described(stream.errored);
    writing = Promise.withResolvers();
    const { promise, resolve } = writing;
    work(() => {
      if (!stream.errored) resolve();
    });
    try {
      await promise;
    } finally {
      writing = null;
    }
  };
  const sink: Writing = {
    get busy() {
      return writing !== null;
    },
    write: (bytes) => inTurn((done) => stream.write(bytes, done)),
    flush: (kind) => inTurn((done) => stream.flush(kind, done)),
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
          throw described(cause);
        }
      },
      cancel: () => void stream.destroy(),
    },
    { highWaterMark: 0 },
  );
  return { sink, readable, closed };
}

function refused(error: HostError): ReturnType<typeof transcode> {
  const fail = async (): Promise<never> => {
    throw error;
  };
  const sink = { busy: false, write: fail, flush: fail, close: () => {}, fail: () => {} };
  const readable = new ReadableStream<Uint8Array>({ pull: fail }, { highWaterMark: 0 });
  return { sink, readable, closed: Promise.resolve() };
}

/** What zlib says of data or options is for the guest to see. */
function described(cause: unknown): HostError {
  if (cause instanceof HostError) return cause;
  const { code, message, name } = cause as Error & { code?: string };
  return /^(?:Z_|ERR_)/.test(code ?? "")
    ? new HostError(code!, message, { name, cause })
    : new HostError("ERR_ZLIB", "The compressed data is not valid", { cause });
}
