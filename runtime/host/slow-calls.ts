import crypto from "node:crypto";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { GuestMessageError, transcodeNumbers } from "../guest-message.ts";
import { HostError } from "../services.ts";
import { agree } from "./agreements.ts";
import { derivationRounds, maxRounds, scryptRounds } from "./derivation-cost.ts";
import { keyOf } from "./keys.ts";
import { checkParams } from "./transcode.ts";

/** Calls that take long, on the host's thread pool, in turn; the guest is suspended meanwhile. */
export const slowServices: Record<string, (args: unknown[], bytes: Uint8Array) => Promise<Uint8Array>> = {
  agree,
  zlib: compress,
  derive,
  sign,
  verify,
  generate,
  crypt,
};
Object.setPrototypeOf(slowServices, null);

const maxIterations = 1_000_000;
const maxKeyBytes = 1024 * 1024;
/** Memory of one scrypt, bytes: Node's own default. */
const maxScryptBytes = 32 * 1024 * 1024;
/** Bytes that one decompression may give. */
const maxOutputBytes = 64 * 1024 * 1024;
/** Longest input that Brotli compresses at its best. */
const maxBestQualityBytes = 256 * 1024;
const passedOptions = new Set<string>([...transcodeNumbers, "params"]);

const methods = [
  "gzip",
  "gunzip",
  "deflate",
  "inflate",
  "deflateRaw",
  "inflateRaw",
  "unzip",
  "brotliCompress",
  "brotliDecompress",
] as const;

async function compress([method, options]: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  if (!methods.includes(method as "gzip")) throw new GuestMessageError("call");
  const { maxOutputLength, dictionary, params } = record(options);
  if (method === "brotliCompress") checkParams("compress", record(params));
  if (method === "brotliDecompress") checkParams("decompress", record(params));
  const given = {
    ...Object.fromEntries(Object.entries(record(options)).filter(([field]) => passedOptions.has(field))),
    ...(dictionary === undefined ? {} : { dictionary: Buffer.from(String(dictionary), "base64") }),
    ...(method === "brotliCompress" ? { params: quickParams(record(params), bytes.length) } : {}),
  };
  const limit = Math.min(Number(maxOutputLength ?? maxOutputBytes), maxOutputBytes);
  const run = promisify(zlib[method as "gzip"]) as (
    input: Uint8Array,
    options: zlib.ZlibOptions,
  ) => Promise<Buffer>;
  return run(bytes, { ...given, maxOutputLength: limit });
}

/** Brotli's best qualities take a second for each megabyte: for long inputs it is the next best one, which takes a twentieth. */
function quickParams(params: Record<string, unknown>, inputBytes: number): Record<string, unknown> {
  if (inputBytes <= maxBestQualityBytes) return params;
  const quality = zlib.constants.BROTLI_PARAM_QUALITY;
  const wanted = Number(params[quality] ?? zlib.constants.BROTLI_MAX_QUALITY);
  return { ...params, [quality]: Math.min(wanted, 9) };
}

async function derive([method, options]: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  const { secretLength, saltLength, length, iterations, digest, cost, blockSize, parallelization } =
    numbers(options);
  const secret = bytes.subarray(0, secretLength);
  const salt = bytes.subarray(secretLength, secretLength! + saltLength!);
  if (!(length! >= 0 && length! <= maxKeyBytes)) throw tooMuch("keylen", maxKeyBytes);
  const hash = String(digest);
  switch (method) {
    case "pbkdf2": {
      const { length: inputBytes } = salt;
      if (!(iterations! <= maxIterations)) throw tooMuch("iterations", maxIterations);
      checkRounds(derivationRounds({ hash, outputBytes: length!, inputBytes, iterations: iterations! }));
      return promisify(crypto.pbkdf2)(secret, salt, iterations!, length!, hash);
    }
    case "hkdf": {
      const info = bytes.subarray(secretLength! + saltLength!);
      checkRounds(derivationRounds({ hash, outputBytes: length!, inputBytes: info.length }));
      return new Uint8Array(await promisify(crypto.hkdf)(hash, secret, salt, info, length!));
    }
    case "scrypt": {
      const scrypt = promisify(crypto.scrypt) as (
        password: Uint8Array,
        salt: Uint8Array,
        length: number,
        options: crypto.ScryptOptions,
      ) => Promise<Buffer>;
      if (!(parallelization! <= 16)) throw tooMuch("parallelization", 16);
      const mixedBytes = 128 * blockSize! * parallelization!;
      checkRounds(scryptRounds(length!, salt.length, mixedBytes));
      return scrypt(secret, salt, length!, {
        cost: cost!,
        blockSize: blockSize!,
        parallelization: parallelization!,
        maxmem: maxScryptBytes,
      });
    }
    default:
      throw new GuestMessageError("call");
  }
}

function checkRounds(rounds: number): void {
  if (!(rounds <= maxRounds))
    throw new HostError("ERR_OUT_OF_RANGE", "So much can't be derived in a sandbox", { name: "RangeError" });
}

/** `[algorithm | null, key, options]`; the payload is the key's bytes and the data. */
async function sign([algorithm, key, options]: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  const { material, rest } = keyOf(key, bytes);
  return new Promise((resolve, reject) => {
    crypto.sign(name(algorithm), rest, { key: material, ...signing(options) }, (error, signature) =>
      error ? reject(error) : resolve(signature),
    );
  });
}

/** The same with the signature's length: the payload ends with the signature. The result is one byte, 1 for a good one. */
async function verify([algorithm, key, options, length]: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  const { material, rest } = keyOf(key, bytes);
  const end = rest.length - Number(length);
  return new Promise((resolve, reject) => {
    crypto.verify(
      name(algorithm),
      rest.subarray(0, end),
      { key: material, ...signing(options) },
      rest.subarray(end),
      (error, good) => (error ? reject(error) : resolve(Uint8Array.of(good ? 1 : 0))),
    );
  });
}

/** RSA encryption: `[method, key, { padding, oaepHash }]`. */
async function crypt([method, key, options]: unknown[], bytes: Uint8Array): Promise<Uint8Array> {
  const known = ["publicEncrypt", "privateDecrypt", "privateEncrypt", "publicDecrypt"];
  if (!known.includes(method as string)) throw new GuestMessageError("call");
  const { material, rest } = keyOf(key, bytes);
  const { padding, oaepHash } = record(options);
  const given = {
    key: material,
    ...(padding === undefined ? {} : { padding: Number(padding) }),
    ...(oaepHash === undefined ? {} : { oaepHash: String(oaepHash) }),
  };
  return crypto[method as "publicEncrypt"](given, rest);
}

const generated: Record<string, readonly string[]> = {
  rsa: ["modulusLength", "publicExponent"],
  ec: ["namedCurve"],
  ed25519: [],
  x25519: [],
};

/** `[type, options]`: both keys as DER, the length of the first in four bytes before them. */
async function generate([type, options]: unknown[]): Promise<Uint8Array> {
  const fields = Object.hasOwn(generated, String(type)) ? generated[String(type)] : undefined;
  if (!fields)
    throw new HostError("ERR_INVALID_ARG_VALUE", `keys of type ${type} can't be made in a sandbox`, {
      name: "TypeError",
    });
  const given = Object.fromEntries(
    Object.entries(record(options)).filter(([field]) => fields.includes(field)),
  );
  if (Number(given.modulusLength ?? 0) > 4096) throw tooMuch("modulusLength", 4096);
  const encoding = {
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  };
  const make = promisify(crypto.generateKeyPair) as unknown as (
    type: string,
    options: object,
  ) => Promise<{ publicKey: Buffer; privateKey: Buffer }>;
  const { publicKey, privateKey } = await make(String(type), { ...given, ...encoding });
  const length = Buffer.alloc(4);
  length.writeUInt32LE(publicKey.length);
  return Buffer.concat([length, publicKey, privateKey]);
}

const name = (algorithm: unknown): string | null => (algorithm === null ? null : String(algorithm));

function signing(options: unknown): object {
  const { padding, saltLength, dsaEncoding } = record(options);
  return {
    ...(padding === undefined ? {} : { padding: Number(padding) }),
    ...(saltLength === undefined ? {} : { saltLength: Number(saltLength) }),
    ...(dsaEncoding === undefined
      ? {}
      : { dsaEncoding: dsaEncoding === "ieee-p1363" ? "ieee-p1363" : "der" }),
  };
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  return value as Record<string, unknown>;
}

const numbers = (value: unknown) => record(value) as Record<string, number | undefined>;

const tooMuch = (what: string, limit: number) =>
  new HostError(
    "ERR_OUT_OF_RANGE",
    `The value of "${what}" is out of range: a sandbox may have ${limit} at most`,
    { name: "RangeError" },
  );
