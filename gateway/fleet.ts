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
  /** Processes that run functions; 0 when this one does. */
  workers: number;
}

/**
 * Those who run functions, as the admin side sees them: this process itself, or worker processes. A change has reached all of them when its
 * promise resolves.
 */
export interface Fleet {
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
  /** Takes no more requests, lets executions finish within their time limit, and ends. */
  close(): Promise<void>;
}
