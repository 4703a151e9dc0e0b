import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import type { FunctionConfig } from "../compiler/types.ts";
import type { Reuse } from "../runtime/pool.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { SETTING_NAMES, SETTINGS, type SettingName } from "./settings.ts";

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
    bodyLimitBytes: number;
    responseLimitBytes: number;
    sandboxes: number;
  };
  database: { url: string | undefined; maxConnections: number; timeoutMs: number };
  egressAllow: readonly string[];
  /** Older rows of `function_invocations` are deleted. */
  historyDays: number;
  requireAnnotation: boolean;
  edge: { host: string; port: number };
  admin: { host: string; port: number; key: string | undefined };
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
};

export function edgeConfig({ limits, egressAllow, edge, logLevel, database }: Config): EdgeConfig {
  return { limits, egressAllow, edge, logLevel, databaseTimeoutMs: database.timeoutMs };
}

export type SettingValues = Partial<Record<SettingName, string | undefined>>;

export interface ConfigSources {
  /** Where `.env` is looked for and what relative paths are relative to. Default: the working folder. */
  cwd?: string;
  /** Default: `process.env`. */
  env?: Record<string, string | undefined>;
  /** From the command line, by setting name. */
  flags?: SettingValues;
}

/**
 * Defaults < `.env` < environment < flags. An empty value counts as not set.
 * Throws {@link ConfigError} naming every bad setting with its value.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const cwd = sources.cwd ?? process.cwd();
  const layers = [readDotEnv(resolve(cwd, ".env")), sources.env ?? process.env, sources.flags ?? {}];
  const given = mergeLayers(layers);
  const problems: ConfigProblem[] = [];
  const values: Partial<Record<SettingName, unknown>> = {};
  for (const name of SETTING_NAMES) {
    const definition = SETTINGS[name];
    const text = given[name];
    if (text === undefined) {
      values[name] = definition.default;
      continue;
    }
    const parsed = definition.parse.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else problems.push({ name, value: shown(name, text), message: parsed.error.issues[0]?.message ?? "bad" });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return assemble(values as Values, cwd);
}

type Values = {
  [K in SettingName]: (typeof SETTINGS)[K] extends { default: infer D; parse: { _output: infer O } }
    ? D | O
    : never;
};

function assemble(v: Values, cwd: string): Config {
  const seconds = v.FUNCTION_TIMEOUT_SECONDS;
  return {
    limits: {
      timeoutMs: seconds === undefined ? v.FUNCTION_TIMEOUT_MS : Math.round(seconds * 1000),
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
      bodyLimitBytes: v.MAX_BODY_MB * 1048576,
      responseLimitBytes: v.MAX_RESPONSE_MB * 1048576,
      sandboxes: v.MAX_SANDBOXES,
    },
    database: {
      url: v.FUNCTION_DATABASE_URL,
      maxConnections: v.FUNCTION_DB_MAX_CONNECTIONS,
      timeoutMs: v.FUNCTION_DB_TIMEOUT_MS,
    },
    egressAllow: v.FUNCTION_EGRESS_ALLOW,
    historyDays: v.FUNCTION_HISTORY_DAYS,
    requireAnnotation: v.FUNCTION_REQUIRE_ANNOTATION,
    edge: { host: v.HOST, port: v.PORT },
    admin: { host: v.ADMIN_HOST, port: v.ADMIN_PORT, key: v.THIMBLE_ADMIN_KEY },
    store: { url: v.DATABASE_URL },
    masterKey: v.THIMBLE_MASTER_KEY,
    dataDir: resolve(cwd, v.THIMBLE_DATA_DIR),
    logLevel: v.LOG_LEVEL,
  };
}

/** Later layers win; of the two ways to give the time-out, the later layer's one, and within a layer the finer. */
function mergeLayers(layers: Record<string, string | undefined>[]): SettingValues {
  const merged: SettingValues = {};
  for (const layer of layers) {
    const set = SETTING_NAMES.filter((name) => layer[name] !== undefined && layer[name] !== "");
    if (set.includes("FUNCTION_TIMEOUT_MS") || set.includes("FUNCTION_TIMEOUT_SECONDS")) {
      delete merged.FUNCTION_TIMEOUT_MS;
      delete merged.FUNCTION_TIMEOUT_SECONDS;
    }
    for (const name of set) {
      if (name === "FUNCTION_TIMEOUT_SECONDS" && set.includes("FUNCTION_TIMEOUT_MS")) continue;
      merged[name] = layer[name];
    }
  }
  return merged;
}

function readDotEnv(path: string): Record<string, string | undefined> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  return parseEnv(text);
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
