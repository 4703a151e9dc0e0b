import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Analysis } from "../compiler/types.ts";
import type { Outcome } from "../runtime/invocation.ts";

/** Every code a client can meet, and its HTTP status: the only such table. */
export const STATUS_OF_CODE = {
  invalid_input: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  function_not_found: 404,
  version_not_found: 404,
  secret_not_found: 404,
  key_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  payload_too_large: 413,
  headers_too_large: 431,
  analysis_failed: 422,
  compile_failed: 422,
  concurrency_limit: 429,
  too_many_failures: 429,
  client_closed: 499,
  function_error: 500,
  memory_limit: 500,
  cpu_limit: 500,
  fuel_exhausted: 500,
  stack_overflow: 500,
  internal_error: 500,
  invalid_response: 502,
  response_too_large: 502,
  overloaded: 503,
  storage_unavailable: 503,
  execution_timeout: 504,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof STATUS_OF_CODE;

export interface PlatformErrorOptions {
  cause?: unknown;
  /** Whole seconds for `Retry-After`. */
  retryAfterSeconds?: number;
  /** Findings, for `analysis_failed`. */
  analysis?: Analysis;
}

/** An error whose code and message may be shown to clients. The cause is for the log only. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;
  readonly analysis: Analysis | undefined;
  /** The body but for the request's id: one error is the answer to many requests. */
  #shown: string | undefined;
  constructor(code: ErrorCode, message: string, options: PlatformErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "PlatformError";
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.analysis = options.analysis;
  }
  get status(): ContentfulStatusCode {
    return STATUS_OF_CODE[this.code] as ContentfulStatusCode;
  }
  /** The {@link ErrorBody} as JSON; a request's id needs no escaping. */
  body(requestId: string): string {
    const { code, message, analysis } = this;
    this.#shown ??= JSON.stringify({ code, message }).slice(0, -1);
    const rest = analysis === undefined ? "" : `,"analysis":${JSON.stringify(analysis)}`;
    return `{"error":${this.#shown},"requestId":"${requestId}"}${rest}}`;
  }
}

/** The one error body. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; requestId: string };
}

/** An error as it is answered. */
export interface ErrorAnswer {
  status: number;
  headers: [name: string, value: string][];
  body: string;
}

export function errorAnswer(error: PlatformError, requestId: string): ErrorAnswer {
  const headers: ErrorAnswer["headers"] = [
    ["content-type", "application/json"],
    ["x-request-id", requestId],
  ];
  if (error.retryAfterSeconds !== undefined) headers.push(["retry-after", `${error.retryAfterSeconds}`]);
  return { status: error.status, headers, body: error.body(requestId) };
}

export function errorResponse(error: PlatformError, requestId: string): Response {
  const { status, headers, body } = errorAnswer(error, requestId);
  return new Response(body, { status, headers });
}

/** The `code` of an error made by another layer, if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** There is no room for a request now; the client may try again in a second. */
export const overloaded = (message: string, cause?: unknown): PlatformError =>
  new PlatformError("overloaded", message, { cause, retryAfterSeconds: 1 });

/** Anything thrown → a `PlatformError`; what is not known by its code becomes an `internal_error` that says nothing. */
export function toPlatformError(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  if (codeOf(error) === "overloaded") return overloaded("No sandbox is free", error);
  return new PlatformError("internal_error", "Something went wrong inside the platform", { cause: error });
}

/**
 * How an execution ended → the error its client gets, or undefined when it completed. Nothing of the function's own
 * words is in it; those go to the log and to the admin side.
 */
export function outcomeError(outcome: Outcome): PlatformError | undefined {
  switch (outcome.kind) {
    case "completed":
      return undefined;
    case "threw":
      // The guest library reports an answer that is no response as an error with this code.
      return outcome.error.code === "invalid_response"
        ? new PlatformError("invalid_response", "The function did not answer with a valid response")
        : new PlatformError("function_error", "The function threw an error");
    case "timedOut":
      return new PlatformError("execution_timeout", `Execution timed out after ${outcome.timeoutMs} ms`);
    case "outOfMemory":
      return new PlatformError(
        "memory_limit",
        `The function reached its memory limit of ${outcome.limitBytes / 1048576} MB`,
      );
    case "outOfCpu":
      return new PlatformError(
        "cpu_limit",
        `The function computed longer than its limit of ${outcome.cpuMs} ms`,
      );
    case "outOfFuel":
      return new PlatformError("fuel_exhausted", `The function used up its fuel of ${outcome.fuel}`);
    case "stackOverflow":
      return new PlatformError("stack_overflow", "The function's call stack overflowed");
    case "invalidResponse":
      return new PlatformError("invalid_response", "The function did not answer with a valid response");
    case "responseTooLarge":
      return new PlatformError(
        "response_too_large",
        `The function's response is over the limit of ${outcome.limitBytes} bytes`,
      );
    case "trapped":
      return new PlatformError("function_error", "The function's sandbox failed");
    case "aborted":
      return new PlatformError("client_closed", "The client went away");
  }
}

/** What the owner of the function may read about an outcome: the function's own message, and its stack. */
export function outcomeDetail(
  outcome: Outcome,
): { message: string; name?: string; stack?: string } | undefined {
  switch (outcome.kind) {
    case "completed":
      return undefined;
    case "threw": {
      const { name, message, stack } = outcome.error;
      return stack === undefined ? { name, message } : { name, message, stack };
    }
    case "invalidResponse":
    case "trapped":
      return { message: outcome.message };
    default:
      return { message: outcomeError(outcome)?.message ?? "" };
  }
}
