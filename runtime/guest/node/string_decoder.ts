import { Buffer } from "./buffer.ts";
import { checkEncoding, type Encoding, fromBytes } from "./encodings.ts";

/** Decodes bytes that come in pieces: what is left of a character waits for the next one. */
export interface StringDecoder {
  encoding: Encoding;
  _rest: Uint8Array;
  _text: TextDecoder | null;
  write(input: string | ArrayBufferView): string;
  end(input?: string | ArrayBufferView): string;
}

const utf8 = () => new TextDecoder("utf-8", { ignoreBOM: true });

/** A function, since packages inherit from it as from one. */
export function StringDecoder(this: StringDecoder, encoding?: string): void {
  this.encoding = checkEncoding(encoding);
  this._rest = new Uint8Array(0);
  this._text = this.encoding === "utf8" ? utf8() : null;
}

StringDecoder.prototype = {
  constructor: StringDecoder,
  get lastNeed(): number {
    return (this as unknown as StringDecoder)._rest.length;
  },
  write(this: StringDecoder, input: string | ArrayBufferView): string {
    if (typeof input === "string") return input;
    const bytes = new Uint8Array(input.buffer as ArrayBuffer, input.byteOffset, input.byteLength);
    if (this._text) return this._text.decode(bytes, { stream: true });
    const all = this._rest.length === 0 ? bytes : Buffer.concat([this._rest, bytes]);
    const end = all.length - incomplete(all, this.encoding);
    this._rest = all.slice(end);
    return fromBytes(all.subarray(0, end), this.encoding);
  },
  end(this: StringDecoder, input?: string | ArrayBufferView): string {
    let text = input === undefined ? "" : this.write(input);
    if (this._text) {
      text += this._text.decode();
      this._text = utf8();
      return text;
    }
    if (this._rest.length > 0) text += fromBytes(this._rest, this.encoding);
    this._rest = new Uint8Array(0);
    return text;
  },
};

/** How many bytes at the end belong to a character, or a group of digits, that is not complete. */
function incomplete(bytes: Uint8Array, encoding: Encoding): number {
  switch (encoding) {
    case "base64":
    case "base64url":
      return bytes.length % 3;
    case "utf16le": {
      return bytes.length % 2 === 1 ? 1 : isHigh(bytes) ? 2 : 0;
    }
    default:
      return 0;
  }
}

/** Whether they end with the first half of a pair. */
const isHigh = (bytes: Uint8Array): boolean =>
  bytes.length >= 2 && bytes.at(-1)! >= 0xd8 && bytes.at(-1)! <= 0xdb;

export default { StringDecoder };
