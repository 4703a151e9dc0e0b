import { and, eq, sql } from "drizzle-orm";
import type { Database } from "./connect.ts";
import { changed } from "./functions.ts";
import type { MasterKeys } from "./master-keys.ts";
import { readFunction, type StoredFunction, secretOwner } from "./read-functions.ts";
import { functionSecrets, functions } from "./schema.ts";
import type { Vault } from "./vault.ts";

/** A variable or secret as it may be shown: without its value. */
export interface SecretName {
  key: string;
  updatedAt: Date;
}

/** Most that a function may have. */
export const MAX_SECRETS = 100;
/** Of all values of a function together: they travel into the sandbox with each request. */
export const MAX_SECRET_CHARACTERS = 32_768;

/** More than {@link MAX_SECRETS}, or more than {@link MAX_SECRET_CHARACTERS}, in all. Nothing was stored. */
export class TooManySecretsError extends Error {
  readonly code = "too_many_secrets";
}

/** Variables and secrets of functions, sealed at rest. Each change is a new revision of the function. */
export class SecretStore {
  readonly #db: Database;
  readonly #vault: Vault;
  readonly #masterKeys: Pick<MasterKeys, "add" | "forgetFormer">;
  #rotating: Promise<unknown> = Promise.resolve();

  constructor(db: Database, vault: Vault, masterKeys: Pick<MasterKeys, "add" | "forgetFormer">) {
    this.#db = db;
    this.#vault = vault;
    this.#masterKeys = masterKeys;
  }

  async names(functionId: string): Promise<SecretName[]> {
    return this.#db
      .select({ key: functionSecrets.key, updatedAt: functionSecrets.updatedAt })
      .from(functionSecrets)
      .where(eq(functionSecrets.functionId, functionId))
      .orderBy(functionSecrets.key);
  }

  /** Adds and replaces, all or none. Undefined when the function does not exist; throws {@link TooManySecretsError}. */
  async set(name: string, values: Record<string, string>): Promise<StoredFunction | undefined> {
    return this.#db.transaction(async (tx) => {
      const id = await lock(tx, name);
      if (id === undefined) return undefined;
      const rows = Object.entries(values).map(([key, value]) => ({
        functionId: id,
        key,
        sealed: this.#vault.seal(value, secretOwner(id, key)),
        updatedAt: new Date(),
      }));
      await tx
        .insert(functionSecrets)
        .values(rows)
        .onConflictDoUpdate({
          target: [functionSecrets.functionId, functionSecrets.key],
          set: { sealed: sql`excluded.sealed`, updatedAt: sql`excluded.updated_at` },
        });
      const stored = await readFunction(tx, this.#vault, name);
      const all = Object.values(stored?.variables ?? {});
      const characters = all.reduce((sum, value) => sum + value.length, 0);
      if (all.length > MAX_SECRETS || characters > MAX_SECRET_CHARACTERS) throw new TooManySecretsError();
      return stored;
    });
  }

  /** Removes one, or all. Undefined when the function, or its secret of that name, does not exist. */
  async remove(name: string, key?: string): Promise<StoredFunction | undefined> {
    return this.#db.transaction(async (tx) => {
      const id = await lock(tx, name);
      if (id === undefined) return undefined;
      const removed = await tx
        .delete(functionSecrets)
        .where(
          and(
            eq(functionSecrets.functionId, id),
            key === undefined ? undefined : eq(functionSecrets.key, key),
          ),
        )
        .returning({ key: functionSecrets.key });
      return removed.length === 0 && key !== undefined ? undefined : readFunction(tx, this.#vault, name);
    });
  }

  /**
   * Seals all values anew, with a new key where the keys are in the data folder, and with the first one of the setting otherwise. The
   * former key is forgotten last, so that a crash at any point leaves what can be opened. Resolves with how many were sealed anew.
   */
  rotateKey(): Promise<{ resealed: number; keyMade: boolean }> {
    const rotated = this.#rotating.then(async () => {
      const key = this.#masterKeys.add();
      if (key) this.#vault.sealWith(key);
      const resealed = await this.#resealAll();
      this.#masterKeys.forgetFormer();
      return { resealed, keyMade: key !== undefined };
    });
    this.#rotating = rotated.catch(() => {});
    return rotated;
  }

  async #resealAll(): Promise<number> {
    return this.#db.transaction(async (tx) => {
      // Whoever sets a secret seals it behind this lock, and so with the new key.
      await tx.execute(sql`lock table ${functions} in share row exclusive mode`);
      const rows = await tx.select().from(functionSecrets);
      const old = rows.filter(({ sealed }) => !this.#vault.isCurrent(sealed));
      for (let at = 0; at < old.length; at += RESEAL_ROWS) {
        const records = old.slice(at, at + RESEAL_ROWS).map(({ functionId, key, sealed }) => {
          const owner = secretOwner(functionId, key);
          return { id: functionId, key, sealed: this.#vault.seal(this.#vault.open(sealed, owner), owner) };
        });
        await tx.execute(sql`
          update ${functionSecrets} as secret set sealed = fresh.sealed
          from json_to_recordset(${JSON.stringify(records)}::json) as fresh(id uuid, key text, sealed text)
          where secret.function_id = fresh.id and secret.key = fresh.key`);
      }
      return old.length;
    });
  }
}

/** How many values are sealed anew by one statement. */
const RESEAL_ROWS = 1_000;

/** Counts the revision up, which keeps other changes of the function out until the end of the transaction. */
async function lock(tx: Pick<Database, "update">, name: string): Promise<string | undefined> {
  const [row] = await tx
    .update(functions)
    .set(changed())
    .where(eq(functions.name, name))
    .returning({ id: functions.id });
  return row?.id;
}
