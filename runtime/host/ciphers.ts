import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from "node:crypto";
import { GuestMessageError } from "../guest-message.ts";
import { HostError } from "../services.ts";

/** Ciphers in the middle of their input, at once. */
const maxOpen = 64;

const algorithm = /^(?:aes-?(?:128|192|256)-(?:cbc|ctr|ecb|gcm|ccm)|chacha20-poly1305)$/i;

interface Start {
  id: number;
  name: string;
  encrypt: boolean;
  keyLength: number;
  ivLength: number;
  padding: boolean;
  tagLength: number;
}

/**
 * `[start, step]`: with the step "aad", "padding" or "update" the payload is data (for the first one key and vector come before it), with "final"
 * the tag that is checked. Gives what is encrypted or decrypted; of "final" the last byte says how many bytes before it are the tag.
 */
export class Ciphers {
  readonly #open = new Map<number, CipherGCM | DecipherGCM>();

  call(args: unknown[], payload: Uint8Array): Uint8Array {
    const [start, step] = args as [Start, string];
    if (
      typeof start !== "object" ||
      start === null ||
      !Number.isInteger(start.id) ||
      typeof start.name !== "string"
    )
      throw new GuestMessageError("call");
    let bytes = payload;
    let cipher = this.#open.get(start.id);
    if (!cipher) {
      cipher = create(start, payload);
      bytes = payload.subarray(start.keyLength + start.ivLength);
      this.#open.set(start.id, cipher);
      if (this.#open.size > maxOpen) throw new GuestMessageError("call");
    }
    if (step === "aad") {
      cipher.setAAD(bytes);
      return new Uint8Array(0);
    }
    if (step === "padding") {
      cipher.setAutoPadding(start.padding);
      return new Uint8Array(0);
    }
    if (step === "update") return cipher.update(bytes);
    this.#open.delete(start.id);
    const hasTag = /gcm|ccm|poly1305/i.test(start.name);
    if (hasTag && !start.encrypt) (cipher as DecipherGCM).setAuthTag(bytes);
    const rest = cipher.final();
    const tag = hasTag && start.encrypt ? (cipher as CipherGCM).getAuthTag() : Buffer.alloc(0);
    return Buffer.concat([rest, tag, Buffer.of(tag.length)]);
  }
}

function create({ name, encrypt, keyLength, ivLength, tagLength }: Start, payload: Uint8Array) {
  if (!algorithm.test(name) || !Number.isInteger(keyLength) || !Number.isInteger(ivLength))
    throw new HostError("ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher");
  const key = payload.subarray(0, keyLength);
  const iv = ivLength < 0 ? null : payload.subarray(keyLength, keyLength + ivLength);
  const options = /gcm|ccm|poly1305/i.test(name) ? { authTagLength: tagLength } : {};
  const make = encrypt ? createCipheriv : createDecipheriv;
  return make(name as "aes-128-gcm", key, iv as Uint8Array, options) as CipherGCM;
}
