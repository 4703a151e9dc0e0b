import { type DestinationStream, type Logger, pino, stdTimeFunctions, symbols } from "pino";

import { LogFile } from "./log-file.ts";

export type { Logger } from "pino";

export interface LogOptions {
  level: string;
  /** A file (made when missing, mode 0600; moved to `<file>.1` when it has 10 MB), or the standard output or error stream. */
  to: { file: string } | "stdout" | "stderr";
}

/** Lines are gathered before they are written; this is the longest that one waits, ms. */
const FLUSH_INTERVAL_MS = 250;
const MAX_FILE_BYTES = 10 * 1048576;

/** JSON lines. Database errors are cut down to their cause, since their own text holds the query's parameters. */
export function createLogger(options: LogOptions): Logger {
  const { to, level } = options;
  if (typeof to === "object") return loggerTo(level, fileDestination(to.file));
  const dest = to === "stdout" ? 1 : 2;
  return loggerTo(
    level,
    pino.destination({ dest, sync: false, minLength: 4096, periodicFlush: FLUSH_INTERVAL_MS }),
  );
}

function fileDestination(path: string): DestinationStream & { flush(done: () => void): void } {
  const file = new LogFile(path, MAX_FILE_BYTES, (error) => {
    process.stderr.write(`The log ${path} cannot be written: ${(error as Error).message}\n`);
  });
  return {
    write: (line) => file.append(line.trimEnd()),
    flush: (done) => {
      file.flush();
      done();
    },
  };
}

/** A logger that writes to a given stream; `base` is in every line. */
export function loggerTo(
  level: string,
  destination: DestinationStream,
  base: Record<string, unknown> | null = null,
): Logger {
  return pino(
    { level, base, timestamp: stdTimeFunctions.isoTime, serializers: { err: serializeError } },
    destination,
  );
}

/** Writes a line that another process's logger has finished. */
export function writeFinished(log: Logger, line: string): void {
  (log as unknown as Record<symbol, DestinationStream>)[symbols.streamSym]!.write(line);
}

/** Says nothing. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}

interface LoggedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: LoggedError;
}

const MAX_TEXT = 4000;

function serializeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error).slice(0, MAX_TEXT) };
  if ("query" in error && "params" in error && error.cause && depth < 4) {
    return serializeError(error.cause, depth + 1);
  }
  const logged: LoggedError = { type: error.name, message: error.message.slice(0, MAX_TEXT) };
  if ("code" in error && typeof error.code === "string") logged.code = error.code;
  if (error.stack) logged.stack = error.stack.slice(0, MAX_TEXT);
  if (error.cause !== undefined && depth < 4) logged.cause = serializeError(error.cause, depth + 1);
  return logged;
}

/** Waits until what was logged is written. */
export function flushLogger(log: Logger): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}
