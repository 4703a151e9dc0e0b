import { decodeText, encodeText, resolved } from "./primordials.ts";
import { concat, type ReadableStream, streamOf } from "./stream.ts";

export type BlobPart = string | ArrayBuffer | ArrayBufferView | Blob;

/** The bytes of a buffer or a view of one, not copied. */
export function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  if (!ArrayBuffer.isView(data)) return new Uint8Array(data);
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

let contentOf: (blob: Blob) => Uint8Array<ArrayBuffer>;

export class Blob {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #type: string;

  static {
    contentOf = (blob) => blob.#bytes;
  }

  constructor(parts: Iterable<BlobPart> = [], options?: { type?: string }) {
    const chunks: Uint8Array[] = [];
    for (const part of parts) {
      if (part instanceof Blob) chunks.push(part.#bytes);
      else if (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) chunks.push(bytesOf(part));
      else chunks.push(encodeText(`${part}`));
    }
    this.#bytes = concat(chunks);
    this.#type = `${options?.type ?? ""}`.toLowerCase();
  }
  get size(): number {
    return this.#bytes.length;
  }
  get type(): string {
    return this.#type;
  }
  slice(start?: number, end?: number, type = ""): Blob {
    return new Blob([this.#bytes.subarray(start, end)], { type });
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
  stream(): ReadableStream {
    return streamOf(this.#bytes.slice());
  }
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;
  constructor(parts: Iterable<BlobPart>, name: string, options?: { type?: string; lastModified?: number }) {
    super(parts, options);
    this.#name = `${name}`;
    this.#lastModified = options?.lastModified ?? Date.now();
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
