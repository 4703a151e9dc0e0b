import type { LogLine } from "./protocol.ts";

/** Logs of one invocation: lines and characters that are kept. */
const limits = { lines: 1_000, characters: 256 * 1024 } as const;

/** What one invocation logged, as much of it as is kept. */
export class FunctionLog {
  readonly lines: LogLine[] = [];
  #characters = 0;

  add(line: LogLine): void {
    this.#characters += line.message.length;
    if (this.lines.length >= limits.lines || this.#characters > limits.characters) return;
    this.lines.push(line);
  }
}

/** Longest line, bytes: what is longer is broken. */
const maxLineBytes = 64 * 1024;

/** A stream of bytes that becomes log lines. */
export class LogStream {
  readonly #log: FunctionLog;
  readonly #level: LogLine["level"];
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(log: FunctionLog, level: LogLine["level"]) {
    this.#log = log;
    this.#level = level;
  }

  write(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += maxLineBytes) {
      const text =
        this.#rest + this.#decoder.decode(bytes.subarray(from, from + maxLineBytes), { stream: true });
      const lines = text.split("\n");
      this.#rest = lines.pop()!;
      for (const message of lines) this.#log.add({ level: this.#level, message });
      if (this.#rest.length > maxLineBytes) this.end();
    }
  }

  /** The last line, when no newline came. */
  end(): void {
    if (this.#rest !== "") this.#log.add({ level: this.#level, message: this.#rest });
    this.#rest = "";
  }
}
