import { createHash, randomBytes, randomUUID } from "node:crypto";
import { and, desc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import type { Scope } from "../scope.ts";
import type { Database } from "./connect.ts";
import { apiKeys } from "./schema.ts";

export interface KeyInput {
  /** What it is for; shown in lists and in the audit log. */
  name: string;
  scopes: Scope[];
  /** The only function that it is good for. */
  functionName: string | null;
  expiresAt: Date | null;
}

/** A key as it may be shown: without the key. */
export interface StoredKey extends KeyInput {
  id: string;
  createdAt: Date;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
}

/** Of a key only the hash is kept. It has 256 random bits, so a plain hash can't be guessed back. */
export const keyHash = (key: string): string => createHash("sha256").update(key).digest("hex");

/** `last_used_at` is written no more often than this. */
const USE_GRAIN_MS = 60_000;

const shown = {
  id: apiKeys.id,
  name: apiKeys.name,
  scopes: apiKeys.scopes,
  functionName: apiKeys.functionName,
  createdAt: apiKeys.createdAt,
  expiresAt: apiKeys.expiresAt,
  revokedAt: apiKeys.revokedAt,
  lastUsedAt: apiKeys.lastUsedAt,
};

/** Keys of the admin API and of protected functions. */
export class KeyStore {
  readonly #db: Database;
  constructor(db: Database) {
    this.#db = db;
  }

  /** Makes a key, which is shown this once. */
  async create(input: KeyInput): Promise<{ key: string; stored: StoredKey }> {
    const key = `thk_${randomBytes(32).toString("base64url")}`;
    const [stored] = await this.#db
      .insert(apiKeys)
      .values({ id: randomUUID(), hash: keyHash(key), ...input })
      .returning(shown);
    return { key, stored: stored! };
  }

  /** Newest first. */
  async list(): Promise<StoredKey[]> {
    return this.#db.select(shown).from(apiKeys).orderBy(desc(apiKeys.createdAt));
  }

  /** The key that this is, when it is in force. */
  async find(key: string): Promise<StoredKey | undefined> {
    const now = new Date();
    const [found] = await this.#db
      .select(shown)
      .from(apiKeys)
      .where(
        and(
          eq(apiKeys.hash, keyHash(key)),
          isNull(apiKeys.revokedAt),
          or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)),
        ),
      );
    if (!found) return undefined;
    const grain = new Date(now.getTime() - USE_GRAIN_MS);
    await this.#db
      .update(apiKeys)
      .set({ lastUsedAt: now })
      .where(and(eq(apiKeys.id, found.id), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, grain))));
    return found;
  }

  /** From now on it is refused. Undefined when there is none of that id. */
  async revoke(id: string): Promise<StoredKey | undefined> {
    const [row] = await this.#db
      .update(apiKeys)
      .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
      .where(eq(apiKeys.id, id))
      .returning(shown);
    return row;
  }
}
