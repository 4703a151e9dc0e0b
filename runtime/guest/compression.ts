import type { Coding } from "../protocol.ts";
import { bytesOf, isBufferSource } from "./blob.ts";
import { closeSink, openTranscoder, readSource, release, writeSink } from "./pipes.ts";
import { type ReadableStream, streamLibrary, type WritableStream } from "./stream.ts";

const formats = ["brotli", "deflate", "deflate-raw", "gzip"];

/** What both directions are: the host does the work, at the pace at which the result is read. */
abstract class Transcoder {
  readonly #readable: ReadableStream<Uint8Array>;
  readonly #writable: WritableStream<unknown>;

  constructor(direction: "compress" | "decompress", format: unknown) {
    const name = `${format}`;
    if (!formats.includes(name))
      throw new TypeError(`"${name}" is not a compression format: ${formats.join(", ")}`);
    let opened = 0;
    const id = (): number => {
      opened ||= openTranscoder(`${direction} ${name}` as Coding, { rejectGarbageAfterEnd: true });
      return opened;
    };
    const wanted = Promise.withResolvers<void>();
    let output: ReadableStreamDefaultController<Uint8Array>;
    let input: WritableStreamDefaultController;
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => {});
    const fail = (cause: unknown) => {
      const error = damaged(cause);
      broken.reject(error);
      input.error(error);
      output.error(error);
      wanted.resolve();
    };
    this.#readable = new (streamLibrary().ReadableStream)<Uint8Array>(
      {
        start(controller) {
          output = controller as never;
        },
        async pull(controller) {
          wanted.resolve();
          try {
            const bytes = await readSource(id());
            if (bytes) controller.enqueue(bytes);
            else controller.close();
          } catch (error) {
            fail(error);
          }
        },
        cancel(reason) {
          release(id());
          input.error(reason);
          wanted.resolve();
        },
      },
      { highWaterMark: 0 },
    );
    this.#writable = new (streamLibrary().WritableStream)<unknown>({
      start(controller) {
        input = controller as never;
      },
      async write(chunk) {
        if (!isBufferSource(chunk)) {
          const error = new TypeError("A chunk must be an ArrayBuffer or a view of one");
          fail(error);
          throw error;
        }
        // as a TransformStream: nothing is taken in before someone reads
        await wanted.promise;
        try {
          await Promise.race([writeSink(id(), bytesOf(chunk)), broken.promise]);
        } catch (error) {
          fail(error);
          throw damaged(error);
        }
      },
      async close() {
        closeSink(id());
      },
      abort(reason) {
        release(id());
        output.error(reason);
      },
    });
  }
  get readable(): ReadableStream<Uint8Array> {
    return this.#readable;
  }
  get writable(): WritableStream<unknown> {
    return this.#writable;
  }
}

/** What zlib says of its input is one error here. */
const damaged = (error: unknown): unknown =>
  /^(?:Z_|ERR_)/.test((error as { code?: string }).code ?? "")
    ? new TypeError("The compressed data is not valid", { cause: error })
    : error;

export class CompressionStream extends Transcoder {
  constructor(format: string) {
    super("compress", format);
  }
}

export class DecompressionStream extends Transcoder {
  constructor(format: string) {
    super("decompress", format);
  }
}
