import { labelToName, TextDecoder } from "@exodus/bytes/encoding.js";
import { GuestMessageError } from "../guest-message.ts";
import type { DecodeRequest } from "../protocol.ts";

/** Decoders that are in the middle of a stream, at once. */
const maxOpen = 256;
/** Most input at once, bytes: it is decoded on the thread that serves requests. */
const maxInputBytes = 64 * 1024;

const malformed = -1;
const unknown = -2;

/**
 * The encodings of the Encoding standard besides UTF-8, whose tables would make every image larger. Pure JavaScript with tables of its
 * own, so that all hosts decode alike, and images do not depend on where they are built.
 */
export class Decoders {
  readonly #open = new Map<number, TextDecoder>();

  /** Decodes in place; returns the length of the result, or why there is none. */
  decode({ id, encoding, fatal, ignoreBOM, stream, length }: DecodeRequest, bytes: Uint8Array): number {
    if (length < 0 || length > maxInputBytes || length > bytes.length) throw new GuestMessageError("number");
    if (id === 0) {
      const name = labelToName(encoding);
      return name === null || name === "replacement" ? unknown : write(name.toLowerCase(), bytes);
    }
    const decoder = this.#open.get(id) ?? create(encoding, fatal, ignoreBOM);
    if (stream) this.#open.set(id, decoder);
    else this.#open.delete(id);
    if (this.#open.size > maxOpen) throw new GuestMessageError("number");
    let text: string;
    try {
      text = decoder.decode(bytes.slice(0, length), { stream });
    } catch {
      this.#open.delete(id);
      return malformed;
    }
    return write(text, bytes);
  }
}

function create(encoding: string, fatal: boolean, ignoreBOM: boolean): TextDecoder {
  try {
    return new TextDecoder(encoding, { fatal, ignoreBOM });
  } catch {
    throw new GuestMessageError("number");
  }
}

const encoder = new TextEncoder();

function write(text: string, bytes: Uint8Array): number {
  const { read, written } = encoder.encodeInto(text, bytes);
  if (read < text.length) throw new GuestMessageError("number");
  return written;
}
