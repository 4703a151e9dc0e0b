import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";
import type { Finding, FunctionConfig } from "../../compiler/types.ts";
import type { Scope } from "../scope.ts";
import type { Traffic } from "../traffic.ts";

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({
  dataType: () => "bytea",
  // One driver gives a Buffer, the other a plain array.
  fromDriver: (bytes) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});

const now = (column: string) => timestamp(column, { withTimezone: true }).notNull().default(sql`now()`);

export const functions = pgTable("functions", {
  id: uuid().primaryKey(),
  name: text().notNull().unique(),
  liveVersion: integer("live_version").notNull(),
  /** Counts every change of what answers: deployments, traffic, secrets, access. */
  revision: integer().notNull().default(1),
  /** Null: everything goes to the live version. */
  traffic: jsonb().$type<Traffic>(),
  /** Whether requests at the edge must show a key. */
  keyRequired: boolean("key_required").notNull().default(false),
  createdAt: now("created_at"),
  updatedAt: now("updated_at"),
});

/** A function's variables and secrets, each value sealed (see `vault.ts`). */
export const functionSecrets = pgTable(
  "function_secrets",
  {
    functionId: uuid("function_id")
      .notNull()
      .references(() => functions.id, { onDelete: "cascade" }),
    key: text().notNull(),
    sealed: text().notNull(),
    updatedAt: now("updated_at"),
  },
  (table) => [primaryKey({ columns: [table.functionId, table.key] })],
);

/** Immutable once written. */
export const versions = pgTable(
  "versions",
  {
    functionId: uuid("function_id")
      .notNull()
      .references(() => functions.id, { onDelete: "cascade" }),
    version: integer().notNull(),
    /** SHA-256 of the artefact, hexadecimal. */
    artifactHash: text("artifact_hash").notNull(),
    artifact: bytea().notNull(),
    artifactBytes: integer("artifact_bytes").notNull(),
    config: jsonb().$type<FunctionConfig>().notNull(),
    createdAt: now("created_at"),
  },
  (table) => [primaryKey({ columns: [table.functionId, table.version] })],
);

/** What the analysis said when a version was deployed. */
export const analyses = pgTable(
  "analyses",
  {
    functionId: uuid("function_id")
      .notNull()
      .references(() => functions.id, { onDelete: "cascade" }),
    version: integer().notNull(),
    findings: jsonb().$type<Finding[]>().notNull(),
    createdAt: now("created_at"),
  },
  (table) => [primaryKey({ columns: [table.functionId, table.version] })],
);

/**
 * One row per execution. No foreign key: history outlives the function, and a row is written without a look at others.
 * `function_id`, `status`, `duration_ms`, `error` and `timestamp` are what monitoring queries use (R13).
 */
export const functionInvocations = pgTable(
  "function_invocations",
  {
    id: uuid().primaryKey(),
    functionId: uuid("function_id").notNull(),
    functionName: text("function_name").notNull(),
    version: integer().notNull(),
    requestId: text("request_id").notNull(),
    status: text().$type<InvocationStatus>().notNull(),
    durationMs: doublePrecision("duration_ms"),
    error: text(),
    errorCode: text("error_code"),
    timestamp: timestamp({ withTimezone: true }).notNull(),
    cpuMs: doublePrecision("cpu_ms"),
    fuel: bigint({ mode: "number" }),
    memoryBytes: bigint("memory_bytes", { mode: "number" }),
    /** Time in which at least one of its queries was under way. */
    databaseMs: doublePrecision("database_ms"),
    /** What ended it before it was through; null when nothing did. */
    killReason: text("kill_reason").$type<KillReason>(),
    /** W3C trace id, hexadecimal. */
    traceId: text("trace_id"),
  },
  (table) => [
    index("function_invocations_function_timestamp").on(table.functionId, table.timestamp),
    index("function_invocations_timestamp").on(table.timestamp),
    index("function_invocations_running").on(table.functionId).where(sql`status = 'running'`),
  ],
);

/** Who changed what is live, and when. */
export const deployments = pgTable(
  "deployments",
  {
    id: uuid().primaryKey(),
    functionId: uuid("function_id").notNull(),
    functionName: text("function_name").notNull(),
    action: text().$type<DeploymentAction>().notNull(),
    version: integer(),
    actor: text().notNull(),
    requestId: text("request_id").notNull(),
    timestamp: now("timestamp"),
  },
  (table) => [index("deployments_name_timestamp").on(table.functionName, table.timestamp)],
);

/** Keys of the admin API and of protected functions; only their hashes. */
export const apiKeys = pgTable("api_keys", {
  id: uuid().primaryKey(),
  name: text().notNull(),
  /** SHA-256 of the key, hexadecimal. */
  hash: text().notNull().unique(),
  scopes: jsonb().$type<Scope[]>().notNull(),
  /** The only function it is good for; null: all. */
  functionName: text("function_name"),
  createdAt: now("created_at"),
  expiresAt: timestamp("expires_at", { withTimezone: true }),
  revokedAt: timestamp("revoked_at", { withTimezone: true }),
  lastUsedAt: timestamp("last_used_at", { withTimezone: true }),
});

/** Every request of the admin API that changes something, and what became of it. */
export const auditLog = pgTable(
  "audit_log",
  {
    id: uuid().primaryKey(),
    timestamp: now("timestamp"),
    /** Name and id of the key, or `admin` for the server's own. */
    actor: text().notNull(),
    address: text(),
    /** `PUT /v1/functions/:name/traffic`. */
    action: text().notNull(),
    functionName: text("function_name"),
    /** HTTP status of the answer. */
    status: integer().notNull(),
    errorCode: text("error_code"),
    requestId: text("request_id").notNull(),
  },
  (table) => [
    index("audit_log_timestamp").on(table.timestamp),
    index("audit_log_function_timestamp").on(table.functionName, table.timestamp),
  ],
);

export type DeploymentAction = "deploy" | "rollback" | "delete" | "traffic";

/** Why an execution was ended by the host. */
export type KillReason =
  | "timeout"
  | "memory"
  | "fuel"
  | "cpu"
  | "stack"
  | "response_size"
  | "trap"
  | "client_gone"
  | "server_stopped"
  | "worker_ended";

/** `aborted`: the client went away, or the process died under the execution. */
export type InvocationStatus = "running" | "completed" | "failed" | "timeout" | "aborted";
