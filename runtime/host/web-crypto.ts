import { GuestMessageError } from "../guest-message.ts";
import type { CryptoCall, CryptoKeyData } from "../protocol.ts";
import { HostError } from "../services.ts";
import { decodeTagged, encodeTagged } from "../tagged.ts";
import { derivationRounds, maxRounds } from "./derivation-cost.ts";
import { Slots } from "./slots.ts";

const { subtle } = globalThis.crypto;

/** What would hold a thread of the host's pool for more than about half a second is refused. */
const maxRsaBits = 4_096;
const maxIterations = 1_000_000;
/** Longest key or derived secret, bits. */
const maxBits = 8 * 1024 * 1024;
/** Longest key that is derived when no length is given, bits: what an HMAC takes in at once. */
const maxKeyBits = 1_344;
/** Rounds of a derivation that need not wait for their turn. */
const fewRounds = 1_000;
/** Slow calls (making RSA keys, deriving from passwords) that run at once in this process: the pool has four threads. */
const slowCalls = new Slots(2);

type Algorithm = Record<string, unknown>;
type Method = (...args: unknown[]) => unknown;
/** A key as it comes from a guest: what it says of itself, and its bytes. */
class GuestKey {
  readonly data: CryptoKeyData;
  readonly material: Uint8Array<ArrayBuffer>;
  constructor(data: CryptoKeyData, material: Uint8Array<ArrayBuffer>) {
    this.data = data;
    this.material = material;
  }
  /** `extractable` is for the host alone: the guest's own flag is the guest's to heed. */
  async import(extractable = false): Promise<CryptoKey> {
    const { type, algorithm, usages } = this.data;
    return checkSize(
      await subtle.importKey(formats[type], this.material, algorithm as never, extractable, usages),
    );
  }
}
const formats = { secret: "raw", private: "pkcs8", public: "spki" } as const;

/** One call of `crypto.subtle`. The keys are the guest's: they come with each call, and nothing of them stays here. */
export async function callSubtle(
  { method, args }: CryptoCall,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<{ text: string; bytes: Uint8Array }> {
  const values = decodeTagged(args, bytes, toKey) as unknown[];
  const call = Object.hasOwn(methods, method)
    ? (methods as unknown as Record<string, Method>)[method]
    : undefined;
  if (!call || !Array.isArray(values)) throw new GuestMessageError("crypto");
  const work = async () => {
    signal.throwIfAborted();
    return encodeTagged(await call(...values));
  };
  const isSlow = checkCost(method, values);
  try {
    return await (isSlow ? slowCalls.run(work) : work());
  } catch (cause) {
    if (cause instanceof GuestMessageError) throw cause;
    const { name = "OperationError", message = "the operation failed" } = cause as Error;
    throw new HostError("crypto", message, { name, cause });
  }
}

function toKey(data: unknown, material: Uint8Array<ArrayBuffer>): GuestKey {
  const { type, algorithm, usages } = data as CryptoKeyData;
  if (!(type in formats) || typeof algorithm !== "object" || !Array.isArray(usages))
    throw new GuestMessageError("crypto");
  return new GuestKey(data as CryptoKeyData, material);
}

const nameOf = (algorithm: unknown): string =>
  String(
    typeof algorithm === "object" && algorithm !== null ? (algorithm as Algorithm).name : algorithm,
  ).toUpperCase();

function checkSize(key: CryptoKey): CryptoKey {
  const { modulusLength } = key.algorithm as Partial<RsaKeyAlgorithm>;
  if (modulusLength !== undefined && modulusLength > maxRsaBits)
    throw limit(`An RSA key has at most ${maxRsaBits} bits here`);
  return key;
}

/** Whether a call is one of those that take long. Throws when it would take too long. */
function checkCost(method: string, values: unknown[]): boolean {
  const [algorithm, , third] = values;
  const name = nameOf(algorithm);
  const derivedBits = method === "deriveBits" ? third : undefined;
  for (const bits of [derivedBits, ...lengthsIn(values)])
    if (Number(bits) > maxBits) throw limit(`At most ${maxBits} bits are made at once here`);
  if (method === "generateKey" && name.startsWith("RSA")) {
    if (Number((algorithm as Algorithm).modulusLength) > maxRsaBits)
      throw limit(`An RSA key has at most ${maxRsaBits} bits here`);
    return true;
  }
  if (!derivesOnly(algorithm) || !method.startsWith("derive")) return false;
  const { length = maxKeyBits } = (typeof third === "object" && third ? third : {}) as Algorithm;
  return checkDerivation(algorithm as Algorithm, Number(derivedBits ?? length));
}

/** Sizes of what is to be made, wherever an algorithm names them. */
function* lengthsIn(value: unknown): Generator<unknown> {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof GuestKey || value instanceof Uint8Array) return;
  const { length, outputLength } = value as Algorithm;
  yield* Array.isArray(value) ? [] : [length, outputLength];
  for (const inner of Object.values(value)) yield* lengthsIn(inner);
}

function checkDerivation({ name, hash, salt, info, iterations }: Algorithm, bits: number): boolean {
  const isPbkdf2 = nameOf(name) === "PBKDF2";
  const turns = isPbkdf2 ? Number(iterations) : 1;
  if (turns > maxIterations) throw limit(`PBKDF2 has at most ${maxIterations} iterations here`);
  const input = isPbkdf2 ? salt : info;
  const inputBytes = input instanceof Uint8Array ? input.length : 0;
  const outputBytes = Math.ceil(bits / 8);
  const rounds = derivationRounds({ hash: nameOf(hash), outputBytes, inputBytes, iterations: turns });
  if (rounds > maxRounds) throw limit("So much can't be derived here");
  return rounds > fewRounds;
}

const limit = (message: string) => new HostError("crypto", message, { name: "OperationError" });

/** Keys that can't be exported, so that their bytes are kept from the import. */
const derivesOnly = (algorithm: unknown): boolean => ["HKDF", "PBKDF2"].includes(nameOf(algorithm));

async function describe(key: CryptoKey, extractable = key.extractable, usages = key.usages) {
  const material = new Uint8Array(await subtle.exportKey(formats[key.type as keyof typeof formats], key));
  return described(key, material, extractable, usages);
}

function described(key: CryptoKey, material: Uint8Array, extractable = key.extractable, usages = key.usages) {
  const { type, algorithm } = key;
  return { $key: { type, algorithm, extractable, usages }, material };
}

async function importKey(
  format: "raw" | "pkcs8" | "spki" | "jwk",
  data: Uint8Array<ArrayBuffer> | JsonWebKey,
  algorithm: AlgorithmIdentifier,
  extractable: boolean,
  usages: KeyUsage[],
) {
  // as it was asked for, which checks everything; then as it can be exported
  const key = await subtle.importKey(
    format as "raw",
    data as Uint8Array<ArrayBuffer>,
    algorithm as never,
    extractable,
    usages,
  );
  if (derivesOnly(algorithm)) return described(key, data as Uint8Array);
  if (key.extractable) return describe(key);
  const open = format === "jwk" ? { ...(data as JsonWebKey), ext: true } : data;
  const copy = await subtle.importKey(
    format as "raw",
    open as Uint8Array<ArrayBuffer>,
    algorithm as never,
    true,
    usages,
  );
  return describe(copy, false);
}

async function derived(
  algorithm: Algorithm,
  key: GuestKey,
  type: Algorithm,
  extractable: boolean,
  usages: KeyUsage[],
) {
  const base = await key.import();
  const resolved = await withPublic(algorithm);
  if (!derivesOnly(type))
    return describe(
      await subtle.deriveKey(resolved as never, base, type as never, true, usages),
      extractable,
    );
  if (!key.data.usages.includes("deriveKey"))
    throw new DOMException("The key is not for deriving keys", "InvalidAccessError");
  const bitsKey = new GuestKey({ ...key.data, usages: ["deriveBits"] }, key.material);
  const bits = await subtle.deriveBits(resolved as never, await bitsKey.import(), null);
  return importKey("raw", new Uint8Array(bits), type as never, extractable, usages);
}

/** ECDH and X25519 name the other's key in the algorithm. */
async function withPublic(algorithm: unknown): Promise<unknown> {
  const other = (algorithm as Algorithm | null)?.public;
  return other instanceof GuestKey
    ? { ...(algorithm as Algorithm), public: await other.import() }
    : algorithm;
}

const methods = {
  digest: (algorithm: never, data: never) => subtle.digest(algorithm, data),
  encrypt: async (algorithm: never, key: GuestKey, data: never) =>
    subtle.encrypt(algorithm, await key.import(), data),
  decrypt: async (algorithm: never, key: GuestKey, data: never) =>
    subtle.decrypt(algorithm, await key.import(), data),
  sign: async (algorithm: never, key: GuestKey, data: never) =>
    subtle.sign(algorithm, await key.import(), data),
  verify: async (algorithm: never, key: GuestKey, signature: never, data: never) =>
    subtle.verify(algorithm, await key.import(), signature, data),
  deriveBits: async (algorithm: never, key: GuestKey, length?: number | null) =>
    subtle.deriveBits((await withPublic(algorithm)) as never, await key.import(), length),
  deriveKey: derived,
  generateKey: async (algorithm: never, extractable: boolean, usages: KeyUsage[]) => {
    const made = (await subtle.generateKey(algorithm, true, usages)) as CryptoKey | CryptoKeyPair;
    if (!("privateKey" in made)) return describe(made, extractable);
    const [privateKey, publicKey] = [
      await describe(made.privateKey, extractable),
      await describe(made.publicKey),
    ];
    return { privateKey, publicKey };
  },
  importKey,
  exportKey: async (format: never, key: GuestKey) => subtle.exportKey(format, await key.import(true)),
  wrapKey: async (format: never, key: GuestKey, wrapping: GuestKey, algorithm: never) =>
    subtle.wrapKey(format, await key.import(true), await wrapping.import(), algorithm),
  unwrapKey: async (
    format: never,
    wrapped: never,
    unwrapping: GuestKey,
    algorithm: never,
    keyAlgorithm: never,
    extractable: boolean,
    usages: KeyUsage[],
  ) => {
    // as bytes first, which any key can be: what they are is then a matter of importing them
    const bytesKey = { name: "HMAC", hash: "SHA-256" };
    const opened = await subtle.unwrapKey(
      "raw",
      wrapped,
      await unwrapping.import(),
      algorithm,
      bytesKey,
      true,
      ["sign"],
    );
    const bytes = new Uint8Array(await subtle.exportKey("raw", opened));
    const data = format === "jwk" ? parseJwk(bytes) : bytes;
    return importKey(format, data, keyAlgorithm, extractable, usages);
  },
};

function parseJwk(bytes: Uint8Array): JsonWebKey {
  try {
    const jwk: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof jwk === "object" && jwk !== null) return jwk;
  } catch {
    // no JSON
  }
  throw new DOMException("What was wrapped is no JSON Web Key", "DataError");
}
