import { Buffer } from "./buffer.ts";
import { type Data, toBytes } from "./crypto-hash.ts";
import { secretBytes } from "./crypto-keys.ts";
import { invalidType } from "./errors.ts";
import type { AnyFunction } from "./function_types.ts";
import { platform } from "./platform.ts";

interface ScryptOptions {
  N?: number;
  r?: number;
  p?: number;
  cost?: number;
  blockSize?: number;
  parallelization?: number;
}

function derive(
  method: string,
  secret: Uint8Array,
  salt: Uint8Array,
  options: Record<string, unknown>,
  rest = new Uint8Array(0),
): Buffer {
  const lengths = { secretLength: secret.length, saltLength: salt.length };
  const payload = Buffer.concat([secret, salt, rest]);
  return Buffer.from(
    platform.callHost(`crypto.${method}`, ["derive", method, { ...lengths, ...options }], payload).buffer,
  );
}

export function pbkdf2Sync(
  password: Data,
  salt: Data,
  iterations: number,
  length: number,
  digest: string,
): Buffer {
  if (typeof digest !== "string") throw invalidType("digest", "string", digest);
  return derive("pbkdf2", toBytes(password), toBytes(salt), { iterations, length, digest });
}
export function scryptSync(password: Data, salt: Data, length: number, options: ScryptOptions = {}): Buffer {
  const cost = options.N ?? options.cost ?? 16_384;
  const blockSize = options.r ?? options.blockSize ?? 8;
  const parallelization = options.p ?? options.parallelization ?? 1;
  return derive("scrypt", toBytes(password), toBytes(salt), { length, cost, blockSize, parallelization });
}
export function hkdfSync(digest: string, key: unknown, salt: Data, info: Data, length: number): ArrayBuffer {
  return derive("hkdf", secretBytes(key), toBytes(salt), { digest, length }, new Uint8Array(toBytes(info)))
    .buffer as ArrayBuffer;
}

type Done = (error: unknown, result?: unknown) => void;

/** The form with a callback. The function waits just the same. */
const withCallback =
  (work: AnyFunction<unknown>) =>
  (...args: unknown[]): void => {
    const done = args.pop() as Done;
    if (typeof done !== "function") throw invalidType("callback", "function", done);
    process.nextTick(() => {
      let results: [unknown, unknown?];
      try {
        results = [null, work(...args)];
      } catch (error) {
        results = [error];
      }
      done(...results);
    });
  };

export const pbkdf2 = withCallback(pbkdf2Sync);
export const scrypt = withCallback(scryptSync);
export const hkdf = withCallback(hkdfSync);
export { withCallback };
