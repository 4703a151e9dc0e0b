import type { InvocationMetrics, Outcome } from "../../runtime/invocation.ts";
import type { ErrorCode } from "../errors.ts";
import { ExecutionCounts } from "../execution-counts.ts";
import type { FunctionLogLine } from "../function-logs.ts";
import type { Report } from "./protocol.ts";

const FLUSH_INTERVAL_MS = 100;

/** Entries of each kind that wait while the supervisor is slow; more are dropped. */
const MAX_WAITING = 20_000;

/** Characters of log lines in one report; a burst of them is spread over several. */
const MAX_LINE_CHARACTERS = 4_000_000;

/** What a worker has to tell about executions, gathered and sent in batches: logs and numbers. */
export class Reporter {
  readonly #send: (report: Report) => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #report = emptyReport();
  #counts = new ExecutionCounts();
  #characters = 0;
  #sending: Promise<unknown> | undefined;

  constructor(send: (report: Report) => Promise<unknown>) {
    this.#send = send;
    this.#timer = setInterval(() => void this.flush(), FLUSH_INTERVAL_MS);
    this.#timer.unref();
  }

  /** A line of the platform's log; a stream for the logger. */
  write(line: string): void {
    if (this.#hasRoom(this.#report.log, line)) this.#report.log.push(line);
  }

  /** A line of a function's log. */
  append(name: string, line: FunctionLogLine): void {
    if (this.#hasRoom(this.#report.lines, line.message)) this.#report.lines.push({ name, line });
  }

  executed(name: string, outcome: Outcome["kind"], used: Pick<InvocationMetrics, "wallMs" | "cpuMs">): void {
    this.#counts.executed(name, outcome, used);
  }

  refused(name: string, code: ErrorCode, count = 1): void {
    this.#counts.refused(name, code, count);
  }

  /** Sends what there is; one report at a time. */
  async flush(): Promise<void> {
    if (this.#sending) return;
    const report = { ...this.#report, counts: [...this.#counts] };
    if (Object.values(report).every((list) => list.length === 0)) return;
    this.#report = emptyReport();
    this.#counts = new ExecutionCounts();
    this.#characters = 0;
    // The supervisor is gone when this fails, and nobody is left who could be told.
    this.#sending = this.#send(report).catch(() => {});
    await this.#sending;
    this.#sending = undefined;
  }

  /** Sends what is left. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await this.flush();
  }

  #hasRoom(list: unknown[], text: string): boolean {
    this.#characters += text.length;
    return list.length < MAX_WAITING && this.#characters <= MAX_LINE_CHARACTERS;
  }
}

function emptyReport(): Omit<Report, "counts"> {
  return { log: [], lines: [] };
}
