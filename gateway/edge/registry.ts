import type { EdgeConfig } from "../config.ts";
import { codeOf, PlatformError } from "../errors.ts";
import { LiveFunction } from "../live-function.ts";
import type { ArtifactSource, Program, Runtime, ServicesProvider } from "../ports.ts";
import type { StoredFunction } from "../store/functions.ts";

export interface RegistryDeps {
  config: EdgeConfig;
  artifacts: ArtifactSource;
  runtime: Pick<Runtime, "load">;
  services: Pick<ServicesProvider, "forFunction">;
}

/** Which version answers for which name. Whoever holds a `LiveFunction` keeps it: a swap disturbs no request. */
export class Registry {
  readonly #deps: RegistryDeps;
  readonly #live = new Map<string, LiveFunction>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** Throws `function_not_found`. */
  get(name: string): LiveFunction {
    const live = this.#live.get(name);
    if (!live) throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    return live;
  }

  /** Makes a version answer from now on; without its program, that is loaded when it is first needed. */
  put(stored: StoredFunction, program?: Program): void {
    const { config, services } = this.#deps;
    const target = { functionName: stored.name, version: stored.liveVersion, config: stored.config };
    const load = () => this.#load(stored);
    const live = new LiveFunction(stored, config, services.forFunction(target), load, program);
    this.#live.set(stored.name, live);
  }

  remove(name: string): void {
    this.#live.delete(name);
  }

  async #load({ id, name, liveVersion }: StoredFunction): Promise<Program> {
    const { artifacts, runtime } = this.#deps;
    const existing = (artifact: Uint8Array | undefined) => {
      if (!artifact) throw new PlatformError("function_not_found", `${name} was deleted`);
      return artifact;
    };
    try {
      return await runtime.load(existing(await artifacts.artifact(id, liveVersion)));
    } catch (error) {
      // After an upgrade of the engine a stored artefact fits no longer; what it was made of is in it.
      if (codeOf(error) !== "engine_mismatch") throw error;
      return runtime.load(existing(await artifacts.rebuilt(id, liveVersion)));
    }
  }
}
