import type { EdgeConfig } from "../config.ts";
import { codeOf, PlatformError } from "../errors.ts";
import { LiveFunction } from "../live-function.ts";
import type { ArtifactSource, Program, Runtime, ServicesProvider } from "../ports.ts";
import type { StoredFunction, VersionRef } from "../store/read-functions.ts";
import { Route } from "./route.ts";

export interface RegistryDeps {
  config: EdgeConfig;
  artifacts: ArtifactSource;
  runtime: Pick<Runtime, "load">;
  services: Pick<ServicesProvider, "forFunction">;
}

/** Which versions answer for which name. Whoever holds a `LiveFunction` keeps it: a swap disturbs no request. */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #routes = new Map<string, Route>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  find(name: string): Route | undefined {
    return this.#routes.get(name);
  }

  /** Throws `function_not_found`. */
  route(name: string): Route {
    const route = this.find(name);
    if (!route) throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    return route;
  }

  /** The version with the largest share. Throws `function_not_found`. */
  get(name: string): LiveFunction {
    return this.route(name).main;
  }

  /** Makes this the function's state from now on. `built` spares loading a version that was just built. */
  put(stored: StoredFunction, built?: { version: number; program: Program }): void {
    const { config, services } = this.#deps;
    const before = this.#routes.get(stored.name);
    const route = new Route(stored, (ref) => {
      const { version } = ref;
      const target = { functionName: stored.name, version, config: ref.config };
      // A program is the same whatever the secrets and shares are.
      const loaded = before?.stored.id === stored.id ? before.loaded(version)?.loadedProgram : undefined;
      const program = built?.version === version ? Promise.resolve(built.program) : loaded;
      const load = () => this.#load(stored, ref);
      return new LiveFunction(stored, ref, config, services.forFunction(target), load, program);
    });
    // Versions that answered lately are kept, so that to go back to one takes no time.
    for (const { version } of stored.versions) {
      if (before?.loaded(version) || built?.version === version) route.find(version);
    }
    this.#routes.set(stored.name, route);
  }

  remove(name: string): void {
    this.#routes.delete(name);
  }

  async #load({ id, name }: StoredFunction, { version }: VersionRef): Promise<Program> {
    const { artifacts, runtime } = this.#deps;
    const existing = (artifact: Uint8Array | undefined) => {
      if (!artifact) throw new PlatformError("function_not_found", `${name} was deleted`);
      return artifact;
    };
    try {
      return await runtime.load(existing(await artifacts.artifact(id, version)));
    } catch (error) {
      // After an upgrade of the engine a stored artefact fits no longer; what it was made of is in it.
      if (codeOf(error) !== "engine_mismatch") throw error;
      return runtime.load(existing(await artifacts.rebuilt(id, version)));
    }
  }
}
