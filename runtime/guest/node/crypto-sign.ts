import { Buffer } from "./buffer.ts";
import { type Data, encoded, toBytes } from "./crypto-hash.ts";
import { keyFor } from "./crypto-keys.ts";
import { platform } from "./platform.ts";
import { Writable } from "./stream.ts";

/** Names with a key's kind in them: `RSA-SHA256`. */
const digestName = (algorithm: string | null | undefined): string | null =>
  algorithm?.replace(/^(?:RSA|ecdsa-with)-/i, "") ?? null;

const signing = ({ padding, saltLength, dsaEncoding }: Record<string, unknown>) => ({
  padding,
  saltLength,
  dsaEncoding,
});

export function sign(algorithm: string | null | undefined, data: Data, key: unknown): Buffer {
  const { kind, der, options } = keyFor("private", key);
  const payload = Buffer.concat([der, toBytes(data)]);
  return Buffer.from(
    platform.callHost(
      "crypto.sign",
      ["sign", digestName(algorithm), { kind, length: der.length }, signing(options)],
      payload,
    ),
  );
}

export function verify(
  algorithm: string | null | undefined,
  data: Data,
  key: unknown,
  signature: Data,
): boolean {
  const { kind, der, options } = keyFor("public", key);
  const bytes = toBytes(signature, undefined, "signature");
  const payload = Buffer.concat([der, toBytes(data), bytes]);
  const call = [
    "verify",
    digestName(algorithm),
    { kind, length: der.length },
    signing(options),
    bytes.length,
  ];
  return platform.callHost("crypto.verify", call as [string], payload)[0] === 1;
}

class Signer extends Writable {
  protected readonly algorithm: string;
  readonly #chunks: Uint8Array[] = [];
  constructor(algorithm: string) {
    super();
    this.algorithm = algorithm;
  }
  update(data: Data, encoding?: string): this {
    this.#chunks.push(toBytes(data, encoding).slice());
    return this;
  }
  protected data(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }
  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.update(chunk);
    done();
  }
}
export class Sign extends Signer {
  sign(key: unknown, encoding?: string): Buffer | string {
    return encoded(sign(this.algorithm, this.data(), key), encoding);
  }
}
export class Verify extends Signer {
  verify(key: unknown, signature: Data, encoding?: string): boolean {
    return verify(this.algorithm, this.data(), key, toBytes(signature, encoding, "signature"));
  }
}
export const createSign = (algorithm: string): Sign => new Sign(algorithm);
export const createVerify = (algorithm: string): Verify => new Verify(algorithm);

function crypt(method: string, kind: "public" | "private", input: unknown, data: Data): Buffer {
  const { kind: used, der, options } = keyFor(kind, input);
  const payload = Buffer.concat([der, toBytes(data)]);
  const { padding, oaepHash } = options;
  return Buffer.from(
    platform.callHost(
      `crypto.${method}`,
      ["crypt", method, { kind: used, length: der.length }, { padding, oaepHash }],
      payload,
    ),
  );
}
export const publicEncrypt = (key: unknown, data: Data): Buffer =>
  crypt("publicEncrypt", "public", key, data);
export const privateDecrypt = (key: unknown, data: Data): Buffer =>
  crypt("privateDecrypt", "private", key, data);
export const privateEncrypt = (key: unknown, data: Data): Buffer =>
  crypt("privateEncrypt", "private", key, data);
export const publicDecrypt = (key: unknown, data: Data): Buffer =>
  crypt("publicDecrypt", "public", key, data);
