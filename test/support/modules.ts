import type { BuildResult, ModuleInput } from "../../compiler/index.ts";
import {
  type InvocationRequest,
  type InvocationResult,
  type ModuleProgram,
  type Program,
  Runtime,
  type RuntimeOptions,
} from "../../runtime/index.ts";
import { compiler, engine, limits, noServices, type RunOptions } from "./sandbox.ts";

export type BuildOptions = Omit<ModuleInput, "module">;

export const buildWasm = (module: Uint8Array, options: BuildOptions = {}): Promise<BuildResult> =>
  compiler.build({ module, ...options });

export interface ModuleBench {
  runtime: Runtime;
  program(module: Uint8Array, options?: BuildOptions): Promise<ModuleProgram>;
  run(program: Program, options?: RunOptions): Promise<InvocationResult>;
}

/** A runtime of its own, with short ways to run modules. */
export function modules(options?: RuntimeOptions): ModuleBench {
  const runtime = new Runtime(engine, { warm: 0, ...options });
  return {
    runtime,
    program: async (module, how) =>
      (await runtime.load((await buildWasm(module, how)).artifact)) as ModuleProgram,
    run: (program, { request, env = {}, services, signal, ...own } = {}) => {
      const whole: InvocationRequest = {
        method: "POST",
        url: "http://localhost/",
        headers: [],
        body: new Uint8Array(0),
        ...request,
      };
      return runtime.run(program, whole, {
        limits: { ...limits, ...own },
        env,
        context: { requestId: "r1", functionName: "test", version: 1 },
        services: { ...noServices, ...services },
        ...(signal ? { signal } : {}),
      });
    },
  };
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
