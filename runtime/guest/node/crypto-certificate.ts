import { Buffer } from "./buffer.ts";
import { type Data, toBytes } from "./crypto-hash.ts";
import { createPublicKey, type KeyObject } from "./crypto-keys.ts";
import { notSupported } from "./errors.ts";
import { platform } from "./platform.ts";

interface Fields {
  subject: string;
  subjectAltName?: string;
  infoAccess?: string;
  issuer: string;
  serialNumber: string;
  validFrom: string;
  validTo: string;
  fingerprint: string;
  fingerprint256: string;
  fingerprint512: string;
  keyUsage?: string[];
  ca: boolean;
  raw: string;
  key: string;
}

function ask<T>(args: unknown[], bytes: Uint8Array): T {
  const result = platform.callHost("crypto.X509Certificate", ["certificate", ...args], bytes);
  return JSON.parse(Buffer.from(result.buffer).toString()) as T;
}

/** A certificate, as the host reads it. */
export class X509Certificate {
  readonly #fields: Fields;
  readonly #raw: Buffer;
  #key: KeyObject | null = null;

  constructor(data: Data) {
    this.#fields = ask<Fields>(["read"], toBytes(data, "utf8", "buffer"));
    this.#raw = Buffer.from(this.#fields.raw, "base64");
    for (const [name, value] of Object.entries(this.#fields))
      if (name !== "raw" && name !== "key")
        Object.defineProperty(this, name, { get: () => value, configurable: true });
  }
  declare readonly subject: string;
  get raw(): Buffer {
    return Buffer.from(this.#raw);
  }
  get publicKey(): KeyObject {
    this.#key ??= createPublicKey({
      key: Buffer.from(this.#fields.key, "base64"),
      format: "der",
      type: "spki",
    });
    return this.#key;
  }
  get validFromDate(): Date {
    return new Date(this.#fields.validFrom);
  }
  get validToDate(): Date {
    return new Date(this.#fields.validTo);
  }
  checkHost(name: string): string | undefined {
    return this.#check("checkHost", name);
  }
  checkEmail(name: string): string | undefined {
    return this.#check("checkEmail", name);
  }
  checkIP(name: string): string | undefined {
    return this.#check("checkIP", name);
  }
  checkIssued(other: X509Certificate): boolean {
    return ask(["issued", this.#raw.length], Buffer.concat([this.#raw, other.#raw]));
  }
  verify(): never {
    throw notSupported("crypto", "X509Certificate.verify");
  }
  toString(): string {
    const lines = this.#raw.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
  toJSON(): string {
    return this.toString();
  }
  #check(method: string, name: string): string | undefined {
    return ask<string | null>(["check", method, name], this.#raw) ?? undefined;
  }
}
