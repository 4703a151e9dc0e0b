import { join } from "node:path";
import type { DatabaseSession } from "../../runtime/services.ts";
import { Lane } from "./lane.ts";
import { PgliteHost } from "./pglite-host.ts";
import { Pool, type PoolStats } from "./pool.ts";
import { Session, type SessionTarget } from "./session.ts";
import { openTcp, type SslMode } from "./tcp-socket.ts";

export interface BrokerConfig {
  /** `postgres://user:password@host:port/database?sslmode=…`; null: the embedded database. */
  databaseUrl: string | null;
  /** Where the embedded database lives, as `functions-db`. */
  dataDir: string;
  /** All connections together; the embedded database has one session and ignores more. Default 5. */
  maxConnections?: number;
  /** To get a connection, and for one query, each. Default 5000. */
  timeoutMs?: number;
  /** Bytes on the wire of one result. Default 4 MiB. */
  maxResultBytes?: number;
  /** Default 10,000. */
  maxRows?: number;
  /** After which an unused connection is closed. Default 30,000. */
  idleTimeoutMs?: number;
}

/** The one pool for functions' queries, in this process ({@link openBroker}) or in one of its own (`connectBroker`). */
export interface Broker {
  /**
   * For one invocation. Its queries reject with a HostError: the server's SQLSTATE (name `PostgresError`) or one of the `db_…`
   * codes in errors.ts (name `DatabaseError`).
   */
  openSession(target: SessionTarget): DatabaseSession;
  /** Rejects with `db_unavailable` while a broker in another process is not there. */
  stats(): Promise<PoolStats>;
  /** What is under way fails. */
  close(): Promise<void>;
}

export const DEFAULT_MAX_CONNECTIONS = 5;
/** How long the embedded database may go on with a statement that nobody waits for any more. */
const PGLITE_GRACE_MS = 500;

/** Connects to nothing yet: the first query does. Throws a RangeError or TypeError for a bad configuration. */
export function openBroker(config: BrokerConfig): Broker {
  const embedded = config.databaseUrl === null;
  const timeoutMs = positive("timeoutMs", config.timeoutMs ?? 5000);
  const maxResultBytes = positive("maxResultBytes", config.maxResultBytes ?? 4 * 1024 * 1024);
  const limits = { timeoutMs, maxResultBytes, maxRows: positive("maxRows", config.maxRows ?? 10_000) };
  const maxConnections = positive("maxConnections", config.maxConnections ?? DEFAULT_MAX_CONNECTIONS);
  const pglite = embedded
    ? new PgliteHost({
        dataDir: join(config.dataDir, "functions-db"),
        maxResultBytes,
        maxBusyMs: timeoutMs + PGLITE_GRACE_MS,
      })
    : null;
  const target = pglite
    ? { user: "", password: "", database: "", openSocket: (signal: AbortSignal) => pglite.openSocket(signal) }
    : serverTarget(config.databaseUrl!);
  const pool = new Pool({
    openLane: () => Lane.open({ ...target, ...limits }),
    maxConnections: embedded ? 1 : maxConnections,
    timeoutMs,
    idleTimeoutMs: positive("idleTimeoutMs", config.idleTimeoutMs ?? 30_000),
  });

  return {
    openSession: (target) => new Session(pool, target),
    stats: async () => pool.stats(),
    async close() {
      await pool.close();
      await pglite?.close();
    },
  };
}

/** Never quotes the URL, since it may hold a password. */
function serverTarget(databaseUrl: string) {
  let url: URL;
  try {
    url = new URL(databaseUrl);
  } catch {
    throw new TypeError("the database URL is not a URL");
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:")
    throw new TypeError(`the database URL has the protocol ${JSON.stringify(url.protocol)}, not postgres:`);
  const user = decodeURIComponent(url.username) || "postgres";
  const host = url.hostname.replace(/^\[|\]$/g, "") || "localhost";
  const port = Number(url.port || 5432);
  const sslMode = parseSslMode(url.searchParams.get("sslmode"));
  return {
    user,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    openSocket: (signal: AbortSignal) => openTcp({ host, port, sslMode }, signal),
  };
}

function parseSslMode(value: string | null): SslMode {
  switch (value) {
    case null:
      return "prefer";
    case "verify-ca":
      return "verify-full";
    case "disable":
    case "prefer":
    case "require":
    case "verify-full":
      return value;
    default:
      throw new TypeError(`sslmode ${JSON.stringify(value)} is not supported`);
  }
}

function positive(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`${name} must be a whole number from 1, not ${value}`);
  return value;
}
