import { Op } from "../protocol.ts";
import { bytesOf } from "./blob.ts";
import { buildTimeError, host } from "./host.ts";

const maxRandomBytes = 65_536;
const integerArray = /^\[object (Big)?(Ui|I)nt\d+(Clamped)?Array\]$/;

function fill(bytes: Uint8Array, what: string): void {
  if (host(Op.random, undefined, bytes) < 0) throw buildTimeError(what);
}

function getRandomValues<T extends ArrayBufferView>(array: T): T {
  if (!integerArray.test(Object.prototype.toString.call(array)))
    throw new DOMException("An integer typed array is needed", "TypeMismatchError");
  if (array.byteLength > maxRandomBytes) {
    const message = `getRandomValues gives at most ${maxRandomBytes} bytes at once, not ${array.byteLength}`;
    throw new DOMException(message, "QuotaExceededError");
  }
  fill(bytesOf(array), "crypto.getRandomValues");
  return array;
}

function randomUUID(): string {
  const bytes = new Uint8Array(16);
  fill(bytes, "crypto.randomUUID");
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Randomness comes from the host; `crypto.subtle` stays as the engine's extension made it. */
export function extendCrypto(): void {
  const prototype = Object.getPrototypeOf(crypto);
  for (const [name, value] of Object.entries({ getRandomValues, randomUUID })) {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false });
  }
}
