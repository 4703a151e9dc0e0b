import { setTimeout as sleep } from "node:timers/promises";
import type { Analysis, Bundle, FunctionConfig } from "../../compiler/types.ts";
import { codeOf, PlatformError } from "../errors.ts";
import type { FunctionLogs } from "../function-logs.ts";
import { checkFunctionName } from "../function-name.ts";
import { KeyedLock } from "../keyed-lock.ts";
import type { BuildInput, Compiler, Runtime } from "../ports.ts";
import type { Registry } from "../registry.ts";
import type { Route } from "../route.ts";
import type { Actor, FunctionStore } from "../store/functions.ts";
import type { StoredFunction } from "../store/read-functions.ts";
import { allTo, type Traffic } from "../traffic.ts";

const DRAIN_POLL_MS = 20;

export interface DeployerDeps {
  compiler: Compiler;
  runtime: Pick<Runtime, "load">;
  functions: FunctionStore;
  registry: Registry;
  logs: FunctionLogs;
  requireAnnotation: boolean;
  /** Executions of a function under way. */
  active(name: string): number;
  /** How long a deletion waits for them, ms. */
  drainMs: number;
}

export interface DeployRequest {
  name: string;
  files: Record<string, string>;
  entry?: string | undefined;
  config?: FunctionConfig | undefined;
  bundle?: Bundle | undefined;
  allowUnannotated?: boolean | undefined;
  /** Stores the version and leaves the traffic where it is; it has a preview. Default: false. */
  withoutTraffic?: boolean | undefined;
}

export interface Deployment {
  route: Route;
  version: number;
  /** False when the same content had been deployed before. */
  created: boolean;
  analysis: Analysis;
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
  deploy(request: DeployRequest, by: Actor): Promise<Deployment> {
    const name = checkFunctionName(request.name);
    const input = this.#buildInput(request);
    return this.#lock.run(name, async () => {
      const { runtime, functions, registry } = this.#deps;
      const { artifact, analysis } = await this.#build(input);
      let program: unknown;
      try {
        program = await runtime.load(artifact);
      } catch (error) {
        throw new PlatformError("compile_failed", "The built artefact cannot be loaded", { cause: error });
      }
      const config = { ...analysis.config, ...request.config } as FunctionConfig;
      const { withoutTraffic = false } = request;
      const done = await functions.deploy({ name, artifact, analysis, config, withoutTraffic }, by);
      const { stored, version, created } = done;
      return { route: registry.put(stored, { version, program }), version, created, analysis };
    });
  }

  /** Sends all traffic to an earlier version. Throws `function_not_found`, `version_not_found`. */
  rollback(name: string, version: number, by: Actor): Promise<Route> {
    return this.#setTraffic(name, allTo(version), by, "rollback");
  }

  /** Shares the traffic out among versions. Throws `function_not_found`, `version_not_found`. */
  setTraffic(name: string, traffic: Traffic, by: Actor): Promise<Route> {
    return this.#setTraffic(name, traffic, by, "traffic");
  }

  /** Any other change of what a function's executions depend on. Throws `function_not_found` when `change` finds nothing to change. */
  change(name: string, change: () => Promise<StoredFunction | undefined>): Promise<Route> {
    return this.#lock.run(name, async () => {
      const { registry } = this.#deps;
      registry.route(name);
      const stored = await change();
      if (stored) return registry.put(stored);
      throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    });
  }

  /**
   * Removes a function and all its versions, and waits for what is in flight, which ends normally. Resolves with the
   * executions that outlasted the wait. Throws `function_not_found`.
   */
  async remove(name: string, by: Actor): Promise<number> {
    const { functions, registry, logs, active, drainMs } = this.#deps;
    await this.#lock.run(name, async () => {
      registry.route(name);
      await functions.remove(name, by);
      registry.remove(name);
      logs.clear(name);
    });
    const endsAt = performance.now() + drainMs;
    while (active(name) > 0 && performance.now() < endsAt) await sleep(DRAIN_POLL_MS);
    return active(name);
  }

  #setTraffic(name: string, traffic: Traffic, by: Actor, action: "traffic" | "rollback"): Promise<Route> {
    return this.#lock.run(name, async () => {
      const { functions, registry } = this.#deps;
      registry.route(name);
      const stored = await functions.setTraffic(name, traffic, by, action);
      if (stored) return registry.put(stored);
      const wanted = traffic.shares.map(({ version }) => version).join(", ");
      throw new PlatformError("version_not_found", `${name} has no version ${wanted}`);
    });
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
