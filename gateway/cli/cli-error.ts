import type { Analysis } from "../../compiler/types.ts";

export interface CliErrorOptions {
  /** 1: the operation failed; 2: wrong usage. Default 1. */
  exitCode?: 1 | 2;
  code?: string;
  analysis?: Analysis;
  cause?: unknown;
}

/** A failure whose message is for the person at the terminal. */
export class CliError extends Error {
  readonly exitCode: 1 | 2;
  readonly code: string;
  readonly analysis: Analysis | undefined;
  constructor(message: string, options: CliErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "CliError";
    this.exitCode = options.exitCode ?? 1;
    this.code = options.code ?? "failed";
    this.analysis = options.analysis;
  }
}
