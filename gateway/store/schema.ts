import { sql } from "drizzle-orm";
import {
  bigint,
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
  createdAt: now("created_at"),
  updatedAt: now("updated_at"),
});

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

export type DeploymentAction = "deploy" | "rollback" | "delete";

/** `aborted`: the client went away, or the process died under the execution. */
export type InvocationStatus = "running" | "completed" | "failed" | "timeout" | "aborted";
