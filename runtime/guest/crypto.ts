import type { CryptoKeyData } from "../protocol.ts";
import { Op } from "../protocol.ts";
import { bytesOf, isBufferSource } from "./blob.ts";
import { buildTimeError, host, start } from "./host.ts";
import { isArray, parseJson, stringifyJson } from "./primordials.ts";
import { QuotaExceededError } from "./quota-exceeded-error.ts";
import { concat } from "./stream.ts";

const internal = Symbol();
const maxRandomBytes = 65_536;
const integerArray = /^\[object (Big)?(Ui|I)nt\d+(Clamped)?Array\]$/;

function illegal(token: unknown): void {
  if (token !== internal) throw new TypeError("Illegal constructor");
}

let materialOf: (key: CryptoKey) => Uint8Array;

/** A key: its bytes stay in the sandbox, and go along with each call that uses them. */
export class CryptoKey {
  readonly #data: CryptoKeyData;
  readonly #material: Uint8Array;

  static {
    materialOf = (key) => key.#material;
  }

  constructor(token: symbol, data: CryptoKeyData, material: Uint8Array) {
    illegal(token);
    this.#data = data;
    this.#material = material;
  }
  get type(): string {
    return this.#data.type;
  }
  get extractable(): boolean {
    return this.#data.extractable;
  }
  get algorithm(): Record<string, unknown> {
    return this.#data.algorithm;
  }
  get usages(): string[] {
    return this.#data.usages as string[];
  }
}

/** Arguments as JSON and one payload of bytes. */
function encode(values: unknown[]): [text: string, bytes: Uint8Array] {
  const parts: Uint8Array[] = [];
  let length = 0;
  const place = (bytes: Uint8Array) => {
    parts.push(bytes);
    length += bytes.length;
    return [length - bytes.length, bytes.length];
  };
  const one = (value: unknown): unknown => {
    if (value instanceof CryptoKey) {
      const { type, extractable, algorithm, usages } = value;
      return { $key: one({ type, extractable, algorithm, usages }), $bytes: place(materialOf(value)) };
    }
    if (isBufferSource(value)) return { $bytes: place(bytesOf(value)) };
    if (typeof value === "symbol" || typeof value === "function")
      throw new TypeError("An argument has the wrong type");
    if (typeof value !== "object" || value === null) return value;
    if (isArray(value) || Symbol.iterator in value) return [...(value as Iterable<unknown>)].map(one);
    const copy: Record<string, unknown> = {};
    // a dictionary's members may be inherited
    for (const name in value) copy[name] = one((value as Record<string, unknown>)[name]);
    return copy;
  };
  const text = stringifyJson(values.map(one));
  return [text, concat(parts)];
}

function decode(text: string, payload: Uint8Array): unknown {
  const one = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (isArray(value)) return value.map(one);
    const { $bytes, $key } = value as { $bytes?: [number, number]; $key?: CryptoKeyData };
    if ($bytes) {
      const bytes = payload.slice($bytes[0], $bytes[0] + $bytes[1]);
      return $key ? new CryptoKey(internal, one($key) as CryptoKeyData, bytes) : bytes;
    }
    const copy: Record<string, unknown> = {};
    for (const name in value) copy[name] = one((value as Record<string, unknown>)[name]);
    return copy;
  };
  return one(parseJson(text));
}

async function call(method: string, needed: number, args: unknown[]): Promise<unknown> {
  if (args.length < needed) throw new TypeError(`crypto.subtle.${method} takes ${needed} arguments`);
  const [text, bytes] = encode(args);
  return new Promise((resolve, reject) => {
    start(
      `crypto.subtle.${method}`,
      Op.crypto,
      `{"method":"${method}","args":${text}}`,
      bytes,
      (error, answer, payload) => {
        if (!error) resolve(decode(answer, payload));
        else if (error.name === "TypeError") reject(new TypeError(error.message));
        else reject(new DOMException(error.message, error.name));
      },
    );
  });
}

const toBuffer = (value: unknown): unknown => (value instanceof Uint8Array ? value.buffer : value);

function needBuffer(value: unknown): void {
  if (!isBufferSource(value)) throw new TypeError("An ArrayBuffer or a view of one is needed");
}
function needKey(value: unknown): void {
  if (!(value instanceof CryptoKey)) throw new TypeError("A CryptoKey is needed");
}
function needExtractable(key: unknown): void {
  if (!(key as CryptoKey).extractable)
    throw new DOMException("The key is not extractable", "InvalidAccessError");
}

export class SubtleCrypto {
  constructor(token: symbol) {
    illegal(token);
  }
  async digest(...args: unknown[]): Promise<unknown> {
    if (args.length > 1) needBuffer(args[1]);
    return toBuffer(await call("digest", 2, args));
  }
  async encrypt(...args: unknown[]): Promise<unknown> {
    return useKey("encrypt", args);
  }
  async decrypt(...args: unknown[]): Promise<unknown> {
    return useKey("decrypt", args);
  }
  async sign(...args: unknown[]): Promise<unknown> {
    return useKey("sign", args);
  }
  async verify(...args: unknown[]): Promise<unknown> {
    needKey(args[1]);
    needBuffer(args[2]);
    needBuffer(args[3]);
    return call("verify", 4, args);
  }
  async deriveBits(...args: unknown[]): Promise<unknown> {
    needKey(args[1]);
    return toBuffer(await call("deriveBits", 2, args));
  }
  async deriveKey(...args: unknown[]): Promise<unknown> {
    needKey(args[1]);
    return call("deriveKey", 5, args);
  }
  async generateKey(...args: unknown[]): Promise<unknown> {
    return call("generateKey", 3, args);
  }
  async importKey(...args: unknown[]): Promise<unknown> {
    if (args[0] === "jwk") {
      if (typeof args[1] !== "object" || args[1] === null || isBufferSource(args[1]))
        throw new TypeError("A JSON Web Key is an object");
    } else if (args.length > 1) needBuffer(args[1]);
    if (args.length > 3) args[3] = Boolean(args[3]);
    return call("importKey", 5, args);
  }
  async exportKey(...args: unknown[]): Promise<unknown> {
    needKey(args[1]);
    if (!["HKDF", "PBKDF2"].includes((args[1] as CryptoKey).algorithm.name as string))
      needExtractable(args[1]);
    return toBuffer(await call("exportKey", 2, args));
  }
  async wrapKey(...args: unknown[]): Promise<unknown> {
    needKey(args[1]);
    needKey(args[2]);
    needExtractable(args[1]);
    return toBuffer(await call("wrapKey", 4, args));
  }
  async unwrapKey(...args: unknown[]): Promise<unknown> {
    needBuffer(args[1]);
    needKey(args[2]);
    return call("unwrapKey", 7, args);
  }
}

async function useKey(method: string, args: unknown[]): Promise<unknown> {
  needKey(args[1]);
  needBuffer(args[2]);
  return toBuffer(await call(method, 3, args));
}

function fill(bytes: Uint8Array, what: string): void {
  if (host(Op.random, undefined, bytes) < 0) throw buildTimeError(what);
}

export class Crypto {
  readonly #subtle = new SubtleCrypto(internal);
  constructor(token: symbol) {
    illegal(token);
  }
  get subtle(): SubtleCrypto {
    return this.#subtle;
  }
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    if (!ArrayBuffer.isView(array)) throw new TypeError("A typed array is needed");
    if (!integerArray.test(Object.prototype.toString.call(array)))
      throw new DOMException("An integer typed array is needed", "TypeMismatchError");
    if (array.byteLength > maxRandomBytes) {
      const message = `getRandomValues gives at most ${maxRandomBytes} bytes at once, not ${array.byteLength}`;
      throw new QuotaExceededError(message);
    }
    fill(bytesOf(array), "crypto.getRandomValues");
    return array;
  }
  randomUUID(): string {
    const bytes = new Uint8Array(16);
    fill(bytes, "crypto.randomUUID");
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    const hex = bytes.toHex();
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}

export const crypto = new Crypto(internal);
