import type { LogLine } from "../runtime/protocol.ts";

/** A line of a function's log, as its owner reads it. */
export interface FunctionLogLine extends LogLine {
  /** ISO 8601. */
  time: string;
  requestId: string;
  version: number;
}

type Listener = (line: FunctionLogLine) => void;

class Ring {
  readonly lines: FunctionLogLine[] = [];
  readonly listeners = new Set<Listener>();
}

/** What functions logged lately: the last lines of each, in memory. */
export class FunctionLogs {
  readonly #rings = new Map<string, Ring>();
  readonly #linesPerFunction: number;

  constructor(linesPerFunction = 1000) {
    this.#linesPerFunction = linesPerFunction;
  }

  append(name: string, line: FunctionLogLine): void {
    const ring = this.#ring(name);
    ring.lines.push(line);
    // Cut in steps: shifting at every line would move the whole array each time.
    if (ring.lines.length > this.#linesPerFunction * 1.25) {
      ring.lines.splice(0, ring.lines.length - this.#linesPerFunction);
    }
    for (const listener of ring.listeners) listener(line);
  }

  /** The newest `limit` lines, oldest first. */
  recent(name: string, limit: number): FunctionLogLine[] {
    const lines = this.#rings.get(name)?.lines ?? [];
    return lines.slice(-Math.min(limit, this.#linesPerFunction));
  }

  /** Calls `listener` for every line from now on; returns the way to stop it. */
  follow(name: string, listener: Listener): () => void {
    const ring = this.#ring(name);
    ring.listeners.add(listener);
    return () => ring.listeners.delete(listener);
  }

  /** Forgets a function's lines; followers stay, for the next function of that name. */
  clear(name: string): void {
    const ring = this.#rings.get(name);
    if (!ring) return;
    ring.lines.length = 0;
    if (ring.listeners.size === 0) this.#rings.delete(name);
  }

  #ring(name: string): Ring {
    let ring = this.#rings.get(name);
    if (!ring) {
      ring = new Ring();
      this.#rings.set(name, ring);
    }
    return ring;
  }
}
