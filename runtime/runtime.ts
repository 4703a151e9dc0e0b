import { ComponentExecution } from "./component/component-execution.ts";
import { ComponentPool } from "./component/component-pool.ts";
import type { Engine } from "./engine.ts";
import { Execution, type RunOptions } from "./execution.ts";
import type { InvocationRequest, InvocationResult } from "./invocation.ts";
import type { MeteredExecution } from "./metered-execution.ts";
import { InstancePool } from "./pool.ts";
import { loadProgram, type Program } from "./program.ts";
import { Scheduler } from "./scheduler.ts";
import { ModuleExecution } from "./wasi/module-execution.ts";
import { ModulePool } from "./wasi/module-pool.ts";

export interface RuntimeOptions {
  /** Sandboxes at once. Default 4,000. */
  maxInstances?: number;
  /** Sandboxes that are made before those that only wait give theirs up, to be restored when they go on. Default 32. */
  resident?: number;
  /** Idle sandboxes that are kept for the next requests. Default 64. */
  maxIdle?: number;
  /** Sandboxes made at once, before the first request. Default 2. */
  warm?: number;
}

/** Runs programs: a pool of instances of one engine, and the turns of those that compute. One for each thread. */
export class Runtime {
  readonly engine: Engine;
  readonly #pool: InstancePool;
  readonly #modules: ModulePool;
  readonly #components: ComponentPool;
  readonly #scheduler = new Scheduler();
  #running = new Set<Promise<void>>();

  constructor(
    engine: Engine,
    { maxInstances = 4_000, resident = 32, maxIdle = 64, warm = 2 }: RuntimeOptions = {},
  ) {
    this.engine = engine;
    this.#pool = new InstancePool(engine, { maxInstances, resident, maxIdle });
    this.#pool.warm(warm);
    this.#modules = new ModulePool({ maxInstances, maxIdle });
    this.#components = new ComponentPool(maxInstances);
  }

  /** @throws RuntimeError `artifact_invalid` or `engine_mismatch`. */
  async load(artifact: Uint8Array): Promise<Program> {
    return loadProgram(this.engine, artifact);
  }

  /**
   * Runs one request in a pristine sandbox. What a guest does never makes it reject.
   *
   * @throws RuntimeError `overloaded` when every sandbox is in use.
   */
  async run(program: Program, request: InvocationRequest, options: RunOptions): Promise<InvocationResult> {
    const began = performance.now();
    const turn = this.#scheduler.take();
    if (turn) await turn;
    let execution: Execution | MeteredExecution;
    try {
      execution = this.#execution(program, options, began);
    } catch (cause) {
      this.#scheduler.give();
      throw cause;
    }
    const result = execution.run(request);
    const over = execution.over.then(() => {
      this.#running.delete(over);
    });
    this.#running.add(over);
    return result;
  }

  #execution(program: Program, options: RunOptions, began: number): Execution | MeteredExecution {
    switch (program.kind) {
      case "script":
        return new Execution(this.#pool, program, options, this.#scheduler, began);
      case "module":
        return new ModuleExecution(this.#modules, program, options, this.#scheduler, began);
      case "component":
        return new ComponentExecution(this.#components, program, options, this.#scheduler, began);
    }
  }

  stats(): { instances: number; busy: number; idle: number } {
    const pools = [this.#pool.stats(), this.#modules.stats(), this.#components.stats()];
    const sum = (of: "instances" | "busy" | "idle") => pools.reduce((total, pool) => total + pool[of], 0);
    return { instances: sum("instances"), busy: sum("busy"), idle: sum("idle") };
  }

  /** Waits for what is running; it ends by its own limits. */
  async close(): Promise<void> {
    await Promise.all(this.#running);
  }
}
