import type { InvocationRow } from "./invocations.ts";

/**
 * Executions that completed, as lines of COPY's text format: they are by far the most, and as rows they cost those whom they pass through as much as
 * the execution itself.
 */

/** In the order in which they are in a line; the other columns of a row are null. */
export const LINE_COLUMNS = [
  ["id", "uuid"],
  ["function_id", "uuid"],
  ["function_name", "text"],
  ["version", "integer"],
  ["request_id", "text"],
  ["status", "text"],
  ["timestamp", "timestamptz"],
  ["duration_ms", "double precision"],
  ["cpu_ms", "double precision"],
  ["fuel", "bigint"],
  ["memory_bytes", "bigint"],
  ["database_ms", "double precision"],
] as const;

/** What fits into a line: it completed, belongs to no trace, and has nothing to tell. */
export function fitsLine(row: InvocationRow): boolean {
  return row.status === "completed" && row.traceId === null && row.error === null && row.durationMs !== null;
}

/** Of a row that {@link fitsLine fits}. */
export function toLine(row: InvocationRow): string {
  const { id, functionId, functionName, version, requestId, timestamp } = row;
  return (
    `${id}\t${functionId}\t${functionName}\t${version}\t${requestId}\tcompleted\t${isoTime(timestamp.getTime())}\t` +
    `${micros(row.durationMs)}\t${micros(row.cpuMs)}\t${row.fuel ?? 0}\t${row.memoryBytes ?? 0}\t${micros(row.databaseMs)}\n`
  );
}

const UUID = "[\\da-f]{8}-[\\da-f]{4}-[\\da-f]{4}-[\\da-f]{4}-[\\da-f]{12}";
const WHOLE = "\\d{1,16}";
const DECIMAL = `${WHOLE}(?:\\.\\d{1,3})?`;
const LINE = new RegExp(
  `${UUID}\\t${UUID}\\t[a-z\\d][a-z\\d_-]{0,62}\\t\\d{1,9}\\t[\\w.-]{1,64}\\tcompleted\\t` +
    `\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\t${DECIMAL}\\t${DECIMAL}\\t${WHOLE}\\t${WHOLE}\\t${DECIMAL}\\n`,
  "y",
);

/** Whether a text is nothing but lines as {@link toLine} makes them. */
export function areLines(text: string): boolean {
  LINE.lastIndex = 0;
  while (LINE.lastIndex < text.length) if (!LINE.test(text)) return false;
  return true;
}

/** Milliseconds to the microsecond, without an exponent. */
const micros = (ms: number | null) => Math.round(Math.max(0, ms ?? 0) * 1e3) / 1e3;

let isoMs = -1;
let iso = "";

/** Many executions begin in the same millisecond. */
function isoTime(ms: number): string {
  if (ms !== isoMs) {
    iso = new Date(ms).toISOString();
    isoMs = ms;
  }
  return iso;
}

/** Lines that are written together. */
export interface LineBatch {
  text: string;
  count: number;
}

/** A line's fields are bounded, and so is it. */
const MAX_LINE_BYTES = 512;

/** Lines that wait, in batches. The last one is bytes until it is taken: as strings, thousands of parts would live until then. */
export class LineQueue {
  readonly #batchLines: number;
  readonly #bytes: Buffer;
  #used = 0;
  #inBytes = 0;
  readonly #batches: LineBatch[] = [];
  #count = 0;

  constructor(batchLines: number) {
    this.#batchLines = batchLines;
    this.#bytes = Buffer.allocUnsafeSlow(batchLines * MAX_LINE_BYTES);
  }

  /** Lines in all. */
  get count(): number {
    return this.#count;
  }

  /** A row that {@link fitsLine fits}. */
  add(row: InvocationRow): void {
    if (this.#inBytes === this.#batchLines) this.#close();
    this.#used += this.#bytes.write(toLine(row), this.#used, MAX_LINE_BYTES, "latin1");
    this.#inBytes++;
    this.#count++;
  }

  /** The batch that has waited longest; undefined when there is none. */
  take(): LineBatch | undefined {
    if (this.#batches.length === 0 && this.#inBytes > 0) this.#close();
    const batch = this.#batches.shift();
    this.#count -= batch?.count ?? 0;
    return batch;
  }

  /** To be taken next. */
  putBack(batch: LineBatch): void {
    this.#batches.unshift(batch);
    this.#count += batch.count;
  }

  #close(): void {
    this.#batches.push({ text: this.#bytes.toString("latin1", 0, this.#used), count: this.#inBytes });
    this.#used = 0;
    this.#inBytes = 0;
  }
}
