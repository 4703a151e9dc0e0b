import { Buffer } from "./buffer.ts";
import { checkEncoding, type Encoding, fromBytes } from "./encodings.ts";

/** Decodes bytes that come in pieces: what is left of a character waits for the next one. */
export class StringDecoder {
  readonly encoding: Encoding;
  #rest: Uint8Array = new Uint8Array(0);
  #text: TextDecoder | null;

  constructor(encoding?: string) {
    this.encoding = checkEncoding(encoding);
    this.#text = this.encoding === "utf8" ? new TextDecoder("utf-8", { ignoreBOM: true }) : null;
  }
  get lastNeed(): number {
    return this.#rest.length;
  }
  write(input: string | Uint8Array | DataView): string {
    if (typeof input === "string") return input;
    const bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    if (this.#text) return this.#text.decode(bytes, { stream: true });
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = all.length - this.#incomplete(all);
    this.#rest = all.slice(end);
    return fromBytes(all.subarray(0, end), this.encoding);
  }
  end(input?: string | Uint8Array): string {
    let text = input === undefined ? "" : this.write(input);
    if (this.#text) {
      text += this.#text.decode();
      this.#text = new TextDecoder("utf-8", { ignoreBOM: true });
      return text;
    }
    if (this.#rest.length > 0) text += fromBytes(this.#rest, this.encoding);
    this.#rest = new Uint8Array(0);
    return text;
  }
  #incomplete(bytes: Uint8Array): number {
    switch (this.encoding) {
      case "base64":
      case "base64url":
        return bytes.length % 3;
      case "utf16le": {
        if (bytes.length % 2 === 1) return 1 + (isHigh(bytes, bytes.length - 1) ? 2 : 0);
        return isHigh(bytes, bytes.length) ? 2 : 0;
      }
      default:
        return 0;
    }
  }
}

/** Whether the character that ends there is the first half of a pair. */
const isHigh = (bytes: Uint8Array, end: number): boolean =>
  end >= 2 && bytes[end - 1]! >= 0xd8 && bytes[end - 1]! <= 0xdb;

export default { StringDecoder };
