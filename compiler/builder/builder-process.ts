// The builder's side: takes jobs from its parent until the channel closes.
import { Compiler } from "../compiler.ts";
import { loadEngine } from "../engine/load-engine.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import type { Answer, Job } from "./messages.ts";

const compiler = loadEngine().then((engine) => new Compiler(engine));

async function answer(job: Job): Promise<Answer> {
  try {
    const ready = await compiler;
    const work = job.kind === "build" ? ready.build(job.input) : ready.rebuild(job.artifact);
    return { kind: "built", result: await work };
  } catch (error) {
    if (error instanceof AnalysisError) return { kind: "analysisFailed", analysis: error.analysis };
    if (error instanceof CompileError) {
      // jco's tools are WebAssembly that refuses every call after it has trapped
      const spent = error.cause instanceof WebAssembly.RuntimeError;
      return { kind: "compileFailed", message: error.message, findings: error.findings, spent };
    }
    return {
      kind: "failed",
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

process.on("message", async (job: Job) => process.send?.(await answer(job)));
