import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Broker, type BrokerConfig, DEFAULT_MAX_CONNECTIONS } from "./broker.ts";
import { connectBroker } from "./broker-client.ts";
import type { BrokerJob, BrokerMessage } from "./broker-process.ts";
import type { PoolStats } from "./pool.ts";

const script = fileURLToPath(new URL("broker-process.ts", import.meta.url));

/** What a Unix socket's address has room for, less than on every system. */
const MAX_SOCKET_PATH_BYTES = 100;
/** A broker that lived shorter than this before it died is started again with growing pauses, ms. */
const STABLE_MS = 5_000;
const MAX_PAUSE_MS = 5_000;
/** To end in peace, ms. */
const CLOSE_MS = 2_000;

export interface BrokerProcess {
  /** For `connectBroker` in this or another process of the same user. Stays the same over restarts. */
  readonly socketPath: string;
  /** Of the broker process; undefined while there is none. */
  readonly pid: number | undefined;
  /** While the broker is not there: a pool that is not initialized and has no connections. */
  poolStats(): Promise<PoolStats>;
  close(): Promise<void>;
}

/**
 * Starts the broker in a process of its own: the only one that holds the credentials of the functions' database and
 * connections to it, or their embedded database. One that dies is started again, of which `onFailure` hears; meanwhile its clients get `db_unavailable`. Resolves
 * when it accepts connections; rejects with an Error when its configuration is bad.
 *
 * In the supervisor: `const broker = await startBroker({ databaseUrl, dataDir, … })`; its `socketPath` goes to the edge workers. In
 * a worker: `const broker = connectBroker(socketPath)`, and for each invocation `broker.openSession({ functionName, access })`, which is what
 * `HostServices.openDatabase` returns. Everything in one process instead: `openBroker({ … })` gives the same `Broker`.
 */
export async function startBroker({ onFailure, ...config }: BrokerConfig): Promise<BrokerProcess> {
  const { path: socketPath, remove } = placeForSocket(config.dataDir);
  const job: BrokerJob = { socketPath, config };
  let child: ChildProcess | null = null;
  const nothing: PoolStats = {
    initialized: false,
    totalConnections: 0,
    availableConnections: 0,
    inUseConnections: 0,
    maxConnections: config.databaseUrl === null ? 1 : (config.maxConnections ?? DEFAULT_MAX_CONNECTIONS),
  };
  let closing = false;
  let pauseMs = 0;

  const start = async (): Promise<void> => {
    const startedAt = performance.now();
    const started = fork(script, {
      execArgv: ["--no-warnings"],
      env: {
        PATH: process.env.PATH,
        NODE_ENV: process.env.NODE_ENV,
        NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
      },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child = started;
    started.once("exit", async (code, signal) => {
      child = null;
      if (closing) return;
      pauseMs = performance.now() - startedAt > STABLE_MS ? 0 : Math.min(2 * pauseMs + 50, MAX_PAUSE_MS);
      onFailure?.(`the database broker has ended (${signal ?? code}) and is started again`);
      await sleep(pauseMs, undefined, { ref: false });
      if (!closing) start().catch((error) => onFailure?.(`the database broker: ${error.message}`));
    });
    started.send(job);
    const answer = await Promise.race([
      once(started, "message").then(([message]) => message as BrokerMessage),
      once(started, "exit").then(() => ({
        kind: "failed",
        message: "the database broker ended at its start",
      })),
    ]);
    started.on("message", (message: BrokerMessage) => {
      if (message.kind === "failing") onFailure?.(message.message);
    });
    // What holds the process is its listeners; an idle broker is no reason to stay.
    started.unref();
    started.channel?.unref();
    if (answer.kind === "failed") throw new Error((answer as { message: string }).message);
  };

  const client: Broker = connectBroker(socketPath);
  const close = async () => {
    closing = true;
    await client.close();
    if (child) {
      const exited = once(child, "exit");
      child.ref();
      child.disconnect();
      const timer = setTimeout(() => child?.kill("SIGKILL"), CLOSE_MS);
      await exited;
      clearTimeout(timer);
    }
    remove();
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    socketPath,
    get pid() {
      return child?.pid;
    },
    poolStats: () => client.stats().catch(() => nothing),
    close,
  };
}

function placeForSocket(dataDir: string): { path: string; remove(): void } {
  const path = join(dataDir, "broker.sock");
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) {
    mkdirSync(dirname(path), { recursive: true });
    return { path, remove: () => rmSync(path, { force: true }) };
  }
  const folder = mkdtempSync(join(tmpdir(), "thimble-"));
  return {
    path: join(folder, "broker.sock"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
