import type { InvocationRow, InvocationStore } from "./invocations.ts";
import type { InvocationStatus } from "./schema.ts";

export interface RecorderOptions {
  /** Longest time until a row is in the database, ms. Default 100. */
  flushIntervalMs?: number;
  /** Rows that start a flush at once, and the size of one statement. Default 500. */
  batchRows?: number;
  /** Ended rows kept while the database is slow or away; more are dropped and counted. Default 20,000. */
  queueRows?: number;
  /** Told when a flush fails; the rows stay queued. */
  onError?(error: unknown): void;
}

export type InvocationStart = Pick<
  InvocationRow,
  "id" | "functionId" | "functionName" | "version" | "requestId" | "timestamp" | "traceId" | "span"
>;

export type InvocationEnd = Pick<
  InvocationRow,
  "durationMs" | "error" | "errorCode" | "cpuMs" | "fuel" | "memoryBytes" | "databaseMs" | "killReason"
> & { status: Exclude<InvocationStatus, "running"> };

/** Error texts are for reading, not for storage of what a function chose to throw. */
const MAX_ERROR_CHARACTERS = 2000;

/**
 * Writes executions to `function_invocations` off the request's path. What ends between two flushes costs one row;
 * what is still under way at a flush is written as `running` and brought up to date at its end.
 */
export class Recorder {
  readonly #store: Pick<InvocationStore, "save">;
  readonly #flushIntervalMs: number;
  readonly #batchRows: number;
  readonly #queueRows: number;
  readonly #onError: (error: unknown) => void;
  /** Ids of all executions under way. */
  readonly #open = new Set<string>();
  /** Under way, not in the database yet. */
  readonly #started = new Map<string, InvocationRow>();
  /** In the database as `running`; their ends are never dropped, since a wrong row would stay. */
  readonly #shownRunning = new Set<string>();
  #ended: InvocationRow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<boolean> | undefined;
  #dropped = 0;
  #closed = false;

  constructor(store: Pick<InvocationStore, "save">, options: RecorderOptions = {}) {
    this.#store = store;
    this.#flushIntervalMs = options.flushIntervalMs ?? 100;
    this.#batchRows = options.batchRows ?? 500;
    this.#queueRows = options.queueRows ?? 20_000;
    this.#onError = options.onError ?? (() => {});
  }

  /** Rows that were given up because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Notes the start; call the result once, at the end. */
  start(start: InvocationStart): (end: InvocationEnd) => void {
    const row: InvocationRow = {
      ...start,
      status: "running",
      durationMs: null,
      error: null,
      errorCode: null,
      cpuMs: null,
      fuel: null,
      memoryBytes: null,
      databaseMs: null,
      killReason: null,
    };
    this.#open.add(row.id);
    this.#started.set(row.id, row);
    this.#schedule();
    return (end) => this.#end({ ...row, ...end, error: end.error === null ? null : storable(end.error) });
  }

  /** Writes everything known now. Resolves when it is in the database, or the attempt failed. */
  flush(): Promise<void> {
    return this.#write(() => this.#started.size > 0 || this.#ended.length > 0);
  }

  /** Flushes and stops the timer. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.flush();
  }

  /** One batch after the other, never two at once: an end must not overtake its `running` row. */
  async #write(more: () => boolean): Promise<void> {
    while (this.#flushing) await this.#flushing;
    while (more()) {
      this.#flushing = this.#writeBatch();
      const written = await this.#flushing;
      this.#flushing = undefined;
      if (!written) return;
    }
  }

  #end(row: InvocationRow): void {
    this.#open.delete(row.id);
    this.#started.delete(row.id);
    if (this.#ended.length >= this.#queueRows && !this.#shownRunning.has(row.id)) {
      this.#dropped++;
      return;
    }
    this.#ended.push(row);
    if (this.#ended.length === this.#batchRows) void this.#write(() => this.#ended.length >= this.#batchRows);
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(async () => {
      // One pass: what starts meanwhile waits for the next, so that short executions cost one row, not two.
      let first = true;
      await this.#write(() => {
        const go = first || this.#ended.length >= this.#batchRows;
        first = false;
        return go;
      });
      this.#timer = undefined;
      if (this.#started.size > 0 || this.#ended.length > 0) this.#schedule();
    }, this.#flushIntervalMs);
    this.#timer.unref();
  }

  async #writeBatch(): Promise<boolean> {
    const ended = this.#ended.splice(0, this.#batchRows);
    const running: InvocationRow[] = [];
    if (ended.length === 0 && this.#started.size === 0) return true;
    for (const row of this.#started.values()) {
      if (ended.length + running.length >= this.#batchRows) break;
      running.push(row);
    }
    for (const row of running) {
      this.#started.delete(row.id);
      this.#shownRunning.add(row.id);
    }
    try {
      await this.#store.save([...ended, ...running]);
      for (const row of ended) this.#shownRunning.delete(row.id);
      return true;
    } catch (error) {
      // The statement may have been applied all the same; saving again is harmless. The ids stay in #shownRunning,
      // so that their ends are kept whatever happened.
      this.#ended.unshift(...ended);
      for (const row of running) if (this.#open.has(row.id)) this.#started.set(row.id, row);
      this.#onError(error);
      return false;
    }
  }
}

/** Postgres takes neither NUL nor half a surrogate pair. */
function storable(text: string): string {
  return text.slice(0, MAX_ERROR_CHARACTERS).replaceAll("\0", "").toWellFormed();
}
