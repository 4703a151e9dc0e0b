import { fitsLine, LineQueue } from "./invocation-lines.ts";
import type { InvocationRow, InvocationStore } from "./invocations.ts";
import type { InvocationStatus } from "./schema.ts";

export interface RecorderOptions {
  /** Longest time until a row is in the database, ms. Default 100. */
  flushIntervalMs?: number;
  /** Rows that start a flush at once, and the size of one statement. Default 1,000. */
  batchRows?: number;
  /** Ended rows kept while the database is slow or away; more are dropped and counted. Default 20,000. */
  queueRows?: number;
  /** Told when a flush fails; the rows stay queued. */
  onError?(error: unknown): void;
}

export type History = Pick<InvocationStore, "append" | "save">;

export type InvocationStart = Pick<
  InvocationRow,
  "id" | "functionId" | "functionName" | "version" | "requestId" | "timestamp" | "traceId" | "span"
>;

export type InvocationEnd = Pick<
  InvocationRow,
  "durationMs" | "error" | "errorCode" | "cpuMs" | "fuel" | "memoryBytes" | "databaseMs" | "killReason"
> & { status: Exclude<InvocationStatus, "running"> };

/** An execution that has been noted; {@link Recorder.end} takes it back. */
export class Recorded {
  readonly start: InvocationStart;
  ended = false;
  /** Where it is in the list of those that have started; -1: in none. */
  place = -1;
  /** It may be in the database as `running`. */
  shown = false;

  constructor(start: InvocationStart) {
    this.start = start;
  }
}

/** Error texts are for reading, not for storage of what a function chose to throw. */
const MAX_ERROR_CHARACTERS = 2000;

/** What is not known of an execution that has not ended, or that never began. */
export const UNMEASURED = {
  durationMs: null,
  cpuMs: null,
  fuel: null,
  memoryBytes: null,
  databaseMs: null,
  killReason: null,
} as const;

const STILL_RUNNING = { ...UNMEASURED, status: "running", error: null, errorCode: null } as const;

/**
 * Writes executions to `function_invocations` off the request's path. What ends between two flushes costs one row, most often a line;
 * what is still under way at a flush is written as `running` and brought up to date at its end.
 */
export class Recorder {
  readonly #history: History;
  readonly #flushIntervalMs: number;
  readonly #batchRows: number;
  readonly #queueRows: number;
  readonly #onError: (error: unknown) => void;
  /** Under way, and not shown as `running` yet; in no order. */
  #started: Recorded[] = [];
  /** Ended, never shown as `running`, and nothing to tell. */
  readonly #lines: LineQueue;
  /** The others that have ended. */
  #ended: InvocationRow[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<boolean> | undefined;
  #dropped = 0;
  #closed = false;

  constructor(history: History, options: RecorderOptions = {}) {
    this.#history = history;
    this.#flushIntervalMs = options.flushIntervalMs ?? 100;
    this.#batchRows = options.batchRows ?? 1_000;
    this.#lines = new LineQueue(this.#batchRows);
    this.#queueRows = options.queueRows ?? 20_000;
    this.#onError = options.onError ?? (() => {});
  }

  /** Rows that were given up because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Notes the start. */
  start(start: InvocationStart): Recorded {
    const recorded = new Recorded(start);
    this.#note(recorded);
    this.#schedule();
    return recorded;
  }

  /** Notes the end; once. */
  end(recorded: Recorded, end: InvocationEnd): void {
    recorded.ended = true;
    this.#forget(recorded);
    // An end of what was shown is never dropped, since a wrong row would stay.
    if (!recorded.shown && this.#queued >= this.#queueRows) {
      this.#dropped++;
      return;
    }
    const row = { ...recorded.start, ...end };
    if (!recorded.shown && fitsLine(row)) this.#lines.add(row);
    else this.#ended.push({ ...row, error: end.error === null ? null : storable(end.error) });
    if (this.#queued === this.#batchRows) void this.#write(() => this.#queued >= this.#batchRows);
    else this.#schedule();
  }

  /** Writes everything known now. Resolves when it is in the database, or the attempt failed. */
  flush(): Promise<void> {
    return this.#write(() => this.#queued > 0 || this.#started.length > 0);
  }

  /** Flushes and stops the timer. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.flush();
  }

  get #queued(): number {
    return this.#lines.count + this.#ended.length;
  }

  #note(recorded: Recorded): void {
    recorded.place = this.#started.length;
    this.#started.push(recorded);
  }

  /** What has ended is not kept until the next flush: thousands that live so long make each collection of garbage take milliseconds. */
  #forget(recorded: Recorded): void {
    if (recorded.place < 0) return;
    const last = this.#started.pop()!;
    if (last !== recorded) {
      this.#started[recorded.place] = last;
      last.place = recorded.place;
    }
    recorded.place = -1;
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

  #schedule(): void {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(async () => {
      // One pass: what starts meanwhile waits for the next, so that short executions cost one row, not two.
      let first = true;
      await this.#write(() => {
        const go = first || this.#queued >= this.#batchRows;
        first = false;
        return go;
      });
      this.#timer = undefined;
      if (this.#queued > 0 || this.#started.length > 0) this.#schedule();
    }, this.#flushIntervalMs);
    this.#timer.unref();
  }

  /** Whether it succeeded. What could not be written is queued again: the statement may have been applied all the same, and another time is harmless. */
  async #writeBatch(): Promise<boolean> {
    const lines = this.#lines.take();
    const ended = this.#ended.splice(0, this.#batchRows);
    const running = this.#takeRunning(this.#batchRows - ended.length);
    try {
      const rows = [...ended, ...running.map(({ start }): InvocationRow => ({ ...start, ...STILL_RUNNING }))];
      await bothOf(
        lines ? this.#history.append(lines.text) : undefined,
        rows.length > 0 ? this.#history.save(rows) : undefined,
      );
      return true;
    } catch (error) {
      if (lines) this.#lines.putBack(lines);
      this.#ended.unshift(...ended);
      // They count as shown, so that their ends are kept whatever happened.
      for (const recorded of running) if (!recorded.ended) this.#note(recorded);
      this.#onError(error);
      return false;
    }
  }

  #takeRunning(room: number): Recorded[] {
    const running = this.#started.slice(0, room);
    for (const recorded of running) {
      this.#forget(recorded);
      recorded.shown = true;
    }
    return running;
  }
}

/** Waits for both, also when one has failed; then throws its error. */
async function bothOf(...work: (Promise<void> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}

/** Postgres takes neither NUL nor half a surrogate pair. */
function storable(text: string): string {
  return text.slice(0, MAX_ERROR_CHARACTERS).replaceAll("\0", "").toWellFormed();
}
