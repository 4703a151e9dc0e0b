import { sql } from "drizzle-orm";
import type { Config } from "../config.ts";
import { AuditStore } from "./audit.ts";
import { ChangeFeed, type ChangeListener } from "./change-feed.ts";
import { connectEmbedded, connectPostgres } from "./connect.ts";
import { FunctionStore } from "./functions.ts";
import { InvocationStore } from "./invocations.ts";
import { KeyStore } from "./keys.ts";
import { MasterKeys } from "./master-keys.ts";
import { SecretStore } from "./secrets.ts";
import { Vault } from "./vault.ts";

/** The platform's own state. */
export interface Store {
  functions: FunctionStore;
  invocations: InvocationStore;
  secrets: SecretStore;
  keys: KeyStore;
  audit: AuditStore;
  /** From now on, tells of changes that any server on the same database makes. The embedded one has a single server. */
  follow(listener: ChangeListener): void;
  /** Rejects when the database cannot be asked. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

type StoreConfig = Pick<Config, "store" | "dataDir"> & { masterKey?: string | undefined };

/**
 * The platform's database: the Postgres at `DATABASE_URL`, else an embedded one in the data folder. Migrated,
 * and executions that a dead process left under way marked as aborted. Throws `StoreError`, `VaultError`.
 */
export async function openStore(config: StoreConfig): Promise<Store> {
  const { url } = config.store;
  const masterKeys = new MasterKeys(config);
  const vault = new Vault(masterKeys.keys);
  const connection = url === undefined ? await connectEmbedded(config.dataDir) : await connectPostgres(url);
  const { db, close } = connection;
  try {
    const invocations = new InvocationStore(connection);
    let feed: ChangeFeed | undefined;
    await invocations.abortOrphans();
    return {
      functions: new FunctionStore(db, vault),
      invocations,
      secrets: new SecretStore(db, vault, masterKeys),
      keys: new KeyStore(db),
      audit: new AuditStore(db),
      follow: (listener) => {
        if (url !== undefined) feed = new ChangeFeed(url, listener);
      },
      ping: async () => {
        await db.execute(sql`select 1`);
      },
      close: async () => {
        await feed?.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
