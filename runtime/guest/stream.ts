import type * as Library from "web-streams-polyfill";
import { loadPart } from "./host.ts";
import { apply, encodeText, resolved, then } from "./primordials.ts";

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
  loaded !== null && typeof value === "object" && value instanceof loaded.library.ReadableStream;

/** Bytes of one chunk of {@link streamOf}. */
const pieceBytes = 65_536;

/** The library's own state of a stream, as much as is used here. */
interface StreamState {
  _state: "readable";
  _reader: unknown;
  _storedError: undefined;
  _disturbed: boolean;
  _readableStreamController: { _controlledReadableByteStream: unknown };
}

/** What a stream brings that nobody has touched. */
const whole = Symbol("whole");

/**
 * A byte stream of copies of these bytes, which stay as they are, or of a text's. Making the library's controller takes ten times as long
 * as answering a request, and middleware often does no more than hand a body on as a stream: so the controller is made when something
 * asks for it, which every operation on a stream does.
 */
export function streamOf(content: string | Uint8Array): ReadableStream<Uint8Array> {
  const stream = Object.create(streamLibrary().ReadableStream.prototype);
  stream._state = "readable";
  stream._reader = undefined;
  stream._storedError = undefined;
  stream._disturbed = false;
  stream[whole] = content;
  Object.defineProperty(stream, "_readableStreamController", {
    get() {
      const made = controllerFor(stream, typeof content === "string" ? encodeText(content) : content);
      Object.defineProperty(stream, "_readableStreamController", { value: made, writable: true });
      return made;
    },
    configurable: true,
  });
  return stream;
}

/** A controller that brings these bytes, of a stream that was made as the standard has it, for another one. */
function controllerFor(stream: StreamState, bytes: Uint8Array): StreamState["_readableStreamController"] {
  let at = 0;
  const donor = new (streamLibrary().ReadableStream)<Uint8Array>({
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
  const { _readableStreamController: controller } = donor as unknown as StreamState;
  controller._controlledReadableByteStream = stream;
  return controller;
}

/** All that a stream would bring that {@link streamOf} has made and nobody has touched; undefined for any other. */
export function wholeContent(stream: ReadableStream): string | Uint8Array<ArrayBuffer> | undefined {
  return isTaken(stream) ? undefined : (stream as never)[whole];
}

/** Whether someone has the stream, or had it: it can be nobody else's body. */
export function isTaken(stream: ReadableStream): boolean {
  const { _reader, _disturbed } = stream as unknown as StreamState;
  return _reader !== undefined || _disturbed;
}

/** Whether someone has read from the stream or cancelled it. The standard gives no way to ask, the library's own state does. */
export function isDisturbed(stream: ReadableStream): boolean {
  return (stream as unknown as StreamState)._disturbed;
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
  const content = wholeContent(stream);
  if (content !== undefined) {
    discard(stream);
    return resolved(typeof content === "string" ? encodeText(content) : content.slice());
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
