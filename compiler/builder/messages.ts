import type { BuildInput, BuildResult } from "../compiler.ts";
import type { Analysis, Finding } from "../types.ts";

/** Parent → builder: one job at a time. */
export type Job = { kind: "build"; input: BuildInput } | { kind: "rebuild"; artifact: Uint8Array };

/** Builder → parent. */
export type Answer =
  | { kind: "built"; result: BuildResult }
  | { kind: "analysisFailed"; analysis: Analysis }
  | { kind: "compileFailed"; message: string; findings: Finding[] }
  /** A defect of the compiler, not of the function. */
  | { kind: "failed"; message: string };
