import { type ChildProcess, fork } from "node:child_process";
import { realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type { BuildInput, BuildResult } from "../compiler.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import type { Answer, Job } from "./messages.ts";

const script = fileURLToPath(new URL("builder-process.ts", import.meta.url));

export interface BuilderOptions {
  /** Longest time for one build, ms. Default 60,000. */
  timeoutMs?: number;
  /** How long an idle builder process is kept for the next build, ms. Default 30,000. */
  idleMs?: number;
  /** JavaScript heap of the builder process, MB. Default 1,024. Native parsers are not bound by it. */
  heapMb?: number;
}

/**
 * A compiler in a process of its own. Parser and bundler are native code that is fed hostile input: a build may crash, hang
 * or eat memory, and costs nothing but itself. The process sees no environment variables, has no network, may start
 * nothing and read little (Node's permission model, which native parsers are not bound by); it starts with the first build and ends when it is idle.
 */
export class Builder {
  readonly #options: Required<BuilderOptions>;
  #child: ChildProcess | null = null;
  #idle: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ timeoutMs = 60_000, idleMs = 30_000, heapMb = 1_024 }: BuilderOptions = {}) {
    this.#options = { timeoutMs, idleMs, heapMb };
  }

  /** As `Compiler.build`; a build that crashes or takes too long is a CompileError as well. */
  build(input: BuildInput): Promise<BuildResult> {
    return this.#enqueue({ kind: "build", input });
  }

  /** As `Compiler.rebuild`. */
  rebuild(artifact: Uint8Array): Promise<BuildResult> {
    return this.#enqueue({ kind: "rebuild", artifact });
  }

  /** Ends the process; a build under way fails. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    child.ref();
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }

  #enqueue(job: Job): Promise<BuildResult> {
    const result = this.#last.then(() => this.#run(job));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(job: Job): Promise<BuildResult> {
    clearTimeout(this.#idle);
    this.#child ??= this.#start();
    const answer = await this.#ask(this.#child, job);
    if (answer.spent) await this.close();
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMs);
    this.#idle.unref();
    switch (answer.kind) {
      case "built":
        return answer.result;
      case "analysisFailed":
        throw new AnalysisError(answer.analysis);
      case "compileFailed":
        throw new CompileError(answer.message, { findings: answer.findings });
      case "failed":
        throw new Error(`the compiler failed: ${answer.message}`);
    }
  }

  #start(): ChildProcess {
    const project = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
    const readable = ["compiler/*", "runtime/*", "node_modules/*", "package.json"].map(project);
    // a linked node_modules is read where it really lies
    readable.push(`${realpathSync(project("node_modules"))}/*`);
    const writable = [project("node_modules/.cache/*"), `${tmpdir()}/*`];
    const child = fork(script, {
      execArgv: [
        "--permission",
        "--allow-addons",
        // a thread under the same rules: jco's tools make one when they are loaded
        "--allow-worker",
        ...[...readable, ...writable].map((path) => `--allow-fs-read=${path}`),
        ...writable.map((path) => `--allow-fs-write=${path}`),
        "--no-warnings",
        `--max-old-space-size=${this.#options.heapMb}`,
      ],
      env: { PATH: process.env.PATH, NODE_ENV: process.env.NODE_ENV, TMPDIR: tmpdir() },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child.once("exit", () => {
      if (this.#child === child) this.#child = null;
    });
    // an idle builder must not keep the process that uses it alive
    child.unref();
    child.channel?.unref();
    return child;
  }

  #ask(child: ChildProcess, job: Job): Promise<Answer> {
    const { timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        child.off("message", onMessage).off("exit", onExit);
        child.channel?.unref();
        finish();
      };
      const onMessage = (answer: Answer) => settle(() => resolve(answer));
      const onExit = () =>
        settle(() => reject(new CompileError("the compiler crashed on this function, or was stopped")));
      const timer = setTimeout(() => {
        settle(() => reject(new CompileError(`building timed out after ${timeoutMs} ms`)));
        child.kill("SIGKILL");
        this.#child = null;
      }, timeoutMs);
      child.on("message", onMessage).on("exit", onExit);
      child.channel?.ref();
      child.send(job, (error) => {
        if (error) onExit();
      });
    });
  }
}
