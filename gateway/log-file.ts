import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Lines are gathered before they are written; this is the longest that one waits, ms. */
const FLUSH_INTERVAL_MS = 250;

/** Lines in a file that is moved aside (`<path>.1`) when it is full: there are never more than two. Written in batches. */
export class LogFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #onError: (error: unknown) => void;
  #waiting: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #bytes: number | undefined;

  constructor(path: string, maxBytes: number, onError: (error: unknown) => void) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#onError = onError;
  }

  append(line: string): void {
    this.#waiting.push(line);
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_INTERVAL_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const text = `${this.#waiting.join("\n")}\n`;
    this.#waiting = [];
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#bytes ??= statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
      const added = Buffer.byteLength(text);
      if (this.#bytes > 0 && this.#bytes + added > this.#maxBytes) {
        renameSync(this.#path, `${this.#path}.1`);
        this.#bytes = 0;
      }
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#bytes += added;
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The newest `limit` lines that are in the files, oldest first. */
  tail(limit: number): string[] {
    const lines = [`${this.#path}.1`, this.#path].flatMap((path) => read(path).split("\n"));
    return lines.filter((line) => line !== "").slice(-limit);
  }

  remove(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.#bytes = undefined;
    for (const path of [this.#path, `${this.#path}.1`]) rmSync(path, { force: true });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
