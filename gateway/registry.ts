import type { Config } from "./config.ts";
import { codeOf, PlatformError } from "./errors.ts";
import { LiveFunction } from "./live-function.ts";
import type { Compiler, Program, Runtime, ServicesProvider } from "./ports.ts";
import { Route } from "./route.ts";
import type { FunctionStore } from "./store/functions.ts";
import type { StoredFunction, VersionRef } from "./store/read-functions.ts";

export interface RegistryDeps {
  config: Config;
  functions: Pick<FunctionStore, "list" | "artifact" | "replaceArtifact">;
  runtime: Pick<Runtime, "load">;
  compiler: Pick<Compiler, "rebuild">;
  services: Pick<ServicesProvider, "forFunction">;
}

/** Which versions answer for which name. Whoever holds a `LiveFunction` keeps it: a swap disturbs no request. */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #routes = new Map<string, Route>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** Takes in what is stored; artefacts are read when they are first needed. */
  async load(): Promise<void> {
    for (const stored of await this.#deps.functions.list()) this.put(stored);
  }

  get size(): number {
    return this.#routes.size;
  }

  /** Throws `function_not_found`. */
  route(name: string): Route {
    const route = this.#routes.get(name);
    if (!route) throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    return route;
  }

  /** The version with the largest share. Throws `function_not_found`. */
  get(name: string): LiveFunction {
    return this.route(name).main;
  }

  list(): Route[] {
    return [...this.#routes.values()].sort((a, b) => (a.stored.name < b.stored.name ? -1 : 1));
  }

  /** Makes this the function's state from now on. `built` spares loading the version that was just built. */
  put(stored: StoredFunction, built?: { version: number; program: Program }): Route {
    const { config, services } = this.#deps;
    const before = this.#routes.get(stored.name);
    const route = new Route(stored, (ref) => {
      const { version } = ref;
      const target = { functionName: stored.name, version, config: ref.config };
      const load = () => this.#program(stored, ref);
      // A program is the same whatever the secrets and shares are.
      const loaded = before?.stored.id === stored.id ? before.loaded(version)?.loadedProgram : undefined;
      const program = built?.version === version ? Promise.resolve(built.program) : loaded;
      return new LiveFunction(stored, ref, config, services.forFunction(target), load, program);
    });
    // Versions that answered lately are kept, so that to go back to one takes no time.
    for (const { version } of stored.versions) {
      if (before?.loaded(version) || built?.version === version) route.find(version);
    }
    this.#routes.set(stored.name, route);
    return route;
  }

  remove(name: string): void {
    this.#routes.delete(name);
  }

  async #program({ id, name }: StoredFunction, { version }: VersionRef): Promise<Program> {
    const artifact = await this.#deps.functions.artifact(id, version);
    if (!artifact) throw new PlatformError("function_not_found", `${name} was deleted`);
    return this.#loadOrRebuild(id, version, artifact);
  }

  /** After an upgrade of the engine a stored artefact fits no longer; what it was made of is in it. */
  async #loadOrRebuild(functionId: string, version: number, artifact: Uint8Array): Promise<Program> {
    const { runtime, compiler, functions } = this.#deps;
    try {
      return await runtime.load(artifact);
    } catch (error) {
      if (codeOf(error) !== "engine_mismatch" || !compiler.rebuild) throw error;
      const rebuilt = await compiler.rebuild(artifact);
      const program = await runtime.load(rebuilt);
      await functions.replaceArtifact(functionId, version, rebuilt);
      return program;
    }
  }
}
