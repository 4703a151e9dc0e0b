import { type Coding, maxChunkBytes, Op, type TranscodeOptions, type TranscodeRequest } from "../protocol.ts";
import { host, start } from "./host.ts";
import { stringifyJson } from "./primordials.ts";
import { forEachChunk, type ReadableStream, streamLibrary } from "./stream.ts";

/** Number of the request's body as a source, and of the response's as a sink. */
export const ownBody = 0;

/** The next bytes of a host's source, or null at its end. */
export function readSource(source: number): Promise<Uint8Array<ArrayBuffer> | null> {
  return new Promise((resolve, reject) => {
    start("reading", Op.read, `${source}`, undefined, (error, text, bytes) => {
      if (error) reject(error);
      else resolve(text === "end" ? null : (bytes as Uint8Array<ArrayBuffer>));
    });
  });
}

/** Gives bytes to a host's sink; resolves when it takes more. */
export async function writeSink(sink: number, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; from += maxChunkBytes) {
    const piece = bytes.subarray(from, from + maxChunkBytes);
    await new Promise<void>((resolve, reject) => {
      start("writing", Op.write, `${sink}`, piece, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** Makes a transcoder's sink give what it holds back, as zlib numbers the ways; resolves when that has been read. */
export function flushSink(sink: number, kind: number): Promise<void> {
  return new Promise((resolve, reject) => {
    start("flushing", Op.flush, `${sink}`, Uint8Array.of(kind), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

/** The sink has got everything. */
export function closeSink(sink: number): void {
  host(Op.close, `${sink}`);
}

/** Nobody wants what is left of a source, nor of what goes to the sink of this number. */
export function release(id: number): void {
  host(Op.cancel, `${id}`);
}

/** Starts to compress or decompress on the host: the number of a sink, and of the source that its result comes from. */
export const openTranscoder = (coding: Coding, options: TranscodeOptions): number =>
  start(
    "compression",
    Op.transcode,
    stringifyJson({ coding, options } satisfies TranscodeRequest),
    undefined,
    () => {},
  );

/** A host's source as a byte stream, read when the stream is. `failed` makes the error of one that broke. */
export function sourceStream(
  source: number,
  failed: (error: Error) => unknown = (error) => error,
  started?: (controller: ReadableByteStreamController) => void,
): ReadableStream<Uint8Array> {
  return new (streamLibrary().ReadableStream)<Uint8Array>(
    {
      type: "bytes",
      start(controller) {
        started?.(controller as never);
      },
      async pull(controller) {
        let bytes: Uint8Array<ArrayBuffer> | null;
        try {
          bytes = await readSource(source);
        } catch (error) {
          throw failed(error as Error);
        }
        if (bytes) controller.enqueue(bytes);
        else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
      cancel: () => release(source),
    },
    { highWaterMark: 0 },
  );
}

/** Writes a whole stream to a sink. Rejects with what broke the stream, or with an AbortError when nobody reads the sink. */
export async function pump(stream: ReadableStream, sink: number): Promise<void> {
  await forEachChunk(stream, (chunk) => writeSink(sink, chunk));
  closeSink(sink);
}
