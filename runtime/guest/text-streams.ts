import { streamLibrary, type TransformStream } from "./stream.ts";
import { TextDecoder } from "./text-decoder.ts";

/** A pair of streams over a TransformStream, which the standard's "generic transform streams" hide. */
abstract class TextTransform<I, O> {
  readonly #transform: TransformStream<I, O>;
  constructor(transform: TransformStream<I, O>) {
    this.#transform = transform;
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}

export class TextEncoderStream extends TextTransform<unknown, Uint8Array> {
  constructor() {
    const encoder = new TextEncoder();
    let high = "";
    super(
      new (streamLibrary().TransformStream)<unknown, Uint8Array>({
        transform(chunk, controller) {
          let text = `${high}${chunk}`;
          high = "";
          const last = text.charCodeAt(text.length - 1);
          // half of a pair waits for the other
          if (last >= 0xd800 && last <= 0xdbff) {
            high = text.slice(-1);
            text = text.slice(0, -1);
          }
          if (text !== "") controller.enqueue(encoder.encode(text));
        },
        flush(controller) {
          if (high !== "") controller.enqueue(encoder.encode("\ufffd"));
        },
      }),
    );
  }
  get encoding(): string {
    return "utf-8";
  }
}

export class TextDecoderStream extends TextTransform<BufferSource, string> {
  readonly #decoder: TextDecoder;
  constructor(label = "utf-8", options?: TextDecoderOptions) {
    const decoder = new TextDecoder(label, options);
    super(
      new (streamLibrary().TransformStream)<BufferSource, string>({
        transform(chunk, controller) {
          if (chunk === undefined) throw new TypeError("A chunk must be a buffer or a view of one");
          const text = decoder.decode(chunk, { stream: true });
          if (text !== "") controller.enqueue(text);
        },
        flush(controller) {
          const text = decoder.decode();
          if (text !== "") controller.enqueue(text);
        },
      }),
    );
    this.#decoder = decoder;
  }
  get encoding(): string {
    return this.#decoder.encoding;
  }
  get fatal(): boolean {
    return this.#decoder.fatal;
  }
  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }
}
