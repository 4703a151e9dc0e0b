import type { RunOptions } from "../execution.ts";
import { guestStack } from "../guest-stack.ts";
import type { InvocationRequest, Outcome } from "../invocation.ts";
import { callFuel, MeteredExecution } from "../metered-execution.ts";
import type { HeaderList } from "../protocol.ts";
import type { Scheduler } from "../scheduler.ts";
import { ComponentInstance } from "./component-instance.ts";
import type { ComponentPool } from "./component-pool.ts";
import type { ComponentProgram } from "./component-program.ts";
import { functionImports } from "./function-imports.ts";
import { httpWorld } from "./http.ts";
import { ioImports } from "./io.ts";
import { cliImports, clockImports, emptyImports, randomImports } from "./system.ts";
import { World } from "./world.ts";

type Handler = { handle: (...args: unknown[]) => unknown };

/** One request to a component, in an instance of its own. */
export class ComponentExecution extends MeteredExecution {
  readonly #pool: ComponentPool;
  readonly #program: ComponentProgram;
  readonly #world: World;
  readonly #instance: ComponentInstance;

  /** @throws RuntimeError `overloaded`. */
  constructor(
    pool: ComponentPool,
    program: ComponentProgram,
    options: RunOptions,
    scheduler: Scheduler,
    began: number,
  ) {
    super(options, scheduler, began);
    pool.acquire();
    this.#pool = pool;
    this.#program = program;
    const { log, turns } = this;
    this.#world = new World({
      env: options.env,
      functionName: options.context.functionName,
      services: options.services,
      outputLimitBytes: options.limits.responseLimitBytes,
      log,
      turns,
      charge: (bytes) => this.#instance.charge(callFuel(bytes)),
      endSlice: () => this.#instance.endSlice(),
    });
    this.#instance = new ComponentInstance(program, options.limits, turns, this.#world);
  }

  protected async call(request: InvocationRequest, body: Uint8Array): Promise<Outcome> {
    const { entry, exportName } = this.#program.manifest;
    const world = this.#world;
    const http = httpWorld(world);
    const exports = await this.#instance.start({
      ...ioImports(world),
      ...cliImports(world),
      ...clockImports(world),
      ...randomImports(world),
      ...emptyImports,
      ...http.imports,
      ...functionImports(world),
    });
    const handler = exports[exportName] as Handler;
    if (entry === "thimble:function/handler") return this.#handle(handler, request, body);
    await handler.handle(...http.parameters(request, body));
    const { response, error } = http.answer();
    if (response) return this.#completed(response.status, response.headers, response.body as Uint8Array);
    if (error !== null) return failed(`the component answered with the error ${error}`);
    return { kind: "invalidResponse", message: "the component returned without an answer" };
  }

  async #handle(
    handler: Handler,
    { method, url, headers }: InvocationRequest,
    body: Uint8Array,
  ): Promise<Outcome> {
    let response: { status: number; headers: HeaderList; body: Uint8Array };
    try {
      response = (await handler.handle({ method, url, headers, body })) as typeof response;
    } catch (cause) {
      // the err of its result
      const said = typeof cause === "string" ? cause : (cause as { payload?: unknown } | null)?.payload;
      if (typeof said === "string") return failed(said);
      throw cause;
    }
    return this.#completed(response.status, response.headers, response.body);
  }

  #completed(status: number, headers: HeaderList, body: Uint8Array): Outcome {
    const { responseLimitBytes } = this.options.limits;
    if (body.length > responseLimitBytes) return { kind: "responseTooLarge", limitBytes: responseLimitBytes };
    return { kind: "completed", response: { status, headers, body } };
  }

  protected ending(): Outcome | undefined {
    const { exitCode, outputTooLarge, refused } = this.#world;
    const { responseLimitBytes, memoryLimitBytes, fuel } = this.options.limits;
    const instance = this.#instance;
    instance.settle();
    if (outputTooLarge) return { kind: "responseTooLarge", limitBytes: responseLimitBytes };
    if (exitCode !== null) return failed(`the component exited with code ${exitCode}`, "Exit", "module_exit");
    if (refused !== null) return { kind: "trapped", message: refused };
    if (this.turns.held)
      return { kind: "trapped", message: "the component computed too long where it can't be suspended" };
    switch (instance.stopped) {
      case "memory":
        return { kind: "outOfMemory", limitBytes: memoryLimitBytes };
      case "table":
        return { kind: "trapped", message: "the component's tables grew beyond their limit" };
      case "fuel":
        return { kind: "outOfFuel", fuel: fuel ?? 0 };
      case "host":
        if (instance.failure !== undefined) throw instance.failure;
        return this.limitOutcome();
    }
    return this.turns.stopReason === null ? undefined : this.limitOutcome();
  }

  /** The glue throws errors of JavaScript for what a component does wrong. */
  protected override failure(cause: unknown): Outcome {
    if (cause instanceof RangeError && !cause.message.includes("call stack"))
      return failed(cause.message, "ComponentError");
    if (
      cause instanceof Error &&
      !(cause instanceof WebAssembly.RuntimeError) &&
      !(cause instanceof RangeError)
    ) {
      const stack = guestStack(cause);
      return {
        kind: "threw",
        error: { name: "ComponentError", message: cause.message, ...(stack && { stack }) },
      };
    }
    return super.failure(cause);
  }

  protected used() {
    return {
      fuel: this.#instance.fuelUsed,
      memoryBytes: this.#instance.memoryBytes,
      hostCalls: this.#world.operations,
    };
  }

  protected wake(): void {
    this.#world.stop();
  }

  protected release(): void {
    this.#instance[Symbol.dispose]();
    this.#world[Symbol.dispose]();
    this.#pool.release();
  }
}

function failed(message: string, name = "Error", code?: string): Outcome {
  return { kind: "threw", error: { name, message, ...(code && { code }) } };
}
