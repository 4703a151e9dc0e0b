import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { PgDatabase, PgQueryResultHKT } from "drizzle-orm/pg-core";
import { drizzle as drizzlePglite } from "drizzle-orm/pglite";
import { migrate as migratePglite } from "drizzle-orm/pglite/migrator";
import { drizzle as drizzlePostgres } from "drizzle-orm/postgres-js";
import { migrate as migratePostgres } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { lockDataDir } from "./data-dir-lock.ts";
import { PgliteClient } from "./pglite-client.ts";

export type Database = PgDatabase<PgQueryResultHKT>;
export type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];

/** The database at `DATABASE_URL` cannot be used. */
export class StoreError extends Error {
  readonly code = "database_unavailable";
  constructor(cause: unknown) {
    const reason =
      (cause as { message?: string; code?: string }).message || (cause as { code?: string }).code;
    super(`The platform's database (DATABASE_URL) cannot be used: ${reason}`, { cause });
    this.name = "StoreError";
  }
}

export interface Connection {
  db: Database;
  /**
   * Adds rows in COPY's text format to a table, which takes half as long as an insert. Absent where the driver has no COPY: postgres.js never
   * tells of one that fails.
   */
  copyIn?(table: string, columns: readonly string[], text: string): Promise<void>;
  close(): Promise<void>;
}

const migrationsFolder = join(import.meta.dirname, "migrations");

/** Arbitrary, and ours: servers that start together on one database migrate one after the other. */
const MIGRATION_LOCK = 87_878_788;

const quiet = { onnotice: () => {}, connect_timeout: 10 };

/** The embedded database in `<dataDir>/platform-db`, migrated. Throws `DataDirInUseError`. */
export async function connectEmbedded(dataDir: string): Promise<Connection> {
  const unlock = lockDataDir(dataDir);
  try {
    const path = join(dataDir, "platform-db");
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const client = await PgliteClient.open(path);
    const db = drizzlePglite(client.asPglite());
    await migratePglite(db, { migrationsFolder });
    return {
      db,
      copyIn: (table, columns, text) =>
        client.copyIn(`copy ${table} (${columns.join(", ")}) from '/dev/blob'`, text),
      close: async () => {
        await client.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Any Postgres, migrated. Throws {@link StoreError}. */
export async function connectPostgres(url: string): Promise<Connection> {
  const migrator = postgres(url, { ...quiet, max: 1 });
  try {
    await migrator`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await migratePostgres(drizzlePostgres(migrator), { migrationsFolder });
  } catch (error) {
    throw new StoreError(error);
  } finally {
    await migrator.end({ timeout: 5 });
  }
  const client = postgres(url, { ...quiet, max: 5 });
  return { db: drizzlePostgres(client), close: () => client.end({ timeout: 5 }) };
}
