import type * as Library from "web-streams-polyfill";
import { loadPart } from "./host.ts";
import { apply, resolved, then } from "./primordials.ts";

export type ReadableStream<T = unknown> = Library.ReadableStream<T>;
export type WritableStream<T = unknown> = Library.WritableStream<T>;
export type TransformStream<I = unknown, O = unknown> = Library.TransformStream<I, O>;

/** The globals of the Streams standard. */
export const streamNames = [
  "ByteLengthQueuingStrategy",
  "CountQueuingStrategy",
  "ReadableByteStreamController",
  "ReadableStream",
  "ReadableStreamBYOBReader",
  "ReadableStreamBYOBRequest",
  "ReadableStreamDefaultController",
  "ReadableStreamDefaultReader",
  "TransformStream",
  "TransformStreamDefaultController",
  "WritableStream",
  "WritableStreamDefaultController",
  "WritableStreamDefaultWriter",
] as const;

interface Streams {
  library: typeof Library;
  getReader: Library.ReadableStream["getReader"];
  cancel: Library.ReadableStream["cancel"];
  read: Library.ReadableStreamDefaultReader["read"];
}
let loaded: Streams | null = null;

function streams(): Streams {
  if (loaded === null) {
    const library = loadPart<typeof Library>("streams");
    const { getReader, cancel } = library.ReadableStream.prototype;
    loaded = { library, getReader, cancel, read: library.ReadableStreamDefaultReader.prototype.read };
  }
  return loaded;
}

/** The classes of the standard. */
export const streamLibrary = (): typeof Library => streams().library;

/** Nothing is a stream before the first has been made. */
export const isStream = (value: unknown): value is ReadableStream =>
  loaded !== null && value instanceof loaded.library.ReadableStream;

/** Bytes of one chunk of {@link streamOf}. */
const pieceBytes = 65_536;

/** A byte stream of copies of these bytes, which stay as they are. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  const stream = new (streamLibrary().ReadableStream)<Uint8Array>({
    type: "bytes",
    pull(controller) {
      const piece = bytes.slice(at, at + pieceBytes);
      at += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      if (at < bytes.length) return;
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
  apply(set, wholes, [stream, bytes]);
  return stream;
}

const wholes = new WeakMap<ReadableStream, Uint8Array>();
const { get, set } = WeakMap.prototype;

/**
 * All the bytes of a stream that {@link streamOf} has made and nobody has touched, or null. Middleware often does no more than hand
 * a body on as a stream: it need not become one for that.
 */
export function wholeBytes(stream: ReadableStream): Uint8Array<ArrayBuffer> | null {
  if (stream.locked || isDisturbed(stream)) return null;
  return (apply(get, wholes, [stream]) as Uint8Array<ArrayBuffer> | undefined) ?? null;
}

/** Whether someone has read from the stream or cancelled it. The standard gives no way to ask, the library's own state does. */
export function isDisturbed(stream: ReadableStream): boolean {
  return (stream as unknown as { _disturbed: boolean })._disturbed;
}

/** Calls `onChunk` for each chunk, one after the other; ends with what it throws, with which the stream is cancelled. */
export function forEachChunk(
  stream: ReadableStream,
  onChunk: (chunk: Uint8Array<ArrayBuffer>) => void | Promise<void>,
): Promise<void> {
  const reader = apply(streams().getReader, stream, []) as Library.ReadableStreamDefaultReader<unknown>;
  const stop = (error: unknown): never => {
    then(reader.cancel(error), undefined as never, () => {});
    throw error;
  };
  const next = (): Promise<void> =>
    then(
      apply(streams().read, reader, []) as Promise<{ done: boolean; value: unknown }>,
      ({ done, value }) => {
        if (done) return;
        try {
          if (!(value instanceof Uint8Array))
            throw new TypeError("A body stream must bring Uint8Array chunks");
          const taken = onChunk(value as Uint8Array<ArrayBuffer>);
          return taken === undefined ? next() : then(taken, next, stop);
        } catch (error) {
          return stop(error);
        }
      },
    );
  return next();
}

/** Everything that the stream will bring. */
export function readAll(stream: ReadableStream): Promise<Uint8Array<ArrayBuffer>> {
  const whole = wholeBytes(stream);
  if (whole) {
    discard(stream);
    return resolved(whole.slice());
  }
  const chunks: Uint8Array[] = [];
  const all = forEachChunk(stream, (chunk) => {
    chunks.push(chunk);
  });
  return then(all, () => concat(chunks));
}

/** Nobody will read the stream. */
export function discard(stream: ReadableStream, reason?: unknown): void {
  then(apply(streams().cancel, stream, [reason]) as Promise<void>, undefined as never, () => {});
}

export function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}
