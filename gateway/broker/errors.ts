import { HostError } from "../../runtime/services.ts";

/** Codes that the broker adds to the server's SQLSTATEs. */
export type BrokerErrorCode =
  | "db_aborted"
  | "db_closed"
  | "db_connection_timeout"
  | "db_denied"
  | "db_invalid_request"
  | "db_query_timeout"
  | "db_result_too_large"
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

export const unavailable = (cause?: unknown) =>
  brokerError("db_unavailable", "the database is not available", cause);

interface ServerError {
  name: "PostgresError";
  code: string;
  severity: string;
  message: string;
}

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && error.name === "PostgresError" && "code" in error && "severity" in error;
}

/** After these the server has closed, or is about to close, the connection. */
export const isFatal = (error: unknown): boolean =>
  !isServerError(error) || error.severity === "FATAL" || error.severity === "PANIC";

/**
 * What a function sees of an error: the server's SQLSTATE and message, nothing about hosts, users or the statement.
 * Everything that is not a server's answer to the statement itself becomes `db_unavailable`.
 */
export function fromDriver(error: unknown, elapsedMs: number, timeoutMs: number): HostError {
  if (error instanceof HostError) return error;
  // Without the driver's object as a cause: in debug mode it carries the statement and its parameters.
  if (!isServerError(error)) return unavailable(error instanceof Error ? error.message : error);
  if (isFatal(error)) return unavailable(`${error.code} ${error.message}`);
  // The server's own statement_timeout, when it is a moment ahead of ours.
  if (error.code === "57014" && elapsedMs >= 0.9 * timeoutMs) return queryTimeout(timeoutMs);
  return new HostError(error.code, error.message, { name: "PostgresError" });
}
