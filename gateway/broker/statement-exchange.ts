import { ServerError } from "./errors.ts";
import type { RawResult } from "./raw-result.ts";
import type { Exchange } from "./wire.ts";
import {
  type Columns,
  readColumns,
  readCommandTag,
  readErrorFields,
  readParameterTypes,
  Type,
} from "./wire-answers.ts";

/** An exchange of which only its end matters. */
export class Acknowledgement implements Exchange {
  readonly done: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: Error) => void;
  #error: Error | null = null;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // whoever is interested asks; nobody else shall end with it
    this.done.catch(() => {});
  }
  takesRow(): boolean {
    return true;
  }
  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === Type.error) this.#error ??= new ServerError(readErrorFields(bytes.subarray(start + 5, end)));
  }
  onReady(): void {
    if (this.#error) this.#reject(this.#error);
    else this.#resolve();
  }
  onGone(cause: Error): void {
    this.#reject(cause);
  }
}

/** The parameters' types of a statement. */
export class TypesExchange extends Acknowledgement {
  types: number[] = [];
  override onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === Type.parameterDescription) this.types = readParameterTypes(bytes.subarray(start + 5, end));
    else super.onMessage(type, bytes, start, end);
  }
}

export interface ResultLimits {
  rows: number;
  /** Of the rows on the wire. */
  bytes: number;
}

/** How a statement ended: with its result, with an error, or beyond one of its limits. */
export type Ending =
  | { kind: "result"; result: RawResult }
  | { kind: "failed"; error: Error }
  | { kind: "tooManyRows" | "tooManyBytes" };

/** One statement among others of ours, `before` of them; calls back when the server is ready, or gone. */
export class StatementExchange implements Exchange {
  readonly #limits: ResultLimits;
  readonly #onEnd: (ending: Ending) => void;
  #before: number;
  #columns: Columns = [];
  #rowCount = 0;
  #byteCount = 0;
  #slices: { bytes: Buffer; start: number; end: number }[] = [];
  #tag: { command: string; count: number } | null = null;
  #error: Error | null = null;
  #suspended = false;
  #overrun = false;

  constructor(before: number, limits: ResultLimits, onEnd: (ending: Ending) => void) {
    this.#before = before;
    this.#limits = limits;
    this.#onEnd = onEnd;
  }

  takesRow(bytes: number): boolean {
    this.#overrun = this.#byteCount + bytes > this.#limits.bytes;
    return !this.#overrun;
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === Type.error) {
      this.#error ??= new ServerError(readErrorFields(bytes.subarray(start + 5, end)));
      return;
    }
    if (this.#before > 0) {
      if (type === Type.commandComplete) this.#before--;
      return;
    }
    if (this.#tag !== null) return;
    switch (type) {
      case Type.rowDescription:
        this.#columns = readColumns(bytes.subarray(start + 5, end));
        return;
      case Type.dataRow:
        this.#keep(bytes, start, end);
        return;
      case Type.commandComplete:
        this.#tag = readCommandTag(bytes.subarray(start + 5, end));
        return;
      case Type.emptyQuery:
        this.#tag = { command: "", count: 0 };
        return;
      case Type.portalSuspended:
        this.#suspended = true;
        this.#tag = { command: "", count: 0 };
    }
  }

  /** Rows that follow each other in memory stay one piece. */
  #keep(bytes: Buffer, start: number, end: number): void {
    this.#rowCount++;
    this.#byteCount += end - start;
    const last = this.#slices.at(-1);
    if (last?.bytes === bytes && last.end === start) last.end = end;
    else this.#slices.push({ bytes, start, end });
  }

  onReady(): void {
    this.#onEnd(this.#ending());
  }

  onGone(cause: Error): void {
    this.#onEnd(this.#overrun ? { kind: "tooManyBytes" } : { kind: "failed", error: cause });
  }

  #ending(): Ending {
    if (this.#error) return { kind: "failed", error: this.#error };
    if (this.#suspended || this.#rowCount > this.#limits.rows) return { kind: "tooManyRows" };
    const { command, count } = this.#tag ?? { command: "", count: 0 };
    const pieces = this.#slices.map(({ bytes, start, end }) => bytes.subarray(start, end));
    const rows = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    return {
      kind: "result",
      result: { columns: this.#columns, command, count, rowCount: this.#rowCount, rows },
    };
  }
}
