import type { Analysis, Finding, Position } from "./types.ts";

export interface CompileErrorOptions extends ErrorOptions {
  /** Everything that is wrong, when it is known where. The first one becomes {@link CompileError.position}. */
  findings?: Finding[];
}

/** The sources could not be made into a bundle or an image: nothing to do with what the rules of the analysis allow. */
export class CompileError extends Error {
  readonly code = "compile_failed";
  /** In source order; empty when no position is known. */
  readonly findings: Finding[];

  constructor(message: string, { findings = [], ...options }: CompileErrorOptions = {}) {
    super(message, options);
    this.name = "CompileError";
    this.findings = findings;
  }

  /** Where the first finding points. */
  get position(): Position | undefined {
    const first = this.findings[0];
    return first && { file: first.file, line: first.line, column: first.column };
  }
}

/** The analysis found errors; `analysis.findings` has every one of them. */
export class AnalysisError extends Error {
  readonly code = "analysis_failed";
  readonly analysis: Analysis;

  constructor(analysis: Analysis, options?: ErrorOptions) {
    const count = analysis.findings.filter((finding) => finding.severity === "error").length;
    super(`the analysis found ${count} ${count === 1 ? "error" : "errors"}`, options);
    this.name = "AnalysisError";
    this.analysis = analysis;
  }
}
