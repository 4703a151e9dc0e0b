import type { Analysis, Bundle, FunctionConfig } from "../../compiler/types.ts";
import type { Catalog, DeployedFunction } from "../catalog.ts";
import { codeOf, PlatformError } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { FunctionLogs } from "../function-logs.ts";
import { checkFunctionName } from "../function-name.ts";
import { KeyedLock } from "../keyed-lock.ts";
import type { BuildInput, Compiler } from "../ports.ts";
import type { Actor, FunctionStore, StoredFunction } from "../store/functions.ts";

export interface DeployerDeps {
  compiler: Compiler;
  functions: FunctionStore;
  catalog: Catalog;
  fleet: Pick<Fleet, "check" | "put" | "remove">;
  logs: FunctionLogs;
  requireAnnotation: boolean;
}

export interface DeployRequest {
  name: string;
  files: Record<string, string>;
  entry?: string | undefined;
  config?: FunctionConfig | undefined;
  bundle?: Bundle | undefined;
  allowUnannotated?: boolean | undefined;
}

const ENTRY_NAMES = ["index", "main", "function", "handler", "app", "server", "worker", "mod"];
const ENTRY_EXTENSIONS = ["ts", "tsx", "mts", "js", "mjs", "jsx"];

/** Changes what is live. Changes of one function happen one after the other; all are stored before they take effect. */
export class Deployer {
  readonly #deps: DeployerDeps;
  readonly #lock = new KeyedLock();

  constructor(deps: DeployerDeps) {
    this.#deps = deps;
  }

  /**
   * Analyses, builds, stores, makes live (R5). Throws `analysis_failed` with the findings, `compile_failed`, or
   * `invalid_input`; nothing is stored then.
   */
  deploy(request: DeployRequest, by: Actor): Promise<{ deployed: DeployedFunction; analysis: Analysis }> {
    const name = checkFunctionName(request.name);
    const input = this.#buildInput(request);
    return this.#lock.run(name, async () => {
      const { functions, fleet } = this.#deps;
      const { artifact, analysis } = await this.#build(input);
      await fleet.check(artifact).catch((error) => {
        throw new PlatformError("compile_failed", "The built artefact cannot be loaded", { cause: error });
      });
      const config = { ...analysis.config, ...request.config } as FunctionConfig;
      const stored = await functions.deploy({ name, artifact, analysis, config }, by);
      return { deployed: await this.#publish(stored, artifact), analysis };
    });
  }

  /** Makes an earlier version live. Throws `function_not_found`, `version_not_found`. */
  rollback(name: string, version: number, by: Actor): Promise<DeployedFunction> {
    return this.#lock.run(name, async () => {
      const { functions, catalog } = this.#deps;
      catalog.get(name);
      const stored = await functions.setLive(name, version, by);
      if (!stored) throw new PlatformError("version_not_found", `${name} has no version ${version}`);
      return this.#publish(stored);
    });
  }

  /** Removes a function and all its versions; what is in flight ends normally. Throws `function_not_found`. */
  remove(name: string, by: Actor): Promise<void> {
    return this.#lock.run(name, async () => {
      const { functions, catalog, fleet, logs } = this.#deps;
      catalog.get(name);
      await functions.remove(name, by);
      catalog.remove(name);
      await fleet.remove(name);
      logs.clear(name);
    });
  }

  /** The catalogue goes first: whoever starts to run functions meanwhile begins with what is in it. */
  async #publish(stored: StoredFunction, artifact?: Uint8Array): Promise<DeployedFunction> {
    const { catalog, fleet } = this.#deps;
    const deployed = catalog.put(stored);
    await fleet.put(stored, artifact);
    return deployed;
  }

  #buildInput(request: DeployRequest): BuildInput {
    const sources = { entry: request.entry ?? findEntry(request.files), files: request.files };
    if (!Object.hasOwn(request.files, sources.entry)) {
      throw new PlatformError(
        "invalid_input",
        `entry: ${JSON.stringify(sources.entry)} is not among the files`,
      );
    }
    const requireAnnotation = this.#deps.requireAnnotation && !request.allowUnannotated;
    return request.bundle
      ? { sources, bundle: request.bundle, requireAnnotation }
      : { sources, requireAnnotation };
  }

  async #build(input: BuildInput): Promise<{ artifact: Uint8Array; analysis: Analysis }> {
    try {
      return await this.#deps.compiler.build(input);
    } catch (error) {
      throw buildError(error);
    }
  }
}

function findEntry(files: Record<string, string>): string {
  const paths = Object.keys(files);
  if (paths.length === 1) return paths[0] as string;
  for (const folder of ["", "src/"]) {
    for (const name of ENTRY_NAMES) {
      for (const extension of ENTRY_EXTENSIONS) {
        const path = `${folder}${name}.${extension}`;
        if (Object.hasOwn(files, path)) return path;
      }
    }
  }
  throw new PlatformError("invalid_input", "entry: name the entry file, or call it index.ts");
}

/** The compiler's refusals, whose messages are about the user's own sources, as errors for the client. */
function buildError(error: unknown): unknown {
  const code = codeOf(error);
  if (code !== "analysis_failed" && code !== "compile_failed") return error;
  const { message, analysis, findings } = error as Error & {
    analysis?: Analysis;
    findings?: Analysis["findings"];
  };
  const shown = analysis ?? (findings?.length ? { passed: false, findings, config: {} } : undefined);
  return new PlatformError(code, message, shown ? { cause: error, analysis: shown } : { cause: error });
}
