import { join } from "node:path";
import type { LogLine } from "../runtime/protocol.ts";
import { LogFile } from "./log-file.ts";

/** A line of a function's log, as its owner reads it. */
export interface FunctionLogLine extends LogLine {
  /** ISO 8601. */
  time: string;
  requestId: string;
  version: number;
}

export interface FunctionLogsOptions {
  /** Lines of one function in memory. Default 1,000. */
  linesPerFunction?: number;
  /** Characters of one function in memory. Default 1,000,000. */
  charactersPerFunction?: number;
  /** Where they are kept over restarts, `<folder>/<name>.jsonl`. Default: nowhere. */
  folder?: string;
  /** Size of one function's file; there is one more of this size, the one before. Default 1 MiB. */
  fileBytes?: number;
  onError?(error: unknown): void;
}

/** Characters of one line that are kept. */
const MAX_MESSAGE = 16_384;

type Listener = (line: FunctionLogLine) => void;

class Ring {
  lines: FunctionLogLine[] = [];
  characters = 0;
  readonly listeners = new Set<Listener>();
  readonly file: LogFile | undefined;
  constructor(file: LogFile | undefined) {
    this.file = file;
  }
}

/** What functions logged lately: the last lines of each in memory, and in files that are rotated. */
export class FunctionLogs {
  readonly #rings = new Map<string, Ring>();
  readonly #options: FunctionLogsOptions & { linesPerFunction: number; charactersPerFunction: number };

  constructor(options: FunctionLogsOptions = {}) {
    this.#options = { linesPerFunction: 1_000, charactersPerFunction: 1_000_000, ...options };
  }

  append(name: string, line: FunctionLogLine): void {
    const { message } = line;
    const kept =
      message.length > MAX_MESSAGE ? { ...line, message: `${message.slice(0, MAX_MESSAGE)}…` } : line;
    const ring = this.#ring(name);
    ring.file?.append(JSON.stringify(kept));
    this.#push(ring, kept);
    for (const listener of ring.listeners) listener(kept);
  }

  /** The newest `limit` lines, oldest first. */
  recent(name: string, limit: number): FunctionLogLine[] {
    const { lines } = this.#ring(name);
    return lines.slice(-Math.min(limit, this.#options.linesPerFunction));
  }

  /** Calls `listener` for every line from now on; returns the way to stop it. */
  follow(name: string, listener: Listener): () => void {
    const ring = this.#ring(name);
    ring.listeners.add(listener);
    return () => ring.listeners.delete(listener);
  }

  /** Forgets a function's lines; followers stay, for the next function of that name. */
  clear(name: string): void {
    const ring = this.#ring(name);
    ring.lines = [];
    ring.characters = 0;
    ring.file?.remove();
    if (ring.listeners.size === 0) this.#rings.delete(name);
  }

  /** Writes what is not in the files yet. */
  flush(): void {
    for (const { file } of this.#rings.values()) file?.flush();
  }

  #push(ring: Ring, line: FunctionLogLine): void {
    const { linesPerFunction, charactersPerFunction } = this.#options;
    ring.lines.push(line);
    ring.characters += line.message.length;
    // Cut in steps: shifting at every line would move the whole array each time.
    const tooMany = ring.lines.length > linesPerFunction * 1.25;
    const tooLong = ring.characters > charactersPerFunction * 1.25;
    if (!tooMany && !tooLong) return;
    let from = tooMany ? ring.lines.length - linesPerFunction : 0;
    for (const { message } of ring.lines.slice(0, from)) ring.characters -= message.length;
    while (ring.characters > charactersPerFunction) ring.characters -= ring.lines[from++]!.message.length;
    ring.lines.splice(0, from);
  }

  #ring(name: string): Ring {
    let ring = this.#rings.get(name);
    if (!ring) {
      ring = new Ring(this.#file(name));
      for (const text of ring.file?.tail(this.#options.linesPerFunction) ?? []) {
        const line = parseLine(text);
        if (line) this.#push(ring, line);
      }
      this.#rings.set(name, ring);
    }
    return ring;
  }

  #file(name: string): LogFile | undefined {
    const { folder, fileBytes = 1_048_576, onError = () => {} } = this.#options;
    return folder === undefined ? undefined : new LogFile(join(folder, `${name}.jsonl`), fileBytes, onError);
  }
}

/** A line of a file; one that a crash has cut is left out. */
function parseLine(text: string): FunctionLogLine | undefined {
  try {
    const line = JSON.parse(text) as FunctionLogLine;
    return typeof line?.message === "string" ? line : undefined;
  } catch {
    return undefined;
  }
}
