import { join } from "node:path";
import { CancellationSource } from "../../runtime/cancellation.ts";
import type { QueryRequest } from "../../runtime/protocol.ts";
import type { DatabaseSession } from "../../runtime/services.ts";
import { nameOfDatabase, parseDatabaseUrl } from "./database-url.ts";
import { brokerError, unavailable } from "./errors.ts";
import { Lane, type LaneOptions, type Role } from "./lane.ts";
import { PgliteHost } from "./pglite-host.ts";
import { Pool, type PoolStats } from "./pool.ts";
import { decodeResult, type RawResult } from "./raw-result.ts";
import { type Grant, RoleBook } from "./role-book.ts";
import { Session, type SessionLimits } from "./session.ts";
import { openTcp } from "./tcp-socket.ts";

export interface SessionTarget {
  functionName: string;
  /** What the function wants to do at most (`config.database`). */
  access: "read" | "write" | false;
}

/** What one invocation may take, each with an error code of its own. */
export interface InvocationCaps {
  /** Default 1,000 (`db_too_many_queries`). */
  queries?: number;
  /** Of all results together. Default 100,000 (`db_too_many_rows`). */
  rows?: number;
  /** Bytes on the wire of all results together. Default 32 MiB (`db_result_too_large`). */
  resultBytes?: number;
  /** Of the parameters of all statements together. Default 16 MiB (`db_params_too_large`). */
  paramBytes?: number;
  /** For which connections are held, added up over those held at once. Default twice the time-out (`db_time_limit`). */
  heldMs?: number;
}

export interface BrokerConfig {
  /** `postgres://user:password@host:port/database?sslmode=…`; null: the embedded database. */
  databaseUrl: string | null;
  /** Where the embedded database lives, as `functions-db`, and the functions' roles. */
  dataDir: string;
  /** All connections together; the embedded database has one session and ignores more. Default 5. */
  maxConnections?: number;
  /** To get a connection, and for one query, each. Default 5000. */
  timeoutMs?: number;
  /** Bytes on the wire of one result. Default 4 MiB (`db_result_too_large`). */
  maxResultBytes?: number;
  /** Of one result. Default 10,000 (`db_too_many_rows`). */
  maxRows?: number;
  /** After which an unused connection is closed. Default 30,000. */
  idleTimeoutMs?: number;
  caps?: InvocationCaps;
  /** Why a connection could not be made, for the log: functions are not told. At most once a second. */
  onFailure?(message: string): void;
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

/** Has the database in this process. */
export interface OwnBroker extends Broker {
  /**
   * Starts the embedded database in a second, before the first query, which it would hold up by seconds. What goes wrong is told to that query. Does nothing where
   * there is a server.
   */
  warm(): void;
}

/** A session whose results are still as the server sent them. */
export interface RawSession extends Omit<DatabaseSession, "query"> {
  /** The source is the caller's, to stop the query; the session fires it as well, when it ends. */
  query(request: QueryRequest, source: CancellationSource): Promise<RawResult>;
}

export interface RawBroker extends Omit<OwnBroker, "openSession"> {
  openSession(target: SessionTarget): RawSession;
}

export const DEFAULT_MAX_CONNECTIONS = 5;
const FAILURE_INTERVAL_MS = 1000;
/** The server's own start goes before that of its embedded database. */
const WARM_DELAY_MS = 1000;
/** How long the embedded database may go on with a statement that nobody waits for any more. */
const PGLITE_GRACE_MS = 500;

/** Connects to nothing yet: the first query does. Throws a RangeError or TypeError for a bad configuration. */
export function openBroker(config: BrokerConfig): OwnBroker {
  const raw = openRawBroker(config);
  return {
    ...raw,
    openSession(target) {
      const session = raw.openSession(target);
      return {
        query: async (request, signal) => {
          const source = new CancellationSource();
          const onAbort = () => source.abort();
          signal.addEventListener("abort", onAbort);
          if (signal.aborted) onAbort();
          try {
            return decodeResult(await session.query(request, source), request.textTypes);
          } finally {
            signal.removeEventListener("abort", onAbort);
          }
        },
        release: (lease) => session.release(lease),
        close: () => session.close(),
      };
    },
  };
}

/** The same, for one who hands results on. */
export function openRawBroker(config: BrokerConfig): RawBroker {
  const limits = readLimits(config);
  const { pool, login, warm, close } =
    config.databaseUrl === null ? embedded(config) : onServer(config, config.databaseUrl);
  return {
    openSession({ functionName, access }) {
      if (access !== "read" && access !== "write")
        return refusing(brokerError("db_denied", "this function has no access to the database"));
      const found = login(functionName);
      if (found instanceof Error) return refusing(found);
      const lower = found.access === "read" ? "read" : access;
      return new Session(pool, { functionName, role: found.role }, lower, limits);
    },
    warm,
    stats: async () => pool.stats(),
    close,
  };
}

interface Backend {
  pool: Pool;
  /** As whom a function comes, and what it may do; or why it may not. */
  login(functionName: string): { role: Role; access: "read" | "write" } | Error;
  warm(): void;
  close(): Promise<void>;
}

function onServer(config: BrokerConfig, databaseUrl: string): Backend {
  const target = parseDatabaseUrl(databaseUrl);
  const openSocket = (signal: AbortSignal) => openTcp(target, signal);
  const { user, password, database } = target;
  const shared: Grant = { user, password, access: "write" };
  const book = new RoleBook(config.dataDir, nameOfDatabase(target));
  const pool = poolOf(config, config.maxConnections ?? DEFAULT_MAX_CONNECTIONS, {
    database,
    openSocket,
    openCancelSocket: openSocket,
  });
  return {
    pool,
    login(functionName) {
      try {
        const grant = book.find(functionName);
        const role = grant === "shared" ? shared : grant;
        return role
          ? { role, access: role.access }
          : brokerError("db_denied", "this function was granted no access: thimble db grant does that");
      } catch (error) {
        return unavailable((error as Error).message);
      }
    },
    warm() {},
    close: () => pool.close(),
  };
}

function embedded(config: BrokerConfig): Backend {
  const { timeoutMs, maxResultBytes } = withDefaults(config);
  const pglite = new PgliteHost({
    dataDir: join(config.dataDir, "functions-db"),
    maxResultBytes,
    maxBusyMs: timeoutMs + PGLITE_GRACE_MS,
  });
  const pool = poolOf(config, 1, {
    database: "",
    openSocket: (signal) => pglite.openSocket(signal),
    openCancelSocket: null,
  });
  const role: Role = { user: "", password: "" };
  let warming: NodeJS.Timeout | undefined;
  return {
    pool,
    login: () => ({ role, access: "write" }),
    warm() {
      warming = setTimeout(() => pglite.warm().catch(() => {}), WARM_DELAY_MS).unref();
    },
    async close() {
      clearTimeout(warming);
      await pool.close();
      await pglite.close();
    },
  };
}

function poolOf(
  config: BrokerConfig,
  maxConnections: number,
  lane: Omit<LaneOptions, "role" | "timeoutMs">,
): Pool {
  const { timeoutMs, idleTimeoutMs } = withDefaults(config);
  let silentUntil = 0;
  const tell = (error: Error): never => {
    const now = performance.now();
    if (now >= silentUntil) config.onFailure?.(`no connection to the functions' database: ${error.cause}`);
    if (now >= silentUntil) silentUntil = now + FAILURE_INTERVAL_MS;
    throw error;
  };
  return new Pool({
    openLane: (role) => Lane.open({ ...lane, role, timeoutMs }).catch(tell),
    maxConnections: positive("maxConnections", maxConnections),
    timeoutMs,
    idleTimeoutMs,
  });
}

function withDefaults(config: BrokerConfig) {
  return {
    timeoutMs: positive("timeoutMs", config.timeoutMs ?? 5000),
    maxResultBytes: positive("maxResultBytes", config.maxResultBytes ?? 4 * 1024 * 1024),
    maxRows: positive("maxRows", config.maxRows ?? 10_000),
    idleTimeoutMs: positive("idleTimeoutMs", config.idleTimeoutMs ?? 30_000),
  };
}

function readLimits(config: BrokerConfig): SessionLimits {
  const { timeoutMs, maxResultBytes, maxRows } = withDefaults(config);
  const caps = config.caps ?? {};
  return {
    result: { rows: maxRows, bytes: maxResultBytes },
    queries: positive("caps.queries", caps.queries ?? 1000),
    rows: positive("caps.rows", caps.rows ?? 100_000),
    resultBytes: positive("caps.resultBytes", caps.resultBytes ?? 32 * 1024 * 1024),
    paramBytes: positive("caps.paramBytes", caps.paramBytes ?? 16 * 1024 * 1024),
    heldMs: positive("caps.heldMs", caps.heldMs ?? 2 * timeoutMs),
  };
}

const refusing = (error: Error): RawSession => ({
  query: () => Promise.reject(error),
  release() {},
  close() {},
});

function positive(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`${name} must be a whole number from 1, not ${value}`);
  return value;
}
