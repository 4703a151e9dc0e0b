import type { InvocationLimits } from "../runtime/invocation.ts";
import type { Program } from "../runtime/program.ts";
import type { RuntimeOptions } from "../runtime/runtime.ts";
import { Runtime } from "../runtime/runtime.ts";
import { HostError, type HostServices } from "../runtime/services.ts";
import { type FunctionLimits, LoadedFunction, lowered } from "./loaded-function.ts";

/** Bounds of every call, unless the runtime or the function has tighter ones: those that the server has by default. */
const defaultLimits: InvocationLimits = {
  timeoutMs: 5_000,
  cpuMs: null,
  memoryLimitBytes: 128 * 1024 * 1024,
  fuel: null,
  responseLimitBytes: 10 * 1024 * 1024,
};

export interface EmbeddedRuntimeOptions extends RuntimeOptions {
  /** In place of the default limits: 5 s, 128 MiB of memory, 10 MiB of response. */
  limits?: FunctionLimits;
  /** What functions may ask of the host. Default: nothing; every call of it is refused. */
  services?: Partial<HostServices>;
}

export interface LoadOptions {
  /** Name that the function sees. Default "function". */
  name?: string;
  /** Its variables. Default none. */
  env?: Record<string, string>;
  /** Lowers the runtime's limits; the function's own configuration lowers them further. */
  limits?: FunctionLimits;
  /** In place of the runtime's, service by service. */
  services?: Partial<HostServices>;
}

/** A runtime in somebody's own program. Disposing waits for what is running, which its limits end. */
export class EmbeddedRuntime implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #limits: InvocationLimits;
  readonly #services: HostServices;

  constructor(runtime: Runtime, limits: InvocationLimits, services: HostServices) {
    this.#runtime = runtime;
    this.#limits = limits;
    this.#services = services;
  }

  /** Makes an artefact ready to be called. @throws RuntimeError `artifact_invalid`, `engine_mismatch`. */
  async load(artifact: Uint8Array, options: LoadOptions = {}): Promise<LoadedFunction> {
    const program: Program = await this.#runtime.load(artifact);
    const { timeoutMs, memoryMb, fuel, cpuMs } = program.manifest.config;
    const own: FunctionLimits = {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(memoryMb !== undefined && { memoryLimitBytes: memoryMb * 1024 * 1024 }),
      ...(fuel !== undefined && { fuel }),
      ...(cpuMs !== undefined && { cpuMs }),
    };
    return new LoadedFunction(this.#runtime, program, {
      name: options.name ?? "function",
      limits: lowered(lowered(this.#limits, options.limits ?? {}), own),
      env: { ...options.env },
      services: { ...this.#services, ...options.services },
    });
  }

  /** Sandboxes that there are. */
  stats(): { instances: number; busy: number; idle: number } {
    return this.#runtime.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }
}

/** A runtime for functions that {@link compile} has made. One for each thread: its sandboxes share that. */
export async function createRuntime(options: EmbeddedRuntimeOptions = {}): Promise<EmbeddedRuntime> {
  const { limits = {}, services = {}, ...pool } = options;
  const { loadEngine } = await import("../compiler/engine/load-engine.ts");
  const runtime = new Runtime(await loadEngine(), pool);
  return new EmbeddedRuntime(runtime, { ...defaultLimits, ...limits }, { ...refusing, ...services });
}

const refuse = (what: string) => (): never => {
  throw new HostError("unavailable", `${what} is not available`);
};

const refusing: HostServices = {
  fetch: async () => refuse("the network")(),
  openDatabase: () => ({ query: async () => refuse("the database")(), release() {}, close() {} }),
};
