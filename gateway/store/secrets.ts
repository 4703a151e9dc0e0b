import { and, eq, sql } from "drizzle-orm";
import type { Database } from "./connect.ts";
import { changed } from "./functions.ts";
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
  constructor(db: Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
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
}

/** Counts the revision up, which keeps other changes of the function out until the end of the transaction. */
async function lock(tx: Pick<Database, "update">, name: string): Promise<string | undefined> {
  const [row] = await tx
    .update(functions)
    .set(changed())
    .where(eq(functions.name, name))
    .returning({ id: functions.id });
  return row?.id;
}
