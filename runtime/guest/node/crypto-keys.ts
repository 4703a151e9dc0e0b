import { Buffer } from "./buffer.ts";
import { invalidType, nodeError } from "./errors.ts";
import { platform } from "./platform.ts";

type Kind = "secret" | "public" | "private";
interface Described {
  type: Kind;
  asymmetricKeyType: string;
  details: { modulusLength?: number; publicExponent?: string; namedCurve?: string };
}
interface ExportOptions {
  format?: "pem" | "der" | "jwk";
  type?: string;
  cipher?: string;
  passphrase?: string;
}

/** A key: its bytes are in the sandbox, DER if it is one of a pair. */
export class KeyObject {
  readonly type: Kind;
  readonly #bytes: Uint8Array;
  readonly #described: Described | null;

  constructor(type: Kind, bytes: Uint8Array, described: Described | null = null) {
    this.type = type;
    this.#bytes = bytes;
    this.#described = described;
  }
  static from(): never {
    throw nodeError(Error, "ERR_NOT_SUPPORTED", "KeyObject.from is not supported in a sandbox");
  }
  static bytesOf(key: KeyObject): Uint8Array {
    return key.#bytes;
  }
  get [Symbol.toStringTag](): string {
    return "KeyObject";
  }
  get asymmetricKeyType(): string | undefined {
    return this.#described?.asymmetricKeyType;
  }
  get asymmetricKeyDetails(): object | undefined {
    if (!this.#described) return undefined;
    const { publicExponent, ...details } = this.#described.details;
    return {
      ...details,
      ...(publicExponent === undefined ? {} : { publicExponent: BigInt(publicExponent) }),
    };
  }
  get symmetricKeySize(): number | undefined {
    return this.type === "secret" ? this.#bytes.length : undefined;
  }
  export({ format, type, cipher, passphrase }: ExportOptions = {}): Buffer | string | object {
    if (cipher !== undefined || passphrase !== undefined) throw noPassphrase();
    if (this.type === "secret") {
      if (format === "jwk") return { kty: "oct", k: Buffer.from(this.#bytes).toString("base64url") };
      return Buffer.from(this.#bytes);
    }
    const wanted = { format: format ?? "pem", type: type ?? (this.type === "public" ? "spki" : "pkcs8") };
    const written = Buffer.from(
      platform.callHost("KeyObject.export", ["key", "write", this.type, wanted], this.#bytes),
    );
    if (format === "jwk") return JSON.parse(written.toString());
    return format === "der" ? written : written.toString();
  }
  equals(other: KeyObject): boolean {
    return this.type === other.type && Buffer.from(this.#bytes).equals(other.#bytes);
  }
}

/** How long it takes to open a key is written in it, by whoever has made it. */
const noPassphrase = () =>
  nodeError(Error, "ERR_NOT_SUPPORTED", "Keys with a passphrase are not supported in a sandbox");

export interface KeyInput {
  key: unknown;
  format?: string;
  type?: string;
  encoding?: string;
  passphrase?: unknown;
}

function read(kind: "public" | "private", input: unknown): KeyObject {
  const given = isInput(input) ? input : { key: input };
  if (given.passphrase !== undefined && given.passphrase !== "") throw noPassphrase();
  const { key, format = "pem", type, encoding } = given as KeyInput;
  const bytes = format === "jwk" ? Buffer.from(JSON.stringify(key)) : bytesOf(key, encoding);
  const result = platform.callHost(
    "crypto.createPublicKey",
    ["key", "read", kind, { format, ...(type ? { type } : {}) }],
    bytes,
  );
  const end = result.indexOf(0);
  const described = JSON.parse(Buffer.from(result.subarray(0, end)).toString()) as Described;
  return new KeyObject(described.type, result.slice(end + 1), described);
}

const isInput = (value: unknown): value is KeyInput =>
  typeof value === "object" &&
  value !== null &&
  !ArrayBuffer.isView(value) &&
  !(value instanceof KeyObject) &&
  "key" in value;

function bytesOf(key: unknown, encoding?: string): Uint8Array {
  if (typeof key === "string") return Buffer.from(key, encoding as BufferEncoding);
  if (ArrayBuffer.isView(key))
    return new Uint8Array(key.buffer as ArrayBuffer, key.byteOffset, key.byteLength);
  if (key instanceof ArrayBuffer) return new Uint8Array(key);
  throw invalidType(
    "key",
    "string or an instance of ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey",
    key,
  );
}

export function createSecretKey(key: unknown, encoding?: string): KeyObject {
  return new KeyObject("secret", bytesOf(key, encoding).slice());
}
export const createPrivateKey = (input: unknown): KeyObject =>
  input instanceof KeyObject ? input : read("private", input);
export function createPublicKey(input: unknown): KeyObject {
  const key = isInput(input) && input.key instanceof KeyObject ? input.key : input;
  if (!(key instanceof KeyObject)) return read("public", key);
  if (key.type === "public") return key;
  return read("public", { key: key.export({ format: "pem", type: "pkcs8" }) });
}

/** The bytes of a secret, given as text, bytes or a key. */
export function secretBytes(key: unknown): Uint8Array {
  if (isInput(key)) return secretBytes(key.key);
  if (key instanceof KeyObject) {
    if (key.type !== "secret")
      throw nodeError(
        TypeError,
        "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE",
        `Invalid key object type ${key.type}, expected secret.`,
      );
    return KeyObject.bytesOf(key);
  }
  return bytesOf(key);
}

/** A key for a call of the host, and what else was said about its use. */
export function keyFor(
  kind: "public" | "private",
  input: unknown,
): { kind: "public" | "private"; der: Uint8Array; options: Record<string, unknown> } {
  const options = isInput(input) ? { ...input } : {};
  const source = isInput(input) && input.key instanceof KeyObject ? input.key : input;
  const key =
    source instanceof KeyObject
      ? source
      : kind === "private"
        ? createPrivateKey(source)
        : createPublicKey(source);
  if (key.type === "secret")
    throw nodeError(
      TypeError,
      "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE",
      `Invalid key object type secret, expected ${kind}.`,
    );
  const usable = kind === "public" && key.type === "private" ? createPublicKey(key) : key;
  return { kind: usable.type as "public" | "private", der: KeyObject.bytesOf(usable), options };
}

type PairOptions = Record<string, unknown> & {
  publicKeyEncoding?: ExportOptions;
  privateKeyEncoding?: ExportOptions;
};

export function generateKeyPairSync(type: string, options: PairOptions = {}) {
  const { publicKeyEncoding, privateKeyEncoding, ...given } = options;
  const bytes = platform.callHost("crypto.generateKeyPairSync", ["generate", type, given]);
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const pair = [bytes.slice(4, 4 + length), bytes.slice(4 + length)] as const;
  const publicKey = read("public", { key: pair[0], format: "der", type: "spki" });
  const privateKey = read("private", { key: pair[1], format: "der", type: "pkcs8" });
  return {
    publicKey: publicKeyEncoding ? publicKey.export(publicKeyEncoding) : publicKey,
    privateKey: privateKeyEncoding ? privateKey.export(privateKeyEncoding) : privateKey,
  };
}

export function generateKeySync(type: "hmac" | "aes", { length }: { length: number }): KeyObject {
  const bytes = new Uint8Array(length >> 3);
  globalThis.crypto.getRandomValues(bytes);
  if (type !== "hmac" && type !== "aes")
    throw nodeError(
      TypeError,
      "ERR_INVALID_ARG_VALUE",
      `The argument 'type' must be a supported key type. Received '${type}'`,
    );
  return new KeyObject("secret", bytes);
}
