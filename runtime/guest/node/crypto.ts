import { Buffer } from "./buffer.ts";
import { createECDH, curves, diffieHellman, ECDH } from "./crypto-agreement.ts";
import { X509Certificate } from "./crypto-certificate.ts";
import { Cipheriv, createCipheriv, createDecipheriv, Decipheriv } from "./crypto-cipher.ts";
import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync, withCallback } from "./crypto-derive.ts";
import { createHash, createHmac, type Data, Hash, Hmac, hash, toBytes } from "./crypto-hash.ts";
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  generateKeySync,
  KeyObject,
} from "./crypto-keys.ts";
import {
  createSign,
  createVerify,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  Sign,
  sign as signNow,
  Verify,
  verify as verifyNow,
} from "./crypto-sign.ts";
import { nodeError, outOfRange, unsupported } from "./errors.ts";

type Done = (error: unknown, result?: unknown) => void;

export const webcrypto = globalThis.crypto;
export const { subtle } = webcrypto;
export const getRandomValues = <T extends ArrayBufferView>(array: T): T =>
  webcrypto.getRandomValues(array as never) as T;
export const randomUUID = (): string => webcrypto.randomUUID();

/** Bytes that one call of getRandomValues gives. */
const pieceBytes = 65_536;

export function randomFillSync<T extends ArrayBufferView>(
  buffer: T,
  offset = 0,
  size = buffer.byteLength - offset,
): T {
  const bytes = new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset + offset, size);
  for (let from = 0; from < bytes.length; from += pieceBytes)
    webcrypto.getRandomValues(bytes.subarray(from, from + pieceBytes));
  return buffer;
}
export function randomFill(buffer: ArrayBufferView, ...rest: unknown[]): void {
  withCallback((...args) => randomFillSync(buffer, ...(args as number[])))(...rest);
}
export function randomBytes(size: number, done?: Done): Buffer | undefined {
  const bytes = randomFillSync(Buffer.alloc(size));
  if (!done) return bytes;
  process.nextTick(done, null, bytes);
  return undefined;
}
export function randomInt(low: number, high?: number | Done, callback?: Done): number | undefined {
  const [min, max] = typeof high === "number" ? [low, high] : [0, low];
  const done = typeof high === "function" ? high : callback;
  const range = max - min;
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || range <= 0 || range > 2 ** 48 - 1)
    throw outOfRange("max", `greater than the value of "min" (${min})`, max);
  // a number that would favour the low ones is drawn again
  const limit = 2 ** 48 - (2 ** 48 % range);
  let value: number;
  do value = (randomBytes(6) as Buffer).readUIntBE(0, 6);
  while (value >= limit);
  const result = min + (value % range);
  if (!done) return result;
  process.nextTick(done, null, result);
  return undefined;
}

export function timingSafeEqual(a: ArrayBufferView | ArrayBuffer, b: ArrayBufferView | ArrayBuffer): boolean {
  const [x, y] = [toBytes(a), toBytes(b)];
  if (x.length !== y.length)
    throw nodeError(
      RangeError,
      "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH",
      "Input buffers must have the same byte length",
    );
  let difference = 0;
  for (let i = 0; i < x.length; i++) difference |= x[i]! ^ y[i]!;
  return difference === 0;
}

export function sign(
  algorithm: string | null | undefined,
  data: Data,
  key: unknown,
  done?: Done,
): Buffer | undefined {
  if (!done) return signNow(algorithm, data, key);
  withCallback(signNow)(algorithm, data, key, done);
  return undefined;
}
export function verify(
  algorithm: string | null | undefined,
  data: Data,
  key: unknown,
  signature: Data,
  done?: Done,
): boolean | undefined {
  if (!done) return verifyNow(algorithm, data, key, signature);
  withCallback(verifyNow)(algorithm, data, key, signature, done);
  return undefined;
}

export function generateKeyPair(
  type: string,
  options: object,
  done: (error: unknown, publicKey?: unknown, privateKey?: unknown) => void,
): void {
  withCallback(() => generateKeyPairSync(type, options as never))(
    (error: unknown, pair?: { publicKey: unknown; privateKey: unknown }) =>
      done(error, pair?.publicKey, pair?.privateKey),
  );
}
Object.defineProperty(generateKeyPair, Symbol.for("nodejs.util.promisify.custom"), {
  value: async (type: string, options: object) => generateKeyPairSync(type, options as never),
});
export const generateKey = withCallback(generateKeySync);

export const getHashes = (): string[] => [
  "RSA-SHA1",
  "RSA-SHA256",
  "RSA-SHA384",
  "RSA-SHA512",
  "md5",
  "ripemd160",
  "sha1",
  "sha224",
  "sha256",
  "sha3-256",
  "sha3-384",
  "sha3-512",
  "sha384",
  "sha512",
  "shake128",
  "shake256",
];
export const getCiphers = (): string[] =>
  ["cbc", "ccm", "ctr", "ecb", "gcm"]
    .flatMap((mode) => [128, 192, 256].map((bits) => `aes-${bits}-${mode}`))
    .concat("chacha20-poly1305");
export const getCurves = (): string[] => [...curves];
export const getFips = (): number => 0;
export const createDiffieHellman = unsupported("crypto", "createDiffieHellman");
export const constants = {
  RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1,
  RSA_PSS_SALTLEN_MAX_SIGN: -2,
  RSA_PSS_SALTLEN_AUTO: -2,
} as const;

export {
  Cipheriv,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign,
  createVerify,
  Decipheriv,
  diffieHellman,
  ECDH,
  generateKeyPairSync,
  generateKeySync,
  Hash,
  Hmac,
  hash,
  hkdf,
  hkdfSync,
  KeyObject,
  pbkdf2,
  pbkdf2Sync,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  Sign,
  scrypt,
  scryptSync,
  Verify,
  X509Certificate,
};
export default {
  Cipheriv,
  Decipheriv,
  ECDH,
  Hash,
  Hmac,
  KeyObject,
  Sign,
  Verify,
  X509Certificate,
  constants,
  createCipheriv,
  createDecipheriv,
  createDiffieHellman,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign,
  createVerify,
  diffieHellman,
  generateKey,
  generateKeyPair,
  generateKeyPairSync,
  generateKeySync,
  getCiphers,
  getCurves,
  getFips,
  getHashes,
  getRandomValues,
  hash,
  hkdf,
  hkdfSync,
  pbkdf2,
  pbkdf2Sync,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
  randomFill,
  randomFillSync,
  randomInt,
  randomUUID,
  scrypt,
  scryptSync,
  sign,
  subtle,
  timingSafeEqual,
  verify,
  webcrypto,
};
