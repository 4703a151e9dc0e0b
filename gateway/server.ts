import { join } from "node:path";
import { createAdminApp } from "./admin/app.ts";
import { authenticator } from "./admin/authenticate.ts";
import { Deployer } from "./admin/deployer.ts";
import { adminTls, isLoopback, type TlsFiles } from "./admin/exposure.ts";
import { ensureAdminKey, keyVerifier } from "./admin/key.ts";
import { StoredArtifacts } from "./artifacts.ts";
import { Catalog } from "./catalog.ts";
import { type Config, edgeConfig } from "./config.ts";
import { Edge } from "./edge/edge.ts";
import type { Fleet } from "./fleet.ts";
import { followChanges } from "./follow-changes.ts";
import { FunctionLogs } from "./function-logs.ts";
import { type Listener, listen } from "./listen.ts";
import { type Logger, writeFinished } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { OtlpExporter } from "./otlp-exporter.ts";
import type { Compiler, EdgeParts, FunctionDatabase } from "./ports.ts";
import { WorkerFleet } from "./processes/worker-fleet.ts";
import type { InvocationStore } from "./store/invocations.ts";
import { openStore, type Store } from "./store/open.ts";

export interface ServerDeps {
  compiler: Compiler;
  /** The functions' database. */
  database: Pick<FunctionDatabase, "stats" | "close">;
  /** Who runs functions: this process, with these parts, or worker processes. */
  fleet: { kind: "inProcess"; edgeParts(): Promise<EdgeParts> } | ({ kind: "workers" } & WorkerProgram);
  log: Logger;
  /** Default: new ones. */
  logs?: FunctionLogs;
}

/** What worker processes run. */
export interface WorkerProgram {
  /** The file. */
  script: string;
  /** More flags for Node. */
  execArgv?: readonly string[];
  /** The engine module, and where the functions' database is asked, which they are told. */
  engine(): Promise<Uint8Array>;
  brokerSocket: string;
}

export interface RunningServer {
  edgeUrl: string;
  adminUrl: string;
  /** Functions that were there at the start, plus those deployed since. */
  functionCount(): number;
  /** Replaces all worker processes, one after the other, without a request that fails. */
  restartWorkers(): Promise<void>;
  /** Stops accepting, lets executions finish within their time limit, writes what is left to write, closes. */
  close(): Promise<void>;
}

const PRUNE_INTERVAL_MS = 3_600_000;
const DAY_MS = 86_400_000;

/**
 * Starts the gateway: store, edge and admin listener. Owns its parts from here on and closes them, also
 * when the start fails. Throws `DataDirInUseError`, `ListenError`, and what the database throws.
 */
export async function startServer(config: Config, deps: ServerDeps): Promise<RunningServer> {
  // Closed in the reverse order of opening, on failure as well as in the end.
  const closers: (() => Promise<void>)[] = [() => deps.database.close(), async () => deps.compiler.close?.()];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) {
      await close().catch((error) => deps.log.error({ err: error }, "closing failed"));
    }
  };
  try {
    const tls = adminTls(config.admin);
    const store = await openStore(config);
    closers.push(() => store.close());
    return await assemble(config, deps, store, tls, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function assemble(
  config: Config,
  deps: ServerDeps,
  store: Store,
  tls: TlsFiles | undefined,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<RunningServer> {
  const { compiler, database, log } = deps;
  const logs = deps.logs ?? openFunctionLogs(config, log, closers);
  closers.push(pruneRegularly(store, config, log));
  const catalog = new Catalog(config.limits);
  await catalog.load(store.functions);
  const metrics = new Metrics(async () => ({
    fleet: await fleet.stats(),
    functions: catalog.size,
    pool: await database.stats(),
  }));
  const artifacts = new StoredArtifacts(store.functions, compiler);
  const fleet: Fleet = await createFleet(config, deps, catalog, {
    artifacts,
    history: openHistory(store, config, log, closers),
    logs,
    metrics,
  });
  const stop = new AbortController();
  const { requireAnnotation } = config;
  const deployer = new Deployer({
    ...{ compiler, functions: store.functions, catalog, fleet, logs, metrics, requireAnnotation },
    drainMs: config.limits.timeoutMs + 1000,
  });
  const adminApp = createAdminApp({
    store,
    catalog,
    deployer,
    fleet,
    database,
    logs,
    metrics,
    log,
    authenticate: authenticator(keyVerifier(config.admin.key ?? ensureAdminKey(config.dataDir)), store.keys),
    guardMetrics: !isLoopback(config.admin.host),
    stop: stop.signal,
  });
  let admin: Listener | undefined;
  // Together: requests of either may wait for what runs.
  closers.push(async () => {
    stop.abort();
    await Promise.all([admin?.close(config.limits.timeoutMs + 1000), fleet.close()]);
  });
  await fleet.open();
  followChanges({ store, catalog, deployer, log });
  const { host, port } = config.admin;
  admin = await listen({ host, port, tls, portSetting: "ADMIN_PORT", fetch: adminApp.fetch });
  log.info({ edge: fleet.url, admin: admin.url, functions: catalog.size }, "started");
  compiler.warm?.().catch((err) => log.debug({ err }, "the builder was not made ready"));

  let closing: Promise<void> | undefined;
  return {
    edgeUrl: fleet.url,
    adminUrl: admin.url,
    functionCount: () => catalog.size,
    restartWorkers: () => fleet.restart(),
    close: () => {
      closing ??= closeAll();
      return closing;
    },
  };
}

interface FleetParts {
  artifacts: StoredArtifacts;
  history: Pick<InvocationStore, "append" | "save" | "failRunning">;
  logs: FunctionLogs;
  metrics: Metrics;
}

async function createFleet(
  config: Config,
  { fleet, log }: ServerDeps,
  catalog: Catalog,
  parts: FleetParts,
): Promise<Fleet> {
  const settings = edgeConfig(config);
  if (fleet.kind === "inProcess") {
    return new Edge({ ...(await fleet.edgeParts()), ...parts, config: settings, catalog, log });
  }
  const { count, memoryLimitBytes } = config.workers;
  const { script, execArgv = [], engine, brokerSocket } = fleet;
  return new WorkerFleet({
    workers: count,
    config: settings,
    memoryLimitBytes,
    catalog,
    host: { ...parts, log, writeLog: (line) => writeFinished(log, line) },
    script,
    execArgv,
    engine: await engine(),
    brokerSocket,
  });
}

function openFunctionLogs(
  { dataDir, functionLogBytes }: Config,
  log: Logger,
  closers: (() => Promise<void>)[],
): FunctionLogs {
  const logs = new FunctionLogs({
    folder: join(dataDir, "function-logs"),
    fileBytes: functionLogBytes,
    onError: (err) => log.error({ err }, "functions' logs could not be written"),
  });
  closers.push(async () => logs.flush());
  return logs;
}

/** The store, and beside it the collector of traces where there is one. */
function openHistory(
  { invocations }: Store,
  { otlp }: Config,
  log: Logger,
  closers: (() => Promise<void>)[],
): FleetParts["history"] {
  if (!otlp) return invocations;
  const exporter = new OtlpExporter({ ...otlp, log });
  closers.push(() => exporter.flush());
  return {
    append: (lines) => invocations.append(lines),
    save: async (rows) => {
      await invocations.save(rows);
      exporter.add(rows);
    },
    failRunning: (ids, error) => invocations.failRunning(ids, error),
  };
}

function pruneRegularly(store: Store, { historyDays, auditDays }: Config, log: Logger): () => Promise<void> {
  const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
  const prune = () => {
    Promise.all([store.invocations.prune(daysAgo(historyDays)), store.audit.prune(daysAgo(auditDays))]).catch(
      (error) => log.warn({ err: error }, "history could not be pruned"),
    );
  };
  const timer = setInterval(prune, PRUNE_INTERVAL_MS);
  timer.unref();
  prune();
  return async () => clearInterval(timer);
}
