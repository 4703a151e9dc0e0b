import type { Position } from "../types.ts";

/** UTF-16 code units of a source line that a finding carries: a minified file is one line of megabytes. */
const MAX_LINE_LENGTH = 2000;

/**
 * Turns swc's offsets — bytes of UTF-8 — into lines and columns, 1-based, columns in UTF-16 code units as editors count.
 * A byte order mark counts as nothing. Lines end with LF, CRLF or CR.
 */
export class SourceText {
  readonly file: string;
  /** The source without its byte order mark. */
  readonly text: string;
  readonly #bytes: Buffer;
  #lineStarts: number[] | undefined;

  constructor(file: string, source: string) {
    this.file = file;
    this.text = source.startsWith("\ufeff") ? source.slice(1) : source;
    this.#bytes = Buffer.from(this.text);
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  /** Source between two byte offsets. */
  slice(start: number, end: number): string {
    return this.#bytes.toString("utf8", Math.max(0, start), Math.max(0, end));
  }

  positionAt(byteOffset: number): Position {
    const offset = Math.max(0, Math.min(byteOffset, this.#bytes.length));
    const starts = this.#starts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: this.slice(starts[low]!, offset).length + 1 };
  }

  /** The line without its end, cut after {@link MAX_LINE_LENGTH}; empty beyond the last one. */
  line(number: number): string {
    const starts = this.#starts();
    const start = starts[number - 1];
    if (start === undefined) return "";
    const end = Math.min(starts[number] ?? this.#bytes.length, start + 3 * MAX_LINE_LENGTH);
    return this.slice(start, end)
      .replace(/[\r\n]+$/, "")
      .slice(0, MAX_LINE_LENGTH);
  }

  #starts(): number[] {
    if (this.#lineStarts) return this.#lineStarts;
    const starts = [0];
    for (let index = 0; index < this.#bytes.length; index++) {
      const byte = this.#bytes[index];
      if (byte === 10 || (byte === 13 && this.#bytes[index + 1] !== 10)) starts.push(index + 1);
    }
    this.#lineStarts = starts;
    return starts;
  }
}
