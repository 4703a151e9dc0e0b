import type { InvokeInput } from "./admin/input.ts";
import type { InvokeResult } from "./edge/admin-invoke.ts";
import type { RuntimeStats } from "./ports.ts";
import type { StoredFunction } from "./store/read-functions.ts";

/** What is running now. */
export interface FleetStats {
  activeExecutions: number;
  queuedExecutions: number;
  /** Executions in flight by function; those without any are left out. */
  active: Record<string, number>;
  sandboxes: RuntimeStats;
  /** Executions that are missing from the history, because the database did not keep up. */
  droppedRecords: number;
  /** Processes that run functions; none when this one does. */
  workers: WorkerStats[];
}

/** A worker process, as of its last sign of life. */
export interface WorkerStats {
  /** Its number, from 1; one that drains has that of who replaces it. */
  worker: number;
  pid: number;
  state: "starting" | "ready" | "draining";
  /** ISO 8601. */
  startedAt: string;
  activeExecutions: number;
  /** The longest that its event loop was late within the last half second, ms. */
  eventLoopDelayMs: number;
  /** Resident. */
  memoryBytes: number;
}

/**
 * Those who run functions, as the admin side sees them: this process itself, or worker processes. A change has reached all of them when its
 * promise resolves.
 */
export interface Fleet {
  /** Takes in what is deployed and accepts requests. Throws `ListenError`. */
  open(): Promise<void>;
  /** Where functions answer. */
  readonly url: string;
  /** Whether an artefact can be run. Rejects with why not. */
  check(artifact: Uint8Array): Promise<void>;
  /** Makes this the function's state from now on. Artefacts are asked for when they are first needed, but for the one given here. */
  put(stored: StoredFunction, built?: { version: number; artifact: Uint8Array }): Promise<void>;
  remove(name: string): Promise<void>;
  /** Executes a function as the edge would. Rejects with a `PlatformError` when it was not executed. */
  invoke(name: string, input: InvokeInput, requestId: string, signal: AbortSignal): Promise<InvokeResult>;
  stats(): Promise<FleetStats>;
  /** Replaces the processes that run functions, where there are any, without a request that fails. */
  restart(): Promise<void>;
  /** Takes no more requests, lets executions finish within their time limit, and ends. */
  close(): Promise<void>;
}
