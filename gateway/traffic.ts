import { createHash, randomInt } from "node:crypto";
import type { ClientHeaders } from "./headers.ts";

/** How a function's requests are shared out among its versions. */
export interface Traffic {
  /** Ascending by version; the percentages add up to 100. */
  shares: { version: number; percent: number }[];
  /** How a client stays with the version that it met first; absent: each request is drawn anew. */
  sticky?: Sticky;
}

/** By a cookie that the edge sets, or by the value of a request header. */
export type Sticky = "cookie" | `header:${string}`;

/** Buckets: the finest share is a hundredth of a percent. */
const BUCKETS = 10_000;

/** Traffic that all goes to one version. */
export const allTo = (version: number): Traffic => ({ shares: [{ version, percent: 100 }] });

/** The version with the largest share; of equal ones the newest. */
export function mainVersion({ shares }: Traffic): number {
  return shares.reduce((best, share) => (share.percent >= best.percent ? share : best)).version;
}

/** Where a request goes, and the cookie that makes its client return there. */
export interface Draw {
  version: number;
  setCookie?: string;
}

const COOKIE_SECONDS = 86_400;

/**
 * Draws a version. A client's bucket stays when shares change, so that growing a share moves only as many
 * clients as it grows by.
 */
export function draw(name: string, { shares, sticky }: Traffic, headers: ClientHeaders): Draw {
  const [only] = shares;
  if (shares.length === 1 && only) return { version: only.version };
  if (sticky === undefined) return { version: versionOf(shares, randomInt(BUCKETS)) };
  if (sticky === "cookie") {
    const cookie = `thimble-${name}`;
    const known = bucketIn(headers.get("cookie") ?? "", cookie);
    const bucket = known ?? randomInt(BUCKETS);
    const version = versionOf(shares, bucket);
    if (known !== undefined) return { version };
    const attributes = `Path=/f/${name}; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Lax`;
    return { version, setCookie: `${cookie}=${bucket}; ${attributes}` };
  }
  const value = headers.get(sticky.slice("header:".length));
  const bucket = value === null ? randomInt(BUCKETS) : hashedBucket(`${name}\n${value}`);
  return { version: versionOf(shares, bucket) };
}

function versionOf(shares: Traffic["shares"], bucket: number): number {
  let end = 0;
  for (const { version, percent } of shares) {
    end += (percent * BUCKETS) / 100;
    if (bucket < end) return version;
  }
  return shares.at(-1)!.version;
}

function bucketIn(cookies: string, name: string): number | undefined {
  for (const pair of cookies.split(";")) {
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    return /^\d{1,4}$/.test(value) ? Number(value) : undefined;
  }
  return undefined;
}

function hashedBucket(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE() % BUCKETS;
}
