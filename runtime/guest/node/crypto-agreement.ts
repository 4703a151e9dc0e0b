import { asBuffer } from "./as-buffer.ts";
import { Buffer } from "./buffer.ts";
import { type Data, encoded, toBytes } from "./crypto-hash.ts";
import { keyFor } from "./crypto-keys.ts";
import { invalidType, nodeError } from "./errors.ts";
import { platform } from "./platform.ts";

type Format = "compressed" | "uncompressed" | "hybrid";
const names: Record<string, string> = { "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1" };
export const curves = ["prime256v1", "secp256k1", "secp384r1", "secp521r1"];

function call(step: string, curve: string, bytes: Uint8Array, detail?: unknown): Buffer {
  return asBuffer(platform.callHost(`ECDH.${step}`, ["agree", step, curve, detail], bytes));
}

function checkFormat(format: string): Format {
  if (["compressed", "uncompressed", "hybrid"].includes(format)) return format as Format;
  throw nodeError(TypeError, "ERR_CRYPTO_ECDH_INVALID_FORMAT", `Invalid ECDH format: ${format}`);
}

const checkCurve = (curve: string): string => {
  if (typeof curve !== "string") throw invalidType("curve", "string", curve);
  const name = names[curve] ?? curve;
  if (curves.includes(name)) return name;
  throw nodeError(TypeError, "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");
};

/** Agreement on a secret over an elliptic curve; the keys stay in the sandbox. */
export class ECDH {
  readonly #curve: string;
  #secret: Uint8Array | null = null;
  #public: Buffer | null = null;

  constructor(curve: string) {
    this.#curve = checkCurve(curve);
  }
  static convertKey(
    key: Data,
    curve: string,
    inputEncoding?: string,
    outputEncoding?: string,
    format = "uncompressed",
  ): Buffer | string {
    const bytes = toBytes(key, inputEncoding, "key");
    return encoded(call("convert", checkCurve(curve), bytes, checkFormat(format)), outputEncoding);
  }
  generateKeys(encoding?: string, format?: string): Buffer | string {
    const made = call("generate", this.#curve, new Uint8Array(0));
    const end = 1 + made[0]!;
    this.#secret = made.subarray(1, end);
    this.#public = made.subarray(end);
    return this.getPublicKey(encoding, format);
  }
  computeSecret(other: Data, inputEncoding?: string, outputEncoding?: string): Buffer | string {
    const secret = this.#own();
    const bytes = Buffer.concat([secret, toBytes(other, inputEncoding, "otherPublicKey")]);
    return encoded(call("secret", this.#curve, bytes, secret.length), outputEncoding);
  }
  getPrivateKey(encoding?: string): Buffer | string {
    return encoded(this.#own().slice(), encoding);
  }
  getPublicKey(encoding?: string, format = "uncompressed"): Buffer | string {
    if (!this.#public) throw nodeError(Error, "ERR_CRYPTO_OPERATION_FAILED", "Failed to get ECDH public key");
    const wanted = checkFormat(format);
    const key = wanted === "uncompressed" ? this.#public : call("convert", this.#curve, this.#public, wanted);
    return encoded(key.slice(), encoding);
  }
  setPrivateKey(key: Data, encoding?: string): this {
    const bytes = toBytes(key, encoding, "key").slice();
    this.#public = call("public", this.#curve, bytes);
    this.#secret = bytes;
    return this;
  }
  #own(): Uint8Array {
    if (this.#secret) return this.#secret;
    throw nodeError(Error, "ERR_CRYPTO_OPERATION_FAILED", "Failed to get ECDH private key");
  }
}

export const createECDH = (curve: string): ECDH => new ECDH(curve);

/** What a private key and another's public one agree on. */
export function diffieHellman(keys: { privateKey: unknown; publicKey: unknown }): Buffer {
  const own = keyFor("private", keys.privateKey);
  const other = keyFor("public", keys.publicKey);
  const written = ({ kind, der }: typeof own) => ({ kind, length: der.length });
  return asBuffer(
    platform.callHost(
      "crypto.diffieHellman",
      ["agree", "agree", written(own), written(other)],
      Buffer.concat([own.der, other.der]),
    ),
  );
}
