import { WasmError } from "./errors.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** A cursor over the binary format. Every read past the end is a {@link WasmError}. */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Position of `bytes[0]` in the file, for messages. */
  readonly base: number;
  at: number;

  constructor(bytes: Uint8Array, base = 0) {
    this.bytes = bytes;
    this.base = base;
    this.at = 0;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  get offset(): number {
    return this.base + this.at;
  }

  fail(message: string, at = this.at): never {
    throw new WasmError("malformed", message, this.base + at);
  }

  byte(): number {
    const value = this.bytes[this.at];
    if (value === undefined) this.fail("unexpected end");
    this.at++;
    return value;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) this.fail("integer too large", this.at - 1);
      result |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return result >>> 0;
    }
    return this.fail("integer too long");
  }

  /** Signed LEB128 of at most 32 bits. */
  s32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      result |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) {
        return shift < 25 && (byte & 0x40) !== 0 ? result | (-1 << (shift + 7)) : result;
      }
    }
    return this.fail("integer too long");
  }

  /** Signed LEB128 of at most 64 bits: its value where it takes at most four bytes, otherwise -1. */
  smallS64(): number {
    const from = this.at;
    this.skipLeb(64);
    if (this.at - from > 4) return -1;
    this.at = from;
    return this.s32();
  }

  /** Unsigned LEB128 of at most 64 bits. */
  u64(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      if (shift === 63n && byte > 1) this.fail("integer too large", this.at - 1);
      result |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return result;
    }
    return this.fail("integer too long");
  }

  /** Passes over a LEB128 of at most `bits` bits. */
  skipLeb(bits: 32 | 33 | 64): void {
    const most = Math.ceil(bits / 7);
    for (let i = 0; i < most; i++) if ((this.byte() & 0x80) === 0) return;
    this.fail("integer too long");
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) this.fail("unexpected end");
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  name(): string {
    const at = this.at;
    const bytes = this.take(this.u32());
    try {
      return utf8.decode(bytes);
    } catch {
      return this.fail("name is not UTF-8", at);
    }
  }

  /** A vector: its length, then its items. */
  vector<T>(item: () => T): T[] {
    return this.items(this.u32(), item);
  }

  /** So many items, each of which takes at least a byte. */
  items<T>(length: number, item: () => T): T[] {
    if (length > this.bytes.length - this.at) this.fail("vector longer than its section");
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(item());
    return items;
  }
}

/** An output buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param capacity Bytes that it takes without growing. */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  raw(bytes: Uint8Array | readonly number[]): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  u32(value: number): this {
    let rest = value >>> 0;
    do {
      const low = rest & 0x7f;
      rest >>>= 7;
      this.byte(rest === 0 ? low : low | 0x80);
    } while (rest !== 0);
    return this;
  }

  u64(value: bigint): this {
    let rest = value;
    do {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      this.byte(rest === 0n ? low : low | 0x80);
    } while (rest !== 0n);
    return this;
  }

  s32(value: number): this {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  s64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  name(text: string): this {
    const bytes = encoder.encode(text);
    return this.u32(bytes.length).raw(bytes);
  }

  vector<T>(items: readonly T[], item: (value: T) => void): this {
    this.u32(items.length);
    for (const value of items) item(value);
    return this;
  }

  /** Bytes preceded by their length. */
  sized(write: (inner: ByteWriter) => void): this {
    const inner = new ByteWriter();
    write(inner);
    return this.u32(inner.length).raw(inner.view());
  }

  clear(): void {
    this.#length = 0;
  }

  /** The bytes so far, not copied. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes so far, not copied where the capacity was right; the writer is empty then. */
  release(): Uint8Array<ArrayBuffer> {
    const bytes = this.#length === this.#bytes.length ? this.#bytes : this.finish();
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
    return bytes;
  }
}

/** Keeps many short stretches of bytes in few buffers. */
export class ByteStore {
  #chunk = new Uint8Array(0);
  #used = 0;

  /** A copy of the bytes. */
  keep(bytes: Uint8Array): Uint8Array {
    if (bytes.length > this.#chunk.length - this.#used) {
      this.#chunk = new Uint8Array(Math.max(chunkBytes, bytes.length));
      this.#used = 0;
    }
    const kept = this.#chunk.subarray(this.#used, this.#used + bytes.length);
    kept.set(bytes);
    this.#used += bytes.length;
    return kept;
  }
}

const chunkBytes = 64 * 1024;
