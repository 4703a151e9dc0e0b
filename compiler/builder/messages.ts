import type { BuildInput, BuildResult } from "../compiler.ts";
import type { Analysis, Finding } from "../types.ts";

/** Parent → builder: one job at a time. */
export type Job = { kind: "build"; input: BuildInput } | { kind: "rebuild"; artifact: Uint8Array };

/**
 * Builder → parent. `spent`: a tool in the builder has crashed and works no more: the next job is for another process.
 */
export type Answer = { spent?: boolean } & Result;

type Result =
  | { kind: "built"; result: BuildResult }
  | { kind: "analysisFailed"; analysis: Analysis }
  | { kind: "compileFailed"; message: string; findings: Finding[] }
  /** A defect of the compiler, not of the function. */
  | { kind: "failed"; message: string };
