import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the admin key is kept. */
export const adminKeyPath = (dataDir: string): string => join(dataDir, "admin-key");

/** The key in the data folder, or undefined when there is none yet. */
export function readAdminKey(dataDir: string): string | undefined {
  try {
    return readFileSync(adminKeyPath(dataDir), "utf8").trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The key in the data folder; the first call makes it (256 random bits, mode 0600). */
export function ensureAdminKey(dataDir: string): string {
  const existing = readAdminKey(dataDir);
  if (existing) return existing;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const key = randomBytes(32).toString("base64url");
  writeFileSync(adminKeyPath(dataDir), `${key}\n`, { mode: 0o600 });
  return key;
}

/** Tells whether a presented key is the one given here, of which only the hash is kept, in time that tells nothing. */
export function keyVerifier(key: string): (presented: string) => boolean {
  const expected = sha256(key);
  return (presented) => timingSafeEqual(sha256(presented), expected);
}

const sha256 = (text: string) => createHash("sha256").update(text).digest();
