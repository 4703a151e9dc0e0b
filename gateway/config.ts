import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { FunctionConfig } from "../compiler/types.ts";
import type { Reuse } from "../runtime/pool.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { type ConfigSources, type GivenSettings, type Origin, readSettings } from "./setting-layers.ts";
import { SETTING_NAMES, SETTINGS, type SettingName } from "./settings.ts";

export type { ConfigSources, SettingValues } from "./setting-layers.ts";

/** The gateway's settings, checked. Sizes are in bytes, times in ms. */
export interface Config {
  limits: {
    timeoutMs: number;
    /** Receiving the body, queueing and executing together (R7). */
    requestTimeoutMs: number;
    memoryMb: number;
    concurrency: number;
    /** Time inside the sandbox, ms; null for no bound but the time-out. */
    cpuMs: number | null;
    fuel: number | null;
    /** For functions whose isolation is `instance`. */
    reuse: Reuse;
    queueTimeoutMs: number;
    queueLimit: number;
    /** Of all functions, over all processes. */
    totalConcurrency: number;
    /** Of all functions, in one process. */
    totalQueueLimit: number;
    /** To the edge, of one process. */
    connections: number;
    bodyLimitBytes: number;
    responseLimitBytes: number;
    sandboxes: number;
  };
  database: {
    url: string | undefined;
    /** For setting it up, and nothing else. */
    adminUrl: string | undefined;
    maxConnections: number;
    timeoutMs: number;
    /** Of one execution. */
    caps: { queries: number; rows: number; resultBytes: number; paramBytes: number; heldMs: number };
  };
  egressAllow: readonly string[];
  /** Processes that run functions; with 0, the server's own process does. */
  workers: { count: number; memoryLimitBytes: number };
  /** Older rows of `function_invocations` are deleted. */
  historyDays: number;
  /** Older rows of `audit_log` are deleted. */
  auditDays: number;
  /** One function's log file; there is one more of this size. */
  functionLogBytes: number;
  /** Where spans go; absent: nowhere. */
  otlp: { endpoint: string; headers: Record<string, string> } | undefined;
  requireAnnotation: boolean;
  edge: { host: string; port: number };
  admin: {
    host: string;
    port: number;
    key: string | undefined;
    /** Files; absent: no TLS. */
    tls: { certFile: string; keyFile: string } | undefined;
    allowInsecure: boolean;
    /** Where commands find the API, if not on this machine. */
    url: string | undefined;
  };
  store: { url: string | undefined };
  /** Seals functions' secrets; absent: the one in the data folder. */
  masterKey: string | undefined;
  /** Absolute. */
  dataDir: string;
  logLevel: string;
}

/** What a process that runs functions knows of the settings: limits and addresses, nothing secret. */
export type EdgeConfig = Pick<Config, "limits" | "egressAllow" | "edge" | "logLevel"> & {
  databaseTimeoutMs: number;
  /** Whether executions are traced. */
  tracing: boolean;
};

export function edgeConfig({ limits, egressAllow, edge, logLevel, database, otlp }: Config): EdgeConfig {
  const tracing = otlp !== undefined;
  return { limits, egressAllow, edge, logLevel, databaseTimeoutMs: database.timeoutMs, tracing };
}

/**
 * Defaults < preset < `.env` < environment < flags. An empty value counts as not set.
 * Throws {@link ConfigError} naming every bad setting with its value.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  return assemble(parseSettings(readSettings(sources)), sources.cwd ?? process.cwd());
}

/** A setting as it is in force; a secret's value is masked. */
export interface EffectiveSetting {
  name: SettingName;
  /** Null: not set, and without a default. */
  value: unknown;
  origin: Origin;
}

/** All settings and where each comes from. Throws {@link ConfigError}. */
export function effectiveSettings(sources: ConfigSources = {}): EffectiveSetting[] {
  const given = readSettings(sources);
  const values = parseSettings(given);
  const { FUNCTION_TIMEOUT_SECONDS: seconds } = given;
  if (seconds) {
    // One limit in two units: both are shown as they are in force.
    given.FUNCTION_TIMEOUT_MS = { ...seconds, text: "" };
    values.FUNCTION_TIMEOUT_MS = timeoutMsOf(values);
  }
  return SETTING_NAMES.map((name) => {
    const { text, origin = "default" } = given[name] ?? {};
    const masked = text !== undefined && shown(name, text) !== text;
    return { name, value: masked ? shown(name, text) : (values[name] ?? null), origin };
  });
}

function parseSettings(given: GivenSettings): Values {
  const problems: ConfigProblem[] = [];
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const definition = SETTINGS[name];
    const text = given[name]?.text;
    if (text === undefined) {
      values[name] = definition.default;
      continue;
    }
    const parsed = definition.parse.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else problems.push({ name, value: shown(name, text), message: parsed.error.issues[0]?.message ?? "bad" });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values as Values;
}

type Values = {
  [K in SettingName]: (typeof SETTINGS)[K] extends { default: infer D; parse: { _output: infer O } }
    ? D | O
    : never;
};

function tlsFiles({ ADMIN_TLS_CERT: cert, ADMIN_TLS_KEY: key }: Values, cwd: string) {
  if (cert !== undefined && key !== undefined) {
    return { certFile: resolve(cwd, cert), keyFile: resolve(cwd, key) };
  }
  if (cert === undefined && key === undefined) return undefined;
  const [given, missing] =
    cert === undefined ? ["ADMIN_TLS_KEY", "ADMIN_TLS_CERT"] : ["ADMIN_TLS_CERT", "ADMIN_TLS_KEY"];
  throw new ConfigError([{ name: given!, value: cert ?? key ?? "", message: `${missing} is missing` }]);
}

/** Never the platform's own: its tables are no function's business. */
function functionDatabase({ FUNCTION_DATABASE_URL: url, DATABASE_URL: own }: Values): string | undefined {
  if (url === undefined || own === undefined || whereOf(url) !== whereOf(own)) return url;
  const message = "must not be the database of DATABASE_URL, which holds the platform's own tables";
  throw new ConfigError([
    { name: "FUNCTION_DATABASE_URL", value: shown("FUNCTION_DATABASE_URL", url), message },
  ]);
}

function whereOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  const host = /^(localhost|127\..*|\[::1\]|)$/.test(hostname) ? "localhost" : hostname.toLowerCase();
  return `${host}:${port || 5432}${pathname}`;
}

function timeoutMsOf({ FUNCTION_TIMEOUT_SECONDS: seconds, FUNCTION_TIMEOUT_MS: ms }: Values): number {
  return seconds === undefined ? ms : Math.round(seconds * 1000);
}

function assemble(v: Values, cwd: string): Config {
  return {
    limits: {
      timeoutMs: timeoutMsOf(v),
      requestTimeoutMs: v.FUNCTION_REQUEST_TIMEOUT_MS,
      memoryMb: v.FUNCTION_MAX_MEMORY_MB,
      concurrency: v.FUNCTION_MAX_CONCURRENT,
      cpuMs: v.FUNCTION_CPU_MS ?? null,
      fuel: v.FUNCTION_FUEL ?? null,
      reuse: {
        maxRequests: v.FUNCTION_INSTANCE_REQUESTS,
        maxAgeMs: v.FUNCTION_INSTANCE_SECONDS * 1000,
      },
      queueTimeoutMs: v.FUNCTION_QUEUE_TIMEOUT_MS,
      queueLimit: v.FUNCTION_QUEUE_LIMIT,
      totalConcurrency: v.MAX_CONCURRENT,
      totalQueueLimit: v.MAX_QUEUED,
      connections: v.MAX_CONNECTIONS,
      bodyLimitBytes: v.MAX_BODY_MB * 1048576,
      responseLimitBytes: v.MAX_RESPONSE_MB * 1048576,
      sandboxes: v.MAX_SANDBOXES,
    },
    database: {
      url: functionDatabase(v),
      adminUrl: v.FUNCTION_DATABASE_ADMIN_URL,
      maxConnections: v.FUNCTION_DB_MAX_CONNECTIONS,
      timeoutMs: v.FUNCTION_DB_TIMEOUT_MS,
      caps: {
        queries: v.FUNCTION_DB_MAX_QUERIES,
        rows: v.FUNCTION_DB_MAX_ROWS,
        resultBytes: v.FUNCTION_DB_MAX_RESULT_MB * 1048576,
        paramBytes: v.FUNCTION_DB_MAX_PARAMS_MB * 1048576,
        heldMs: v.FUNCTION_DB_MAX_TIME_MS ?? 2 * v.FUNCTION_DB_TIMEOUT_MS,
      },
    },
    egressAllow: v.FUNCTION_EGRESS_ALLOW,
    workers: {
      count: v.THIMBLE_WORKERS ?? availableParallelism(),
      memoryLimitBytes: v.THIMBLE_WORKER_MEMORY_MB * 1048576,
    },
    historyDays: v.FUNCTION_HISTORY_DAYS,
    auditDays: v.THIMBLE_AUDIT_DAYS,
    functionLogBytes: v.FUNCTION_LOG_MB * 1048576,
    otlp:
      v.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
        ? undefined
        : { endpoint: v.OTEL_EXPORTER_OTLP_ENDPOINT, headers: v.OTEL_EXPORTER_OTLP_HEADERS },
    requireAnnotation: v.FUNCTION_REQUIRE_ANNOTATION,
    edge: { host: v.HOST, port: v.PORT },
    admin: {
      host: v.ADMIN_HOST,
      port: v.ADMIN_PORT,
      key: v.THIMBLE_ADMIN_KEY,
      tls: tlsFiles(v, cwd),
      allowInsecure: v.ADMIN_ALLOW_INSECURE,
      url: v.THIMBLE_ADMIN_URL,
    },
    store: { url: v.DATABASE_URL },
    masterKey: v.THIMBLE_MASTER_KEY,
    dataDir: resolve(cwd, v.THIMBLE_DATA_DIR),
    logLevel: v.LOG_LEVEL,
  };
}

/** A value as a message may show it. */
function shown(name: SettingName, text: string): string {
  const definition: { secret?: boolean } = SETTINGS[name];
  if (definition.secret) return `(${text.length} characters)`;
  return text.replace(/:[^:@/]*@/, ":***@");
}

/** Bounds of one function: the server's, lowered by the function's own wishes (never raised). */
export interface FunctionLimits {
  timeoutMs: number;
  memoryMb: number;
  concurrency: number;
  cpuMs: number | null;
  fuel: number | null;
  responseLimitBytes: number;
}

/** The server's limits lowered by a function's configuration (R1). */
export function lowerLimits(limits: Config["limits"], wish: FunctionConfig): FunctionLimits {
  const lower = (ours: number, theirs: number | undefined) =>
    theirs === undefined ? ours : Math.min(ours, theirs);
  return {
    timeoutMs: lower(limits.timeoutMs, wish.timeoutMs),
    memoryMb: lower(limits.memoryMb, wish.memoryMb),
    concurrency: lower(limits.concurrency, wish.concurrency),
    cpuMs: limits.cpuMs === null ? (wish.cpuMs ?? null) : lower(limits.cpuMs, wish.cpuMs),
    fuel: limits.fuel === null ? (wish.fuel ?? null) : lower(limits.fuel, wish.fuel),
    responseLimitBytes: limits.responseLimitBytes,
  };
}
