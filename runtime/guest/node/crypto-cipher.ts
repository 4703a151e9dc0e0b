import { Buffer } from "./buffer.ts";
import { type Data, encoded, toBytes } from "./crypto-hash.ts";
import { secretBytes } from "./crypto-keys.ts";
import { nodeError } from "./errors.ts";
import { platform } from "./platform.ts";
import { Transform } from "./stream.ts";

/** Bytes that the host takes at once. */
const pieceBytes = 128 * 1024;
let lastId = 0;

interface Options {
  authTagLength?: number;
}

/** AES and ChaCha20-Poly1305, on the host. */
class Cipher extends Transform {
  readonly #start: Record<string, unknown>;
  readonly #aead: boolean;
  #secrets: Uint8Array;
  #tag: Uint8Array | null = null;

  constructor(name: string, encrypt: boolean, key: unknown, iv: Data | null, options: Options = {}) {
    super(options as object);
    const keyBytes = secretBytes(key);
    const ivBytes = iv === null ? null : toBytes(iv, undefined, "iv");
    this.#aead = /gcm|ccm|poly1305/i.test(name);
    this.#start = {
      id: ++lastId,
      name,
      encrypt,
      keyLength: keyBytes.length,
      ivLength: ivBytes?.length ?? 0,
      padding: true,
      tagLength: options.authTagLength ?? 16,
    };
    this.#secrets = ivBytes ? Buffer.concat([keyBytes, ivBytes]) : keyBytes;
    // wrong keys and vectors are errors here, not later
    this.#call("update", new Uint8Array(0));
  }
  update(data: Data, inputEncoding?: string, outputEncoding?: string): Buffer | string {
    const bytes = toBytes(data, inputEncoding);
    const parts: Uint8Array[] = [];
    for (let from = 0; from < bytes.length; from += pieceBytes)
      parts.push(this.#call("update", bytes.subarray(from, from + pieceBytes)));
    return encoded(parts.length === 1 ? parts[0]! : Buffer.concat(parts), outputEncoding);
  }
  final(outputEncoding?: string): Buffer | string {
    if (this.#aead && !this.#start.encrypt && !this.#tag)
      throw new Error("Unsupported state or unable to authenticate data");
    const result = this.#call("final", this.#tag ?? new Uint8Array(0));
    const tagLength = result[result.length - 1]!;
    const end = result.length - 1 - tagLength;
    if (tagLength > 0) this.#tag = result.slice(end, end + tagLength);
    return encoded(result.slice(0, end), outputEncoding);
  }
  setAutoPadding(padding = true): this {
    this.#start.padding = padding;
    this.#call("padding", new Uint8Array(0));
    return this;
  }
  setAAD(data: Data): this {
    this.#call("aad", toBytes(data));
    return this;
  }
  getAuthTag(): Buffer {
    if (!this.#tag || !this.#start.encrypt)
      throw nodeError(Error, "ERR_CRYPTO_INVALID_STATE", "Invalid state for operation getAuthTag");
    return Buffer.from(this.#tag);
  }
  setAuthTag(tag: Data, encoding?: string): this {
    this.#tag = toBytes(tag, encoding).slice();
    return this;
  }
  override _transform(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    try {
      this.push(this.update(chunk));
      done();
    } catch (error) {
      done(error as Error);
    }
  }
  override _flush(done: (error?: Error | null) => void): void {
    try {
      this.push(this.final());
      done();
    } catch (error) {
      done(error as Error);
    }
  }
  #call(step: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const payload = this.#secrets.length > 0 ? Buffer.concat([this.#secrets, bytes]) : bytes;
    const result = platform.callHost("crypto.createCipheriv", ["cipher", this.#start, step], payload);
    this.#secrets = new Uint8Array(0);
    return result;
  }
}

export { Cipher as Cipheriv, Cipher as Decipheriv };
export const createCipheriv = (name: string, key: unknown, iv: Data | null, options?: Options): Cipher =>
  new Cipher(name, true, key, iv, options);
export const createDecipheriv = (name: string, key: unknown, iv: Data | null, options?: Options): Cipher =>
  new Cipher(name, false, key, iv, options);
