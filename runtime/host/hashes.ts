import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { GuestMessageError } from "../guest-message.ts";
import { HostError } from "../services.ts";

/** Hashes in the middle of their input, at once. */
const maxOpen = 256;
/** Longest digest of SHAKE, bytes. */
const maxOutputBytes = 64 * 1024;

/** `[id, algorithm, keyLength, outputLength, more]`: the payload is the key of an HMAC, if there is one (−1: no HMAC), and input. */
export class Hashes {
  readonly #open = new Map<number, Hash | Hmac>();

  call(args: unknown[], bytes: Uint8Array): Uint8Array {
    const [id, algorithm, keyLength, outputLength, more, from] = args as [
      number,
      string,
      number,
      number,
      boolean,
      number?,
    ];
    if (!Number.isInteger(id) || typeof algorithm !== "string" || !Number.isInteger(keyLength))
      throw new GuestMessageError("call");
    if (from !== undefined) return this.#copy(id, from);
    const known = this.#open.get(id);
    const hash =
      known ?? create(algorithm, keyLength < 0 ? null : bytes.subarray(0, keyLength), outputLength);
    hash.update(known || keyLength < 0 ? bytes : bytes.subarray(keyLength));
    if (!more) {
      this.#open.delete(id);
      return hash.digest();
    }
    this.#open.set(id, hash);
    if (this.#open.size > maxOpen) throw new GuestMessageError("call");
    return new Uint8Array(0);
  }

  #copy(id: number, from: number): Uint8Array {
    const source = this.#open.get(from);
    if (!source || !("copy" in source)) throw new GuestMessageError("call");
    this.#open.set(id, source.copy());
    if (this.#open.size > maxOpen) throw new GuestMessageError("call");
    return new Uint8Array(0);
  }
}

function create(algorithm: string, key: Uint8Array | null, outputLength: number): Hash | Hmac {
  if (outputLength > maxOutputBytes)
    throw new HostError("too_large", "the digest is too long", { name: "RangeError" });
  if (key !== null) return createHmac(algorithm, key);
  return outputLength > 0 ? createHash(algorithm, { outputLength }) : createHash(algorithm);
}
