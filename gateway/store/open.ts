import { sql } from "drizzle-orm";
import type { Config } from "../config.ts";
import { connectEmbedded, connectPostgres } from "./connect.ts";
import { FunctionStore } from "./functions.ts";
import { InvocationStore } from "./invocations.ts";

/** The platform's own state. */
export interface Store {
  functions: FunctionStore;
  invocations: InvocationStore;
  /** Rejects when the database cannot be asked. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The platform's database: the Postgres at `DATABASE_URL`, else an embedded one in the data folder. Migrated,
 * and executions that a dead process left under way marked as aborted.
 */
export async function openStore(config: Pick<Config, "store" | "dataDir">): Promise<Store> {
  const { url } = config.store;
  const { db, close } =
    url === undefined ? await connectEmbedded(config.dataDir) : await connectPostgres(url);
  try {
    const invocations = new InvocationStore(db);
    await invocations.abortOrphans();
    return {
      functions: new FunctionStore(db),
      invocations,
      ping: async () => {
        await db.execute(sql`select 1`);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
