import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Analysis, Bundle, FunctionConfig } from "../../compiler/types.ts";
import type { Catalog, DeployedFunction } from "../catalog.ts";
import { codeOf, PlatformError } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { FunctionLogs } from "../function-logs.ts";
import { checkFunctionName } from "../function-name.ts";
import { KeyedLock } from "../keyed-lock.ts";
import type { Metrics } from "../metrics.ts";
import type { BuildInput, Compiler } from "../ports.ts";
import type { Actor, FunctionStore } from "../store/functions.ts";
import type { StoredFunction } from "../store/read-functions.ts";
import { allTo, type Traffic } from "../traffic.ts";

const DRAIN_POLL_MS = 20;

export interface DeployerDeps {
  compiler: Compiler;
  functions: FunctionStore;
  catalog: Catalog;
  fleet: Pick<Fleet, "check" | "put" | "remove" | "stats">;
  logs: Pick<FunctionLogs, "clear">;
  metrics: Pick<Metrics, "forget">;
  requireAnnotation: boolean;
  /** How long a deletion waits for executions under way, ms. */
  drainMs: number;
}

export interface DeployRequest {
  name: string;
  files: Record<string, string>;
  entry?: string | undefined;
  /** A WebAssembly file in base64, in place of files; `assets` are what it finds in `/`. */
  module?: string | undefined;
  fileName?: string | undefined;
  assets?: Record<string, string> | undefined;
  config?: FunctionConfig | undefined;
  bundle?: Bundle | undefined;
  allowUnannotated?: boolean | undefined;
  /** Stores the version and leaves the traffic where it is; it has a preview. Default: false. */
  withoutTraffic?: boolean | undefined;
}

export interface Deployment {
  deployed: DeployedFunction;
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
      const { fleet, functions } = this.#deps;
      const { artifact, analysis } = await this.#build(input, by.actor);
      await fleet.check(artifact).catch((error) => {
        throw new PlatformError("compile_failed", "The built artefact cannot be loaded", { cause: error });
      });
      const config = { ...analysis.config, ...request.config } as FunctionConfig;
      const { withoutTraffic = false } = request;
      const done = await functions.deploy({ name, artifact, analysis, config, withoutTraffic }, by);
      const { stored, version, created } = done;
      return { deployed: await this.#publish(stored, { version, artifact }), version, created, analysis };
    });
  }

  /** Sends all traffic to an earlier version. Throws `function_not_found`, `version_not_found`. */
  rollback(name: string, version: number, by: Actor): Promise<DeployedFunction> {
    return this.#setTraffic(name, allTo(version), by, "rollback");
  }

  /** Shares the traffic out among versions. Throws `function_not_found`, `version_not_found`. */
  setTraffic(name: string, traffic: Traffic, by: Actor): Promise<DeployedFunction> {
    return this.#setTraffic(name, traffic, by, "traffic");
  }

  /** Any other change of what a function's executions depend on. Throws `function_not_found` when `change` finds nothing to change. */
  change(name: string, change: () => Promise<StoredFunction | undefined>): Promise<DeployedFunction> {
    return this.#lock.run(name, async () => {
      this.#deps.catalog.get(name);
      const stored = await change();
      if (stored) return this.#publish(stored);
      throw new PlatformError("function_not_found", `There is no function ${JSON.stringify(name)}`);
    });
  }

  /**
   * Removes a function and all its versions, and waits for what is in flight, which ends normally. Resolves with the
   * executions that outlasted the wait. Throws `function_not_found`.
   */
  async remove(name: string, by: Actor): Promise<number> {
    const { functions, catalog } = this.#deps;
    await this.#lock.run(name, async () => {
      catalog.get(name);
      await functions.remove(name, by);
      await this.#withdraw(name);
    });
    return this.#drain(name);
  }

  /** Takes in what another server on the same database has made of a function. */
  refresh(name: string): Promise<void> {
    return this.#lock.run(name, async () => {
      const { functions, catalog } = this.#deps;
      const [stored, known] = [await functions.get(name), catalog.find(name)];
      if (stored) {
        if (!known || !isSame(known, stored)) await this.#publish(stored);
      } else if (known) {
        await this.#withdraw(name);
        void this.#drain(name);
      }
    });
  }

  async #withdraw(name: string): Promise<void> {
    const { catalog, fleet, logs } = this.#deps;
    catalog.remove(name);
    await fleet.remove(name);
    logs.clear(name);
  }

  /** Waits for the last executions; resolves with those that outlast the wait. */
  async #drain(name: string): Promise<number> {
    const { fleet, metrics, drainMs } = this.#deps;
    const active = async () => (await fleet.stats()).active[name] ?? 0;
    const endsAt = performance.now() + drainMs;
    let left = await active();
    while (left > 0 && performance.now() < endsAt) {
      await sleep(DRAIN_POLL_MS);
      left = await active();
    }
    metrics.forget(name);
    return left;
  }

  #setTraffic(
    name: string,
    traffic: Traffic,
    by: Actor,
    action: "traffic" | "rollback",
  ): Promise<DeployedFunction> {
    return this.#lock.run(name, async () => {
      const { functions, catalog } = this.#deps;
      catalog.get(name);
      const stored = await functions.setTraffic(name, traffic, by, action);
      if (stored) return this.#publish(stored);
      const wanted = traffic.shares.map(({ version }) => version).join(", ");
      throw new PlatformError("version_not_found", `${name} has no version ${wanted}`);
    });
  }

  /** The catalogue goes first: whoever starts to run functions meanwhile begins with what is in it. */
  async #publish(
    stored: StoredFunction,
    built?: { version: number; artifact: Uint8Array },
  ): Promise<DeployedFunction> {
    const { catalog, fleet } = this.#deps;
    const deployed = catalog.put(stored);
    await fleet.put(stored, built);
    return deployed;
  }

  #buildInput(request: DeployRequest): BuildInput {
    if (request.module !== undefined) return moduleInput(request.module, request);
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

  async #build(input: BuildInput, lane: string): Promise<{ artifact: Uint8Array; analysis: Analysis }> {
    try {
      return await this.#deps.compiler.build(input, lane);
    } catch (error) {
      throw buildError(error);
    }
  }
}

/** Keys change without a new revision. */
const isSame = (known: StoredFunction, { id, revision, keys }: StoredFunction) =>
  known.id === id && known.revision === revision && isDeepStrictEqual(known.keys, keys);

function moduleInput(
  module: string,
  { files, bundle, config, fileName, assets = {} }: DeployRequest,
): BuildInput {
  if (Object.keys(files).length > 0 || bundle) {
    throw new PlatformError("invalid_input", "module: a WebAssembly file has no sources beside it");
  }
  const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
  const decoded = Object.entries(assets).map(([path, base64]) => [path, bytes(base64)] as const);
  return { module: bytes(module), fileName, files: Object.fromEntries(decoded), config };
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
