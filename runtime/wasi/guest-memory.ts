import { Errno, refuse } from "./errno.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Longest path, bytes. */
const maxPathBytes = 4_096;
/** Most buffers of one read or write, and bytes of all of them: of a longer one the beginning is done, which the guest is told. */
const maxVectors = 1_024;
const maxVectorBytes = 4 * 1024 * 1024;

/** A guest's memory, as its host functions see it: every access is checked. */
export class GuestMemory {
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /** A part of the memory, valid until it grows. @throws Refusal `fault` when it does not lie inside. */
  bytes(pointer: number, length: number): Uint8Array<ArrayBuffer> {
    this.#refresh();
    const from = pointer >>> 0;
    const to = from + (length >>> 0);
    if (to > this.#bytes.length) refuse(Errno.fault);
    return this.#bytes.subarray(from, to);
  }

  u8(pointer: number): number {
    return this.#at(pointer, 1).getUint8(pointer >>> 0);
  }

  u16(pointer: number): number {
    return this.#at(pointer, 2).getUint16(pointer >>> 0, true);
  }

  u32(pointer: number): number {
    return this.#at(pointer, 4).getUint32(pointer >>> 0, true);
  }

  u64(pointer: number): bigint {
    return this.#at(pointer, 8).getBigUint64(pointer >>> 0, true);
  }

  setU8(pointer: number, value: number): void {
    this.#at(pointer, 1).setUint8(pointer >>> 0, value);
  }

  setU16(pointer: number, value: number): void {
    this.#at(pointer, 2).setUint16(pointer >>> 0, value, true);
  }

  setU32(pointer: number, value: number): void {
    this.#at(pointer, 4).setUint32(pointer >>> 0, value, true);
  }

  setU64(pointer: number, value: bigint): void {
    this.#at(pointer, 8).setBigUint64(pointer >>> 0, value, true);
  }

  /** @throws Refusal `nametoolong`, `ilseq` for what is no UTF-8, `inval` for a NUL in it. */
  path(pointer: number, length: number): string {
    if (length >>> 0 > maxPathBytes) refuse(Errno.nametoolong);
    let text: string;
    try {
      text = decoder.decode(this.bytes(pointer, length));
    } catch (cause) {
      if (cause instanceof TypeError) refuse(Errno.ilseq);
      throw cause;
    }
    return text.includes("\0") ? refuse(Errno.inval) : text;
  }

  /** The buffers of a read or write. @throws Refusal `inval` for too many, `fault`. */
  vectors(pointer: number, count: number): Uint8Array<ArrayBuffer>[] {
    if (count >>> 0 > maxVectors) refuse(Errno.inval);
    let left = maxVectorBytes;
    return Array.from({ length: count >>> 0 }, (_, i) => {
      const vector = (pointer >>> 0) + i * 8;
      const part = this.bytes(this.u32(vector), this.u32(vector + 4)).subarray(0, left);
      left -= part.length;
      return part;
    });
  }

  #refresh(): void {
    if (this.#bytes.buffer === this.#memory.buffer) return;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  #at(pointer: number, size: number): DataView<ArrayBuffer> {
    this.#refresh();
    if ((pointer >>> 0) + size > this.#bytes.length) refuse(Errno.fault);
    return this.#view;
  }
}
