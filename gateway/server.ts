import { setTimeout } from "node:timers/promises";
import { createAdminApp } from "./admin/app.ts";
import { authenticator } from "./admin/authenticate.ts";
import { Deployer } from "./admin/deployer.ts";
import { ensureAdminKey, keyVerifier } from "./admin/key.ts";
import { Admission } from "./admission.ts";
import type { Config } from "./config.ts";
import { createEdgeApp } from "./edge/app.ts";
import { FunctionLogs } from "./function-logs.ts";
import { Invoker } from "./invoker.ts";
import { type Listener, listen } from "./listen.ts";
import type { Logger } from "./log.ts";
import { Metrics } from "./metrics.ts";
import type { Compiler, Runtime, ServicesProvider } from "./ports.ts";
import { Registry } from "./registry.ts";
import { openStore, type Store } from "./store/open.ts";
import { Recorder } from "./store/recorder.ts";

export interface ServerDeps {
  runtime: Runtime;
  compiler: Compiler;
  services: ServicesProvider;
  log: Logger;
}

export interface RunningServer {
  edgeUrl: string;
  adminUrl: string;
  /** Functions that were there at the start, plus those deployed since. */
  functionCount(): number;
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
  const closers: (() => Promise<void>)[] = [
    () => deps.services.close(),
    () => deps.runtime.close(),
    async () => deps.compiler.close?.(),
  ];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) {
      await close().catch((error) => deps.log.error({ err: error }, "closing failed"));
    }
  };
  try {
    const store = await openStore(config);
    closers.push(() => store.close());
    return await assemble(config, deps, store, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function assemble(
  config: Config,
  { runtime, compiler, services, log }: ServerDeps,
  store: Store,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<RunningServer> {
  const recorder = new Recorder(store.invocations, {
    onError: (error) => log.error({ err: error }, "executions could not be recorded; will try again"),
  });
  closers.push(() => recorder.close());
  closers.push(pruneRegularly(store, config.historyDays, log));

  const { queueTimeoutMs, queueLimit, timeoutMs } = config.limits;
  const admission = new Admission({ queueTimeoutMs, queueLimit });
  const logs = new FunctionLogs();
  const metrics = new Metrics();
  const registry = new Registry({ config, functions: store.functions, runtime, compiler, services });
  await registry.load();
  metrics.observe({
    activeExecutions: () => admission.active(),
    queuedExecutions: () => admission.queued(),
    functions: () => registry.size,
    droppedRecords: () => recorder.dropped,
    runtime: () => runtime.stats(),
    pool: () => services.poolStats(),
  });
  const invoker = new Invoker({ runtime, admission, recorder, logs, metrics, log });
  const { requireAnnotation } = config;
  const functions = store.functions;
  const deployer = new Deployer({
    ...{ compiler, runtime, functions, registry, logs, requireAnnotation },
    active: (name) => admission.active(name),
    drainMs: timeoutMs + 1000,
  });

  const stop = new AbortController();
  const adminApp = createAdminApp({
    config,
    store,
    registry,
    deployer,
    invoker,
    admission,
    logs,
    metrics,
    log,
    authenticate: authenticator(keyVerifier(config.admin.key ?? ensureAdminKey(config.dataDir)), store.keys),
    poolStats: () => services.poolStats(),
    runtimeStats: () => runtime.stats(),
    workers: () => 0,
    guardMetrics: !isLoopback(config.admin.host),
    stop: stop.signal,
  });
  const edgeApp = createEdgeApp({ config, registry, invoker, admission, log });

  const opened: Listener[] = [];
  const graceMs = timeoutMs + 1000;
  closers.push(async () => {
    stop.abort();
    const drained = admission.drain();
    await Promise.all(opened.map((listener) => listener.close(graceMs)));
    // No listener is left, so what still runs has no client; the sandboxes' own deadlines end it.
    await Promise.race([drained, setTimeout(graceMs, undefined, { ref: false })]);
  });
  const admin = await listen({ ...config.admin, portSetting: "ADMIN_PORT", fetch: adminApp.fetch });
  opened.push(admin);
  const edge = await listen({ ...config.edge, portSetting: "PORT", fetch: edgeApp.fetch });
  opened.push(edge);
  log.info({ edge: edge.url, admin: admin.url, functions: registry.size }, "started");

  let closing: Promise<void> | undefined;
  return {
    edgeUrl: edge.url,
    adminUrl: admin.url,
    functionCount: () => registry.size,
    close: () => {
      closing ??= closeAll();
      return closing;
    },
  };
}

function pruneRegularly(store: Store, days: number, log: Logger): () => Promise<void> {
  const prune = () => {
    const before = new Date(Date.now() - days * DAY_MS);
    store.invocations.prune(before).catch((error) => log.warn({ err: error }, "history could not be pruned"));
  };
  const timer = setInterval(prune, PRUNE_INTERVAL_MS);
  timer.unref();
  prune();
  return async () => clearInterval(timer);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
