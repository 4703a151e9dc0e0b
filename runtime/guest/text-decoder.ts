import type { DecodeRequest } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { bytesOf, isBufferSource } from "./blob.ts";
import { host } from "./host.ts";
import { decodeText, encodeText, stringifyJson } from "./primordials.ts";

/** The engine's own class knows UTF-8. */
const Native = globalThis.TextDecoder;

const utf8Label =
  /^[\t\n\f\r ]*(?:utf-?8|unicode-1-1-utf-8|unicode11utf8|unicode20utf8|x-unicode20utf8)[\t\n\f\r ]*$/i;
/** Input that the host decodes at once, bytes. */
const pieceBytes = 65_536;
/** A byte becomes at most three bytes of UTF-8; what was left over from before may add some. */
const roomFor = (length: number) => 3 * length + 64;

let lastId = 0;

function nameOf(label: string): string {
  const request = { id: 0, encoding: label, length: 0 };
  const bytes = new Uint8Array(64);
  const length = label.length > 64 ? -1 : host(Op.decode, stringifyJson(request), bytes);
  if (length < 0) throw new RangeError(`"${label}" is not the label of an encoding`);
  return decodeText(bytes.subarray(0, length));
}

export class TextDecoder {
  readonly #native: InstanceType<typeof Native> | null = null;
  readonly #encoding: string = "utf-8";
  readonly #fatal: boolean;
  readonly #ignoreBOM: boolean;
  #id = 0;

  constructor(label: unknown = "utf-8", options?: TextDecoderOptions | null) {
    if (
      options !== undefined &&
      options !== null &&
      typeof options !== "object" &&
      typeof options !== "function"
    )
      throw new TypeError("The options of a decoder are an object");
    const name = `${label as string}`;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
    if (utf8Label.test(name))
      this.#native = new Native("utf-8", { fatal: this.#fatal, ignoreBOM: this.#ignoreBOM });
    else this.#encoding = nameOf(name);
  }
  get encoding(): string {
    return this.#encoding;
  }
  get fatal(): boolean {
    return this.#fatal;
  }
  get ignoreBOM(): boolean {
    return this.#ignoreBOM;
  }
  decode(input?: BufferSource, options?: TextDecodeOptions | null): string {
    if (input !== undefined && !isBufferSource(input))
      throw new TypeError("Only a buffer or a view of one is decoded");
    if (this.#native) return this.#native.decode(input, options ?? {});
    const bytes = input === undefined ? encodeText("") : bytesOf(input);
    const stream = Boolean(options?.stream);
    let text = "";
    let from = 0;
    do {
      const piece = bytes.subarray(from, from + pieceBytes);
      from += pieceBytes;
      text += this.#piece(piece, stream || from < bytes.length);
    } while (from < bytes.length);
    return text;
  }
  #piece(piece: Uint8Array, stream: boolean): string {
    this.#id ||= ++lastId;
    const request: DecodeRequest = {
      id: this.#id,
      encoding: this.#encoding,
      fatal: this.#fatal,
      ignoreBOM: this.#ignoreBOM,
      stream,
      length: piece.length,
    };
    const room = new Uint8Array(roomFor(piece.length));
    room.set(piece);
    const length = host(Op.decode, stringifyJson(request), room);
    if (length < 0) throw new TypeError(`The encoded data was not valid for the encoding ${this.#encoding}`);
    return new Native("utf-8", { ignoreBOM: true }).decode(room.subarray(0, length));
  }
}
