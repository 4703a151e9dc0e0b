import type { RunOptions } from "../execution.ts";
import { pageSize } from "../image.ts";
import type { InvocationRequest, Outcome } from "../invocation.ts";
import { callFuel, longCallBytes, MeteredExecution } from "../metered-execution.ts";
import type { Scheduler } from "../scheduler.ts";
import { outcomeOf, requestBytes } from "./envelope.ts";
import type { ModuleGuest, ModuleInstance } from "./module-instance.ts";
import type { ModulePool } from "./module-pool.ts";
import type { ModuleProgram } from "./module-program.ts";
import { RequestSystem } from "./request-system.ts";

/** One request to a WASI module. */
export class ModuleExecution extends MeteredExecution implements ModuleGuest {
  readonly #pool: ModulePool;
  readonly #program: ModuleProgram;
  readonly #instance: ModuleInstance;
  #system: RequestSystem | null = null;

  /** @throws RuntimeError `overloaded`. */
  constructor(
    pool: ModulePool,
    program: ModuleProgram,
    options: RunOptions,
    scheduler: Scheduler,
    began: number,
  ) {
    super(options, scheduler, began);
    const { memoryLimitBytes, fuel } = options.limits;
    this.#pool = pool;
    this.#program = program;
    this.#instance = pool.acquire(program, { memoryPages: Math.floor(memoryLimitBytes / pageSize), fuel });
    this.#instance.bind(this);
  }

  get system(): RequestSystem {
    return this.#system!;
  }

  override sliceEnded(): "go" | "trap" | "yield" {
    // a guest that catches what ends it goes no further than here
    if (this.system.over) this.turns.stop("finished");
    return super.sliceEnded();
  }

  protected async call(request: InvocationRequest, body: Uint8Array): Promise<Outcome> {
    const { manifest, files } = this.#program;
    const { context, env, limits } = this.options;
    const instance = this.#instance;
    const { log, turns } = this;
    this.#system = new RequestSystem({
      args: [context.functionName, ...(manifest.config.args ?? [])],
      env,
      stdin: requestBytes(manifest.stdio, request, body),
      files,
      outputLimitBytes: limits.responseLimitBytes,
      log,
      turns,
      charge: (bytes) => {
        instance.host.charge(callFuel(bytes));
        if (bytes > longCallBytes) instance.host.endSlice();
      },
    });
    try {
      turns.mayYield = true;
      await instance.prepare();
      return this.#exit(await instance.run());
    } finally {
      turns.mayYield = false;
      this.#system.flush();
    }
  }

  protected ending(): Outcome | undefined {
    const { exitCode, outputTooLarge } = this.system;
    const { stopped, failure } = this.#instance.host;
    const { responseLimitBytes, memoryLimitBytes, fuel } = this.options.limits;
    if (outputTooLarge) return { kind: "responseTooLarge", limitBytes: responseLimitBytes };
    if (exitCode !== null) return this.#exit(exitCode);
    switch (stopped) {
      case "host":
        if (failure !== undefined) throw failure;
        return this.limitOutcome();
      case "fuel":
        return { kind: "outOfFuel", fuel: fuel ?? 0 };
      case "memory":
        return { kind: "outOfMemory", limitBytes: memoryLimitBytes };
      case "table":
        return { kind: "trapped", message: "the module's tables grew beyond their limit" };
      default:
        return undefined;
    }
  }

  protected used() {
    return {
      fuel: Number(this.#instance.host.fuelUsed),
      memoryBytes: this.#instance.memoryBytes,
      hostCalls: this.#system?.sleeps ?? 0,
    };
  }

  protected wake(): void {
    this.#system?.wake();
  }

  protected release(broken: boolean): void {
    this.#pool.release(this.#instance, broken);
  }

  #exit(code: number): Outcome {
    if (code === 0) return outcomeOf(this.#program.manifest.stdio, this.system.output());
    const message = `the module exited with code ${code}`;
    return { kind: "threw", error: { name: "Exit", message, code: "module_exit" } };
  }
}
