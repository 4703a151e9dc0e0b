import { randomBytes } from "node:crypto";

/** Random bytes are drawn in bulk: each draw costs more than what is made of it. */
const POOL_BYTES = 4096;
/** Hexadecimal digits of one id that are random, 72 bits. */
const RANDOM_DIGITS = 18;

let pool = "";
let used = 0;
let prefixMs = -1;
let prefix = "";

/**
 * A UUID of version 7 (RFC 9562): it begins with the time, so that rows which are inserted one after the other lie beside each other in an
 * index of a database.
 */
export function orderedUuid(nowMs: number): string {
  if (nowMs !== prefixMs) {
    const time = Math.floor(nowMs).toString(16).padStart(12, "0");
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    prefixMs = nowMs;
  }
  if (used + RANDOM_DIGITS > pool.length) {
    pool = randomBytes(POOL_BYTES).toString("hex");
    used = 0;
  }
  const at = used;
  used += RANDOM_DIGITS;
  return `${prefix}${pool.slice(at, at + 3)}-8${pool.slice(at + 3, at + 6)}-${pool.slice(at + 6, at + 18)}`;
}
