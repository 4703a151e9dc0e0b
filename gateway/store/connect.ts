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

/** The platform's database cannot be used; `where` names it. */
export class StoreError extends Error {
  readonly code = "database_unavailable";
  constructor(where: string, cause: unknown) {
    super(`The platform's database (${where}) cannot be used: ${reasonOf(cause)}`, { cause });
    this.name = "StoreError";
  }
}

/** What the driver says, not the query that it says it of. */
function reasonOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown };
  if (cause instanceof Error) return reasonOf(cause);
  return message || code || String(error);
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

/** The embedded database in `<dataDir>/platform-db`, migrated. Throws `DataDirInUseError`, `DataDirError`, {@link StoreError}. */
export async function connectEmbedded(dataDir: string): Promise<Connection> {
  const unlock = lockDataDir(dataDir);
  const path = join(dataDir, "platform-db");
  let client: PgliteClient | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const opened = await PgliteClient.open(path);
    client = opened;
    const db = drizzlePglite(opened.asPglite());
    await migratePglite(db, { migrationsFolder });
    return {
      db,
      copyIn: (table, columns, text) =>
        opened.copyIn(`copy ${table} (${columns.join(", ")}) from '/dev/blob'`, text),
      close: async () => {
        await opened.close();
        unlock();
      },
    };
  } catch (error) {
    await client?.close();
    unlock();
    throw new StoreError(path, error);
  }
}

/** Any Postgres, migrated. Throws {@link StoreError}. */
export async function connectPostgres(url: string): Promise<Connection> {
  const migrator = postgres(url, { ...quiet, max: 1 });
  try {
    await migrator`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await migratePostgres(drizzlePostgres(migrator), { migrationsFolder });
  } catch (error) {
    throw new StoreError("DATABASE_URL", error);
  } finally {
    await migrator.end({ timeout: 5 });
  }
  const client = postgres(url, { ...quiet, max: 5 });
  return { db: drizzlePostgres(client), close: () => client.end({ timeout: 5 }) };
}
