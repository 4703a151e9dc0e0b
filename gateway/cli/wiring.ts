import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readSources } from "../../compiler/sources.ts";
import type { Analysis, Bundle, SourceFiles } from "../../compiler/types.ts";
import type { ModuleInput } from "../../compiler/wasm-module/build-module.ts";
import type { Engine } from "../../runtime/engine.ts";
import { type Config, type EdgeConfig, edgeConfig } from "../config.ts";
import type { Logger } from "../log.ts";
import type { Compiler, EdgeParts, FunctionDatabase } from "../ports.ts";
import type { ServerDeps } from "../server.ts";

/**
 * The one place where the gateway meets its neighbours: everything else in this folder knows them by the interfaces
 * in `ports.ts`. Loaded when needed, so that `thimble list` does not wait for a bundler.
 */

/** A builder that waits for the next deployment spares it half a second, and has about 200 MB. */
const BUILDER_IDLE_MS = 300_000;

/** The server's parts, for these settings. */
export async function wireServer(config: Config, log: Logger): Promise<ServerDeps> {
  const { Builder } = await import("../../index.ts");
  const builder = new Builder({ idleMs: BUILDER_IDLE_MS });
  const compiler: Compiler = {
    build: (input, lane) => builder.build(input, lane),
    rebuild: async (artifact) => (await builder.rebuild(artifact, "rebuild")).artifact,
    warm: () => builder.warm(),
    close: () => builder.close(),
  };
  const execution = config.workers.count === 0 ? wireInProcess(config, log) : wireWorkers(config, log);
  return { compiler, ...(await execution), log };
}

/**
 * The same, all in this process: the function is its author's own, and a build must not wait for another process. `warm` makes
 * the embedded database, which takes longer than a function's first query may.
 */
export async function wireDevServer(
  config: Config,
  log: Logger,
): Promise<ServerDeps & { warm(): Promise<void> }> {
  const [engine, { Compiler }] = await Promise.all([loadEngine(), import("../../compiler/compiler.ts")]);
  const own = new Compiler(engine);
  const compiler: Compiler = {
    build: (input) => own.build(input),
    rebuild: async (artifact) => (await own.rebuild(artifact)).artifact,
  };
  const { database, fleet } = await wireInProcess(config, log);
  const warm = async () => {
    const session = database.openSession({ functionName: "thimble", access: "read" });
    const { signal } = new AbortController();
    let failure: unknown;
    for (let attempt = 0; attempt < WARM_ATTEMPTS; attempt++) {
      try {
        await session.query({ text: "select 1", params: [] }, signal);
        return session.close();
      } catch (error) {
        failure = error;
      }
    }
    session.close();
    log.warn({ err: failure, code: "database_unavailable" }, "the functions' database cannot be used");
  };
  return { compiler, database, fleet, log, warm };
}

/** Each ends with the query's time limit, which a busy machine needs more than once. */
const WARM_ATTEMPTS = 10;

type Execution = Pick<ServerDeps, "database" | "fleet">;

/** Functions and their database in this process. */
async function wireInProcess(
  config: Config,
  log: Logger,
): Promise<Execution & { database: FunctionDatabase }> {
  const { openBroker } = await import("../broker/broker.ts");
  const database = openBroker(brokerSettings(config, log));
  database.warm();
  const edgeParts = async () => createEdgeParts(edgeConfig(config), await loadEngine(), database);
  return { database, fleet: { kind: "inProcess", edgeParts } };
}

/** Functions in worker processes, and their database in another one. */
async function wireWorkers(config: Config, log: Logger): Promise<Execution> {
  const { startBroker } = await import("../broker/start-broker.ts");
  const broker = await startBroker(brokerSettings(config, log));
  return {
    database: { stats: () => broker.poolStats(), close: () => broker.close() },
    fleet: {
      kind: "workers",
      script: fileURLToPath(new URL("worker.ts", import.meta.url)),
      engine: loadEngineBytes,
      brokerSocket: broker.socketPath,
    },
  };
}

function brokerSettings({ database, dataDir }: Config, log: Logger) {
  const { url, maxConnections, timeoutMs, caps } = database;
  const onFailure = (message: string) => log.error(message);
  return { databaseUrl: url ?? null, dataDir, maxConnections, timeoutMs, caps, onFailure };
}

/** What it takes to run functions in this process. */
export async function createEdgeParts(
  { limits, egressAllow }: EdgeConfig,
  engine: Engine,
  database: Pick<FunctionDatabase, "openSession">,
): Promise<EdgeParts> {
  const [{ Runtime }, { createEgress }] = await Promise.all([
    import("../../runtime/runtime.ts"),
    import("../../runtime/host/egress/egress.ts"),
  ]);
  const egress = createEgress({ allow: [...egressAllow] });
  return {
    runtime: new Runtime(engine, { maxInstances: limits.sandboxes }),
    services: {
      forFunction: ({ functionName, config: wishes }) => {
        const policy = wishes.egress ? { hosts: wishes.egress } : {};
        const access = wishes.database ?? "write";
        return {
          fetch: (request, body, signal) => egress.fetch(request, body, signal, policy),
          openDatabase: () => database.openSession({ functionName, access }),
        };
      },
      close: () => egress.close(),
    },
  };
}

/** A function folder made ready to be sent: sources, and the bundle made here, where its npm packages are. */
export async function prepareDeployment(path: string): Promise<{ sources: SourceFiles; bundle: Bundle }> {
  const { root, sources, isWhole } = await readSources(path);
  const { bundle } = await import("../../compiler/bundle.ts");
  const made = await bundle(root, sources.entry, { withFiles: isWhole });
  return {
    sources: { entry: sources.entry, files: made.files },
    bundle: made.bundle,
  };
}

/** Builds an artefact without a server: of a function's folder or file, or of a WebAssembly file. Throws what {@link Compiler.build} throws. */
export async function buildLocally(
  from: { path: string; requireAnnotation: boolean } | ModuleInput,
): Promise<{ artifact: Uint8Array; analysis: Analysis }> {
  const [engine, { Compiler }] = await Promise.all([loadEngine(), import("../../compiler/compiler.ts")]);
  const compiler = new Compiler(engine);
  if ("module" in from) return compiler.build(from);
  const { path, requireAnnotation } = from;
  return compiler.build({ ...(await prepareDeployment(path)), requireAnnotation });
}

/** The package's version. */
export async function packageVersion(): Promise<string> {
  const manifest = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

async function loadEngine() {
  const module = await import("../../compiler/engine/load-engine.ts");
  return module.loadEngine();
}

async function loadEngineBytes() {
  const module = await import("../../compiler/engine/load-engine.ts");
  return module.loadEngineBytes();
}
