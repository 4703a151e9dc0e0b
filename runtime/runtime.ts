import { setInterval } from "node:timers";
import { ComponentExecution } from "./component/component-execution.ts";
import { ComponentPool } from "./component/component-pool.ts";
import type { Engine } from "./engine.ts";
import { Execution, type ExecutionHost, type RunOptions } from "./execution.ts";
import type { InvocationRequest, InvocationResult } from "./invocation.ts";
import type { MeteredExecution } from "./metered-execution.ts";
import { InstancePool } from "./pool.ts";
import { loadProgram, type Program } from "./program.ts";
import { Scheduler } from "./scheduler.ts";
import { VariableImages } from "./variable-images.ts";
import { ModuleExecution } from "./wasi/module-execution.ts";
import { ModulePool } from "./wasi/module-pool.ts";

export interface RuntimeOptions {
  /** Sandboxes at once. Default 4,000. */
  maxInstances?: number;
  /**
   * Memory of sandboxes that only wait (for a timer, an answer, a query), bytes: beyond it, those that have waited longest are put aside as what
   * they have written, to be restored when they go on. Default 512 MiB, which about 290 small functions have.
   */
  waitingBytes?: number;
  /** Idle sandboxes that are kept for the next requests, unless more were busy at once in the last half minute. Default 64. */
  maxIdle?: number;
  /** Sandboxes made at once, before the first request. Default 2. */
  warm?: number;
}

/** How often sandboxes are given up that were not needed meanwhile, ms. */
const trimIntervalMs = 30_000;

/** Runs programs: a pool of instances of one engine, and the turns of those that compute. One for each thread. */
export class Runtime {
  readonly engine: Engine;
  readonly #pool: InstancePool;
  readonly #modules: ModulePool;
  readonly #components: ComponentPool;
  readonly #scheduler = new Scheduler();
  readonly #host: ExecutionHost;
  readonly #trimming: NodeJS.Timeout;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(
    engine: Engine,
    { maxInstances = 4_000, waitingBytes = 512 * 1024 * 1024, maxIdle = 64, warm = 2 }: RuntimeOptions = {},
  ) {
    this.engine = engine;
    this.#pool = new InstancePool(engine, { maxInstances, waitingBytes, maxIdle });
    this.#pool.warm(warm);
    this.#trimming = setInterval(() => this.#pool.trim(warm), trimIntervalMs).unref();
    this.#modules = new ModulePool({ maxInstances, maxIdle });
    this.#components = new ComponentPool(maxInstances);
    this.#host = { pool: this.#pool, scheduler: this.#scheduler, images: new VariableImages() };
  }

  /** @throws RuntimeError `artifact_invalid` or `engine_mismatch`. */
  async load(artifact: Uint8Array): Promise<Program> {
    return loadProgram(this.engine, artifact);
  }

  /**
   * Runs one request in a pristine sandbox, unless `options.reuse` says otherwise. What a guest does never makes it reject.
   *
   * @throws RuntimeError `overloaded` when every sandbox is in use.
   */
  async run(program: Program, request: InvocationRequest, options: RunOptions): Promise<InvocationResult> {
    const began = performance.now();
    const turn = this.#scheduler.take(options.context.functionName);
    if (turn) await turn;
    let execution: Execution | MeteredExecution;
    try {
      execution = this.#execution(program, options, began);
    } catch (cause) {
      this.#scheduler.give();
      throw cause;
    }
    this.#running++;
    execution.onOver(this.#onOver);
    return execution.run(request);
  }

  #execution(program: Program, options: RunOptions, began: number): Execution | MeteredExecution {
    switch (program.kind) {
      case "script":
        return new Execution(this.#host, program, options, began);
      case "module":
        return new ModuleExecution(this.#modules, program, options, this.#scheduler, began);
      case "component":
        return new ComponentExecution(this.#components, program, options, this.#scheduler, began);
    }
  }

  readonly #onOver = (): void => {
    if (--this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  };

  stats(): { instances: number; busy: number; idle: number } {
    const pools = [this.#pool.stats(), this.#modules.stats(), this.#components.stats()];
    const sum = (of: "instances" | "busy" | "idle") => pools.reduce((total, pool) => total + pool[of], 0);
    return { instances: sum("instances"), busy: sum("busy"), idle: sum("idle") };
  }

  /** Waits for what is running; it ends by its own limits. */
  async close(): Promise<void> {
    clearInterval(this.#trimming);
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
