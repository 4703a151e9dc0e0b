import type { Cancellation } from "../../runtime/cancellation.ts";
import { HostError } from "../../runtime/services.ts";

/** Codes that the broker adds to the server's SQLSTATEs. */
export type BrokerErrorCode =
  | "db_aborted"
  | "db_closed"
  | "db_connection_timeout"
  | "db_denied"
  | "db_invalid_request"
  | "db_lease_ended"
  | "db_params_too_large"
  | "db_query_timeout"
  | "db_result_too_large"
  | "db_time_limit"
  | "db_too_many_queries"
  | "db_too_many_rows"
  | "db_unavailable"
  | "db_unsupported";

export function brokerError(code: BrokerErrorCode, message: string, cause?: unknown): HostError {
  return new HostError(code, message, { name: "DatabaseError", cause });
}

export const queryTimeout = (timeoutMs: number) =>
  brokerError("db_query_timeout", `query timed out after ${timeoutMs} ms`);

export const connectionTimeout = (timeoutMs: number) =>
  brokerError("db_connection_timeout", `getting a database connection timed out after ${timeoutMs} ms`);

export const aborted = () => brokerError("db_aborted", "the query was aborted");

/** Of a signal that has fired: whoever aborted may have said why by an error of ours. */
export const abortError = ({ reason }: Cancellation): HostError =>
  reason instanceof HostError ? reason : aborted();

export const unavailable = (cause?: unknown) =>
  brokerError("db_unavailable", "the database is not available", cause);

export const leaseEnded = () =>
  brokerError("db_lease_ended", "the reserved connection is gone, and with it the transaction");

/** What a function learns of a server's error beside code and message; the letters are the protocol's. */
const DETAILS = {
  S: "severity",
  D: "detail",
  H: "hint",
  P: "position",
  s: "schema_name",
  t: "table_name",
  c: "column_name",
  d: "data_type_name",
  n: "constraint_name",
} as const;

/** An ErrorResponse. */
export class ServerError extends Error {
  /** SQLSTATE. */
  readonly code: string;
  /** Not translated. */
  readonly severity: string;
  readonly details: Record<string, string>;
  constructor(fields: Map<string, string>) {
    super(fields.get("M") ?? "unknown error");
    this.name = "PostgresError";
    this.code = fields.get("C") ?? "XX000";
    this.severity = fields.get("V") ?? fields.get("S") ?? "ERROR";
    this.details = {};
    for (const [letter, name] of Object.entries(DETAILS)) {
      const value = fields.get(letter);
      if (value !== undefined) this.details[name] = value;
    }
  }
  /** The server has closed, or is about to close, the connection. */
  get fatal(): boolean {
    return this.severity === "FATAL" || this.severity === "PANIC";
  }
}

/**
 * What a function sees of an error: the server's SQLSTATE, message and {@link DETAILS}, nothing about hosts or users. Everything that
 * is not a server's answer to the statement itself becomes `db_unavailable`.
 */
export function shownError(error: Error): HostError {
  if (error instanceof HostError) return error;
  if (!(error instanceof ServerError)) return unavailable(error.message);
  const { code, message, details } = error;
  if (error.fatal) return unavailable(`${code} ${message}`);
  return new HostError(code, message, { name: "PostgresError", details });
}
