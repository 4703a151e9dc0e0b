import { decodeText, encodeText, resolved } from "./primordials.ts";
import { concat, type ReadableStream, streamOf } from "./stream.ts";

export type BlobPart = string | ArrayBuffer | ArrayBufferView | Blob;

/** The bytes of a buffer or a view of one, not copied. */
export function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  if (!ArrayBuffer.isView(data)) return new Uint8Array(data);
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

export const isBufferSource = (value: unknown): value is ArrayBuffer | ArrayBufferView =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value) || isSharedBuffer(value);

const isSharedBuffer = (value: unknown): boolean =>
  typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer;

let contentOf: (blob: Blob) => Uint8Array<ArrayBuffer>;
let made: (bytes: Uint8Array<ArrayBuffer>, type: string) => Blob;

/** A type is ASCII that can be printed, in lower case; anything else counts as none. */
function toType(type: unknown): string {
  const text = `${type as string}`;
  return /^[\x20-\x7e]*$/.test(text) ? text.toLowerCase() : "";
}

export class Blob {
  #bytes: Uint8Array<ArrayBuffer>;
  #type: string;

  static {
    contentOf = (blob) => blob.#bytes;
    made = (bytes, type) => {
      const blob = new Blob();
      blob.#bytes = bytes;
      blob.#type = type;
      return blob;
    };
  }

  constructor(
    parts: Iterable<BlobPart> | undefined = undefined,
    options: { type?: string; endings?: "transparent" | "native" } | null | undefined = undefined,
  ) {
    const chunks: Uint8Array[] = [];
    if (parts !== undefined) {
      if (typeof parts !== "object" || parts === null || typeof parts[Symbol.iterator] !== "function")
        throw new TypeError("A blob is made of an iterable of parts");
      for (const part of parts) {
        if (part instanceof Blob) chunks.push(part.#bytes);
        else if (isBufferSource(part)) chunks.push(bytesOf(part));
        else chunks.push(encodeText(`${part}`.toWellFormed()));
      }
    }
    if (
      options !== undefined &&
      options !== null &&
      typeof options !== "object" &&
      typeof options !== "function"
    )
      throw new TypeError("The options of a blob are an object");
    const endings = options?.endings;
    if (endings !== undefined && `${endings}` !== "transparent" && `${endings}` !== "native")
      throw new TypeError(`endings is "transparent" or "native"`);
    const { type } = options ?? {};
    this.#bytes = concat(chunks);
    this.#type = type === undefined ? "" : toType(type);
  }
  get size(): number {
    return this.#bytes.length;
  }
  get type(): string {
    return this.#type;
  }
  slice(start?: number, end?: number, type?: string): Blob {
    const part = this.#bytes.subarray(clamp(start, 0), clamp(end, this.#bytes.length));
    return made(part, type === undefined ? "" : toType(type));
  }
  text(): Promise<string> {
    return resolved(decodeText(this.#bytes));
  }
  bytes(): Promise<Uint8Array> {
    return resolved(this.#bytes.slice());
  }
  arrayBuffer(): Promise<ArrayBuffer> {
    return resolved(this.#bytes.slice().buffer);
  }
  stream(): ReadableStream<Uint8Array> {
    return streamOf(this.#bytes);
  }
}

/** Web IDL's `[Clamp] long long`: halves go to the even side. */
function clamp(value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  const number = Number(value);
  if (Number.isNaN(number)) return 0;
  const nearest = Math.round(number);
  return nearest - number === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;
  constructor(
    parts: Iterable<BlobPart>,
    name: string,
    options?: { type?: string; lastModified?: number } | null,
  ) {
    // biome-ignore lint/complexity/noArguments: how many there are is what the standard asks for
    if (arguments.length < 2) throw new TypeError("A file has parts and a name");
    if (parts === undefined) throw new TypeError("A file is made of an iterable of parts");
    super(parts, options);
    this.#name = `${name}`.toWellFormed();
    const { lastModified } = options ?? {};
    this.#lastModified = lastModified === undefined ? Date.now() : Math.trunc(Number(lastModified)) || 0;
  }
  get name(): string {
    return this.#name;
  }
  get lastModified(): number {
    return this.#lastModified;
  }
}

/** The bytes of a blob, not copied. */
export function blobBytes(blob: Blob): Uint8Array<ArrayBuffer> {
  return contentOf(blob);
}
