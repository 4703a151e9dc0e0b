// The builder's side: takes jobs from its parent until the channel closes.
import { Compiler } from "../compiler.ts";
import { loadEngine } from "../engine/load-engine.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import type { Answer, Job } from "./messages.ts";

const compiler = loadEngine().then((engine) => new Compiler(engine));

async function answer(job: Job): Promise<Answer> {
  try {
    const { build, rebuild } = bound(await compiler);
    return { kind: "built", result: await (job.kind === "build" ? build(job.input) : rebuild(job.artifact)) };
  } catch (error) {
    if (error instanceof AnalysisError) return { kind: "analysisFailed", analysis: error.analysis };
    if (error instanceof CompileError) {
      return { kind: "compileFailed", message: error.message, findings: error.findings };
    }
    return {
      kind: "failed",
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

const bound = (real: Compiler) => ({
  build: real.build.bind(real),
  rebuild: real.rebuild.bind(real),
});

process.on("message", async (job: Job) => process.send?.(await answer(job)));
