import { z } from "zod";
import { FUNCTION_SETTINGS } from "../compiler/function-settings.ts";
import { decodeMasterKeys } from "./store/master-keys.ts";

/**
 * Every setting: its default, its check, and the line `--help` shows. Values are text, as `.env` and the
 * environment give them; an empty value means "not set".
 */

const wholeNumber = (min: number, max: number, unit = "") =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number${unit && ` of ${unit}`}`)
    .transform(Number)
    .pipe(
      z
        .number()
        .min(min, `must be at least ${min}${unit && ` ${unit}`}`)
        .max(max, `must be at most ${max}${unit && ` ${unit}`}`),
    );

const flag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["true", "false", "1", "0", "yes", "no"], "must be true or false"))
  .transform((value) => value === "true" || value === "1" || value === "yes");

const port = wholeNumber(0, 65535);

const host = z.string().regex(/^[\w.:-]{1,253}$/, "must be a host name or an address");

const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, message: "must be a postgres:// URL" });

const egressTarget = /^(?:[a-z0-9.-]+|\[[0-9a-f:]+\]):\d{1,5}$/i;

const hostPorts = z
  .string()
  .transform((value) =>
    value
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean),
  )
  .pipe(z.array(z.string().regex(egressTarget, "must be a comma-separated list of host:port")));

/** As the OpenTelemetry specification writes it: values are percent-encoded. */
const headerList = z
  .string()
  .regex(/^\s*[\w-]+\s*=[^,]*(,\s*[\w-]+\s*=[^,]*)*$/, "must be a list of name=value, separated by commas")
  .transform((value, context) => {
    try {
      return Object.fromEntries(
        value.split(",").map((pair) => {
          const at = pair.indexOf("=");
          return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())];
        }),
      );
    } catch {
      context.addIssue("holds a value that is not percent-encoded UTF-8");
      return z.NEVER;
    }
  });

/** As much as a function may ask for. */
const asFunctions = ({ min, max }: { min: number; max: number }, unit = "") => wholeNumber(min, max, unit);

const timeoutSeconds = z
  .string()
  .regex(/^\d{1,4}(\.\d{1,6})?$/, "must be a number of seconds")
  .transform(Number)
  .pipe(z.number().min(0.005, "must be at least 0.005 (5 ms)").max(5, "must be at most 5"));

interface Setting<T> {
  parse: z.ZodType<T, string>;
  default: T;
  help: string;
  /** Never quoted, and no command-line flag (the process list would show it). */
  secret?: boolean;
}

const setting = <T>(parse: z.ZodType<T, string>, fallback: T, help: string): Setting<T> => ({
  parse,
  default: fallback,
  help,
});

const optional = <T>(parse: z.ZodType<T, string>, help: string): Setting<T | undefined> => ({
  parse: parse as z.ZodType<T | undefined, string>,
  default: undefined,
  help,
});

/** Values to start from (R14); each single setting can still be set otherwise. */
export const PRESETS = {
  fast: { FUNCTION_TIMEOUT_SECONDS: "1", FUNCTION_DB_TIMEOUT_MS: "1000", FUNCTION_MAX_CONCURRENT: "20" },
  complex: { FUNCTION_TIMEOUT_SECONDS: "5", FUNCTION_MAX_CONCURRENT: "10" },
  heavy: {
    FUNCTION_MAX_CONCURRENT: "20",
    FUNCTION_DB_MAX_CONNECTIONS: "10",
    FUNCTION_MAX_MEMORY_MB: "256",
  },
} as const;

export const SETTINGS = {
  THIMBLE_PRESET: optional(
    z.enum(["fast", "complex", "heavy"], "must be one of fast, complex, heavy") as z.ZodType<string, string>,
    "values to start from: fast, complex or heavy",
  ),
  FUNCTION_TIMEOUT_MS: setting(
    asFunctions(FUNCTION_SETTINGS.timeoutMs, "ms"),
    5000,
    "wall-clock limit of one execution, ms",
  ),
  FUNCTION_TIMEOUT_SECONDS: optional(timeoutSeconds, "the same in seconds"),
  FUNCTION_REQUEST_TIMEOUT_MS: setting(
    wholeNumber(5, 60_000, "ms"),
    5000,
    "one request in all: receiving its body, waiting for a slot and executing, ms",
  ),
  FUNCTION_MAX_MEMORY_MB: setting(
    asFunctions(FUNCTION_SETTINGS.memoryMb, "MB"),
    128,
    "linear memory of one sandbox, MB",
  ),
  FUNCTION_MAX_CONCURRENT: setting(
    asFunctions(FUNCTION_SETTINGS.concurrency),
    10,
    "executions in flight at once per function",
  ),
  FUNCTION_QUEUE_TIMEOUT_MS: setting(
    wholeNumber(0, 60_000, "ms"),
    1000,
    "how long a request waits for a slot, ms",
  ),
  FUNCTION_QUEUE_LIMIT: setting(wholeNumber(0, 100_000), 100, "requests waiting for a slot per function"),
  FUNCTION_CPU_MS: optional(
    asFunctions(FUNCTION_SETTINGS.cpuMs, "ms"),
    "time that one execution may compute, ms (default: as long as it lasts)",
  ),
  FUNCTION_INSTANCE_REQUESTS: setting(
    wholeNumber(2, 1_000_000),
    1000,
    'requests of one sandbox of a function with isolation "instance"',
  ),
  FUNCTION_INSTANCE_SECONDS: setting(
    wholeNumber(1, 86_400, "s"),
    60,
    'age of a sandbox of a function with isolation "instance", s',
  ),
  FUNCTION_FUEL: optional(
    asFunctions(FUNCTION_SETTINGS.fuel),
    "deterministic budget of one execution, fuel units",
  ),
  FUNCTION_DATABASE_URL: optional(postgresUrl, "where functions' queries go (default: an embedded database)"),
  FUNCTION_DATABASE_ADMIN_URL: {
    ...optional(
      postgresUrl,
      "as whom `thimble db` sets the functions' database up (default: FUNCTION_DATABASE_URL)",
    ),
    secret: true,
  },
  FUNCTION_DB_MAX_CONNECTIONS: setting(wholeNumber(1, 1000), 5, "database connections for functions in all"),
  FUNCTION_DB_TIMEOUT_MS: setting(
    wholeNumber(1, 60_000, "ms"),
    5000,
    "to get a database connection, and for one query, ms",
  ),
  FUNCTION_DB_MAX_QUERIES: setting(wholeNumber(1, 10_000), 1000, "queries of one execution"),
  FUNCTION_DB_MAX_ROWS: setting(wholeNumber(1, 10_000_000), 100_000, "rows of all results of one execution"),
  FUNCTION_DB_MAX_RESULT_MB: setting(
    wholeNumber(1, 1024, "MB"),
    32,
    "results of one execution on the wire, MB",
  ),
  FUNCTION_DB_MAX_PARAMS_MB: setting(wholeNumber(1, 1024, "MB"), 16, "parameters of one execution, MB"),
  FUNCTION_DB_MAX_TIME_MS: optional(
    wholeNumber(1, 600_000, "ms"),
    "how long one execution may hold connections, added up, ms (default: twice FUNCTION_DB_TIMEOUT_MS)",
  ),
  FUNCTION_REQUIRE_ANNOTATION: setting(flag, true, "whether a missing @function refuses a deployment"),
  FUNCTION_EGRESS_ALLOW: setting(hostPorts, [], "host:port list that fetch may reach though private"),
  FUNCTION_HISTORY_DAYS: setting(
    wholeNumber(1, 36_500, "days"),
    30,
    "how long executions are remembered, days",
  ),
  FUNCTION_LOG_MB: setting(
    wholeNumber(1, 1024, "MB"),
    1,
    "one function's log file, MB; the one before is kept beside it",
  ),
  MAX_BODY_MB: setting(wholeNumber(1, 1024, "MB"), 10, "largest request body, MB"),
  MAX_RESPONSE_MB: setting(wholeNumber(1, 1024, "MB"), 10, "largest response body, MB"),
  MAX_CONCURRENT: setting(wholeNumber(1, 100_000), 1000, "executions in flight at once, of all functions"),
  MAX_QUEUED: setting(
    wholeNumber(0, 100_000),
    1000,
    "requests waiting for a slot in one process, of all functions",
  ),
  MAX_CONNECTIONS: setting(wholeNumber(1, 100_000), 10_000, "connections to the edge in one process"),
  MAX_SANDBOXES: setting(wholeNumber(1, 5_000), 100, "sandboxes alive at once"),
  THIMBLE_WORKERS: optional(
    wholeNumber(0, 256),
    "processes that run functions (default: one for each core); 0: none besides the server's own",
  ),
  THIMBLE_WORKER_MEMORY_MB: setting(
    wholeNumber(128, 1_048_576, "MB"),
    2048,
    "memory above which such a process is replaced, MB",
  ),
  PORT: setting(port, 8787, "edge port; 0 picks a free one"),
  HOST: setting(host, "127.0.0.1", "edge address"),
  ADMIN_PORT: setting(port, 8788, "admin port; 0 picks a free one"),
  ADMIN_HOST: setting(host, "127.0.0.1", "admin address; others than loopback ask for TLS"),
  ADMIN_TLS_CERT: optional(z.string(), "file with the admin port's certificate (PEM), for TLS"),
  ADMIN_TLS_KEY: optional(z.string(), "file with its private key (PEM)"),
  ADMIN_ALLOW_INSECURE: setting(
    flag,
    false,
    "let the admin port be reached from elsewhere without TLS, for one behind a proxy",
  ),
  THIMBLE_ADMIN_URL: optional(
    z.url({ protocol: /^https?$/, message: "must be an http:// or https:// URL" }),
    "where commands find the admin API of a server elsewhere",
  ),
  DATABASE_URL: optional(postgresUrl, "the platform's own database (default: an embedded one)"),
  THIMBLE_DATA_DIR: setting(z.string(), ".thimble", "folder for key, databases and log"),
  THIMBLE_ADMIN_KEY: {
    ...optional(
      z.string().regex(/^[\x21-\x7e]{16,512}$/, "must be 16 to 512 visible ASCII characters"),
      "the admin key",
    ),
    secret: true,
  },
  THIMBLE_MASTER_KEY: {
    ...optional(
      z
        .string()
        .refine((text) => decodeMasterKeys(text) !== undefined, "must be 32 bytes in base64 or hexadecimal"),
      "the key that seals functions' secrets; former ones behind it, after commas (default: made at the first start, in the data folder)",
    ),
    secret: true,
  },
  THIMBLE_AUDIT_DAYS: setting(wholeNumber(1, 36_500, "days"), 365, "how long changes are remembered, days"),
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(
    z.url({ protocol: /^https?$/, message: "must be an http:// or https:// URL" }),
    "OpenTelemetry collector that gets a span of each execution (OTLP over HTTP)",
  ),
  OTEL_EXPORTER_OTLP_HEADERS: {
    ...setting(headerList, {} as Record<string, string>, "headers for it, as name=value,name=value"),
    secret: true,
  },
  LOG_LEVEL: setting(
    z.enum(
      ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
      "must be one of trace, debug, info, warn, error, fatal, silent",
    ) as z.ZodType<string, string>,
    "info",
    "least severe level that is logged",
  ),
} satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The command-line flag of a setting: `FUNCTION_TIMEOUT_MS` → `--function-timeout-ms`, `THIMBLE_DATA_DIR` → `--data-dir`. */
export function flagOf(name: SettingName): string {
  return `--${name
    .replace(/^THIMBLE_/, "")
    .toLowerCase()
    .replaceAll("_", "-")}`;
}
