import type { GuestError, HeaderList, LogLine } from "./protocol.ts";

/** The request as the function will see it. */
export interface InvocationRequest {
  method: string;
  url: string;
  headers: HeaderList;
  /** Whole, or a stream, which is read as the function reads it. */
  body: Uint8Array | ReadableStream<Uint8Array>;
}

export interface InvocationResponse {
  status: number;
  statusText?: string;
  headers: HeaderList;
  /**
   * Whole, or a stream that the function still writes to, as fast as it is read; it breaks off when the execution does. It must
   * be read or cancelled.
   */
  body: Uint8Array | ReadableStream<Uint8Array>;
}

/** Bounds of one invocation. There is no default: a limit that was forgotten must not run. */
export interface InvocationLimits {
  /** Wall-clock deadline, ms. */
  timeoutMs: number;
  /** Time inside the sandbox, ms: waiting doesn't count. Null for no bound but the deadline. */
  cpuMs: number | null;
  /** Linear memory, bytes. */
  memoryLimitBytes: number;
  /** Deterministic budget in fuel units, or null for none. */
  fuel: number | null;
  /** Largest response body, bytes, of one that is not streamed. */
  responseLimitBytes: number;
}

/** How an invocation ended. */
export type Outcome =
  | { kind: "completed"; response: InvocationResponse }
  | { kind: "threw"; error: GuestError }
  | { kind: "timedOut"; timeoutMs: number }
  | { kind: "outOfCpu"; cpuMs: number }
  | { kind: "outOfMemory"; limitBytes: number }
  | { kind: "outOfFuel"; fuel: number }
  | { kind: "stackOverflow" }
  | { kind: "invalidResponse"; message: string }
  | { kind: "responseTooLarge"; limitBytes: number }
  /** The engine itself failed (a trap that no limit explains). */
  | { kind: "trapped"; message: string }
  /** The caller's signal fired: the client went away. */
  | { kind: "aborted" };

export interface InvocationMetrics {
  /** From the call of `run` to its outcome, ms. */
  wallMs: number;
  /** Time inside the sandbox, ms. */
  cpuMs: number;
  /** Fuel units used: the same for the same input, on every machine. */
  fuel: number;
  /** Linear memory at its largest, bytes. */
  memoryBytes: number;
  /** Calls out of the sandbox that started an operation (fetch, query, timer). */
  hostCalls: number;
}

export interface InvocationResult {
  outcome: Outcome;
  metrics: InvocationMetrics;
  /** What the function logged, bounded. */
  logs: LogLine[];
  /**
   * Set when something goes on after the outcome: a streamed body, what `ctx.waitUntil` holds, within the same limits, or a guest
   * that was stopped while its stack was parked. Resolves when nothing is left, with the final metrics, all logs and, where a streamed
   * body broke off, why; never rejects.
   */
  background?: Promise<Pick<InvocationResult, "outcome" | "metrics" | "logs">>;
}
