import type { Config } from "./config.ts";
import { codeOf, PlatformError } from "./errors.ts";
import { LiveFunction } from "./live-function.ts";
import type { Compiler, Program, Runtime, ServicesProvider } from "./ports.ts";
import type { FunctionStore, StoredFunction } from "./store/functions.ts";

export interface RegistryDeps {
  config: Config;
  functions: Pick<FunctionStore, "list" | "artifact">;
  runtime: Pick<Runtime, "load">;
  compiler: Pick<Compiler, "rebuild">;
  services: Pick<ServicesProvider, "forFunction">;
}

/** Which version answers for which name. Whoever holds a `LiveFunction` keeps it: a swap disturbs no request. */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #live = new Map<string, LiveFunction>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** Takes in what is stored; artefacts are read when they are first needed. */
  async load(): Promise<void> {
    for (const stored of await this.#deps.functions.list()) this.put(stored);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Throws `function_not_found`. */
  get(name: string): LiveFunction {
    const live = this.#live.get(name);
    if (!live) throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    return live;
  }

  list(): LiveFunction[] {
    return [...this.#live.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Makes a version answer from now on. */
  put(stored: StoredFunction, program?: Program): LiveFunction {
    const { config, functions, services } = this.#deps;
    const target = { functionName: stored.name, version: stored.liveVersion, config: stored.config };
    const load = async () => {
      const artifact = await functions.artifact(stored.id, stored.liveVersion);
      if (!artifact) throw new PlatformError("function_not_found", `${stored.name} was deleted`);
      return this.#loadOrRebuild(artifact);
    };
    const live = new LiveFunction(stored, config, services.forFunction(target), load, program);
    this.#live.set(stored.name, live);
    return live;
  }

  remove(name: string): void {
    this.#live.delete(name);
  }

  /** After an upgrade of the engine a stored artefact fits no longer; what it was made of is in it. */
  async #loadOrRebuild(artifact: Uint8Array): Promise<Program> {
    const { runtime, compiler } = this.#deps;
    try {
      return await runtime.load(artifact);
    } catch (error) {
      if (codeOf(error) !== "engine_mismatch" || !compiler.rebuild) throw error;
      return runtime.load(await compiler.rebuild(artifact));
    }
  }
}
