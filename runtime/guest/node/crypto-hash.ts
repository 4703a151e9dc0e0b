import { asBuffer } from "./as-buffer.ts";
import { Buffer } from "./buffer.ts";
import { secretBytes } from "./crypto-keys.ts";
import { invalidType, nodeError } from "./errors.ts";
import { platform } from "./platform.ts";
import { Transform } from "./stream.ts";

export type Data = string | ArrayBuffer | ArrayBufferView;

/** Bytes that are kept before the host gets them: most inputs are one call. */
const keptBytes = 128 * 1024;
/** Ids are the guest's; those of hashes and of ciphers are apart. */
let lastId = 0;

export function toBytes(data: Data, encoding?: string, name = "data"): Uint8Array {
  if (typeof data === "string")
    return Buffer.from(data, (encoding === "buffer" ? "utf8" : encoding) as BufferEncoding);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw invalidType(name, "string or an instance of Buffer, TypedArray, or DataView", data);
}

export function encoded(bytes: Uint8Array, encoding?: string): Buffer | string {
  const buffer = asBuffer(bytes);
  return encoding && encoding !== "buffer" ? buffer.toString(encoding as BufferEncoding) : buffer;
}

/**
 * What `createHash` and `createHmac` give: the host computes, in as few calls as it takes. It is a stream from the moment that it is used as
 * one, as in Node: making a stream takes longer than hashing.
 */
class Digest {
  readonly #algorithm: string;
  readonly #key: Uint8Array | null;
  readonly #options: { outputLength?: number };
  #id = 0;
  #chunks: Uint8Array[] = [];
  #length = 0;
  #result: Uint8Array | null = null;

  static {
    Object.setPrototypeOf(Digest.prototype, Transform.prototype);
    Object.setPrototypeOf(Digest, Transform);
    for (const name of ["_readableState", "_writableState"]) {
      Object.defineProperty(Digest.prototype, name, {
        get(this: Digest & Record<string, unknown>) {
          Reflect.apply(Transform as never, this, [this.#options]);
          return this[name];
        },
        set(value: unknown) {
          Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true });
        },
        configurable: true,
      });
    }
  }

  constructor(algorithm: string, key: Uint8Array | null, options: { outputLength?: number } = {}) {
    if (typeof algorithm !== "string") throw invalidType("algorithm", "string", algorithm);
    this.#algorithm = algorithm;
    this.#key = key;
    this.#options = options;
    // an algorithm that there is not is an error here, not at the end
    if (!known.has(algorithm)) {
      platform.callHost("crypto.createHash", ["hash", 0, algorithm, -1, 0, false]);
      known.add(algorithm);
    }
  }
  update(data: Data, encoding?: string): this {
    if (this.#result) throw nodeError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
    const bytes = toBytes(data, encoding).slice();
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    while (this.#length > keptBytes) this.#send();
    return this;
  }
  digest(encoding?: string): Buffer | string {
    if (this.#result) {
      if (this.#key) return encoded(new Uint8Array(0), encoding);
      throw nodeError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
    }
    this.#result = this.#call(Buffer.concat(this.#chunks), false);
    this.#chunks = [];
    return encoded(this.#result, encoding);
  }
  copy(): Digest {
    if (this.#result) throw nodeError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
    const copy = new Digest(this.#algorithm, this.#key, this.#options);
    copy.#chunks = [...this.#chunks];
    copy.#length = this.#length;
    if (this.#id > 0) {
      copy.#id = ++lastId;
      platform.callHost("crypto.Hash.copy", ["hash", copy.#id, this.#algorithm, -1, 0, true, this.#id]);
    }
    return copy;
  }
  _transform(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.update(chunk);
    done();
  }
  _flush(done: () => void): void {
    (this as unknown as InstanceType<typeof Transform>).push(this.digest());
    done();
  }
  #send(): void {
    const all = Buffer.concat(this.#chunks);
    this.#call(all.subarray(0, keptBytes), true);
    this.#chunks = [all.subarray(keptBytes)];
    this.#length = all.length - keptBytes;
  }
  #call(bytes: Uint8Array, more: boolean): Uint8Array<ArrayBuffer> {
    const first = this.#id === 0;
    if (first && more) this.#id = ++lastId;
    const payload = first && this.#key ? Buffer.concat([this.#key, bytes]) : bytes;
    const keyLength = this.#key?.length ?? -1;
    return platform.callHost(
      "crypto.createHash",
      ["hash", this.#id, this.#algorithm, keyLength, this.#options.outputLength ?? 0, more],
      payload,
    );
  }
}

const known = new Set<string>();

export const Hash = Digest;
export const Hmac = Digest;
export const createHash = (algorithm: string, options?: { outputLength?: number }): Digest =>
  new Digest(algorithm, null, options);
export const createHmac = (algorithm: string, key: unknown, options?: object): Digest => {
  if (key === null || key === undefined)
    throw invalidType(
      "key",
      "string, ArrayBuffer, Buffer, TypedArray, DataView, KeyObject or CryptoKey",
      key,
    );
  return new Digest(algorithm, secretBytes(key), options);
};
/** One-shot, hexadecimal unless told otherwise. */
export const hash = (algorithm: string, data: Data, encoding = "hex"): Buffer | string =>
  createHash(algorithm).update(data).digest(encoding);
