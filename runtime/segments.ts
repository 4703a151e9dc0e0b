/** A run of bytes at an address, as a data segment holds it. */
export interface Segment {
  address: number;
  bytes: Uint8Array;
}

/** Segments in two arrays: a function has hundreds of short ones, and as objects they would take more room than their bytes. */
export class Segments implements Iterable<Segment> {
  readonly #addresses: Uint32Array;
  /** Where in `bytes` each ends. */
  readonly #ends: Uint32Array;
  readonly #bytes: Uint8Array;

  /** Copies the bytes. */
  constructor(list: readonly Segment[]) {
    this.#addresses = Uint32Array.from(list, ({ address }) => address);
    this.#ends = new Uint32Array(list.length);
    this.#bytes = new Uint8Array(list.reduce((sum, { bytes }) => sum + bytes.length, 0));
    let at = 0;
    for (const [i, { bytes }] of list.entries()) {
      this.#bytes.set(bytes, at);
      at += bytes.length;
      this.#ends[i] = at;
    }
  }

  get count(): number {
    return this.#ends.length;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  *[Symbol.iterator](): Generator<Segment> {
    let from = 0;
    for (let i = 0; i < this.#ends.length; i++) {
      const to = this.#ends[i]!;
      yield { address: this.#addresses[i]!, bytes: this.#bytes.subarray(from, to) };
      from = to;
    }
  }
}
