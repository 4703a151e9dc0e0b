import { type ChildProcess, fork } from "node:child_process";
import { realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type { BuildInput, BuildResult } from "../compiler.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import { FairQueue } from "./fair-queue.ts";
import type { Answer, Job } from "./messages.ts";

/** A build that waits for its turn. */
interface Waiting {
  job: Job;
  resolve(result: BuildResult): void;
  reject(error: unknown): void;
}

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
  readonly #queue = new FairQueue<Waiting>();
  #child: ChildProcess | null = null;
  #idle: NodeJS.Timeout | undefined;
  #working = false;
  #closed = false;

  constructor({ timeoutMs = 60_000, idleMs = 30_000, heapMb = 1_024 }: BuilderOptions = {}) {
    this.#options = { timeoutMs, idleMs, heapMb };
  }

  /**
   * As `Compiler.build`; a build that crashes or takes too long is a CompileError as well. One build runs at a time.
   *
   * @param lane For whom: the lanes that wait take turns.
   */
  build(input: BuildInput, lane = ""): Promise<BuildResult> {
    return this.#enqueue(lane, { kind: "build", input });
  }

  /** As `Compiler.rebuild`. */
  rebuild(artifact: Uint8Array, lane = ""): Promise<BuildResult> {
    return this.#enqueue(lane, { kind: "rebuild", artifact });
  }

  /** Starts the process and has everything loaded that a build needs, so that the first one does not wait for it. */
  async warm(): Promise<void> {
    const files = { "index.ts": "/** @function */\nexport default () => 1;\n" };
    await this.build({ sources: { entry: "index.ts", files }, requireAnnotation: true }, "warm");
  }

  /** Ends the process; a build under way fails, and those that wait. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#end();
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle);
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    child.ref();
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }

  #enqueue(lane: string, job: Job): Promise<BuildResult> {
    return new Promise((resolve, reject) => {
      this.#queue.add(lane, { job, resolve, reject });
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let next = this.#queue.take(); next; next = this.#queue.take()) {
      await this.#run(next.job).then(next.resolve, next.reject);
    }
    this.#working = false;
  }

  async #run(job: Job): Promise<BuildResult> {
    if (this.#closed) throw new Error("the builder was closed");
    clearTimeout(this.#idle);
    this.#child ??= this.#start();
    const answer = await this.#ask(this.#child, job);
    if (answer.spent) await this.#end();
    this.#idle = setTimeout(() => void this.#end(), this.#options.idleMs);
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
