import { setTimeout as sleep } from "node:timers/promises";
import type { InvokeInput } from "../admin/input.ts";
import { ALL_FUNCTIONS } from "../admission.ts";
import type { Catalog } from "../catalog.ts";
import type { EdgeConfig } from "../config.ts";
import type { InvokeResult } from "../edge/admin-invoke.ts";
import { overloaded, PlatformError } from "../errors.ts";
import type { Fleet, FleetStats, WorkerStats } from "../fleet.ts";
import { canSharePort, type Handle, listen } from "../listen.ts";
import type { StoredFunction } from "../store/read-functions.ts";
import { ChannelClosedError } from "./channel.ts";
import { HEARTBEAT_INTERVAL_MS } from "./protocol.ts";
import { SlotBank } from "./slot-bank.ts";
import { SupervisedWorker, type WorkerHost } from "./supervised-worker.ts";

export interface WorkerFleetOptions {
  /** How many; one, where the system does not let processes share a port. */
  workers: number;
  config: EdgeConfig;
  /** Above which a worker is replaced, bytes of resident memory. */
  memoryLimitBytes: number;
  catalog: Catalog;
  host: Omit<WorkerHost, "slots"> & { metrics: { workerEnded(): void } };
  /** The workers' program. */
  script: string;
  execArgv?: readonly string[];
  engine: Uint8Array;
  brokerSocket: string;
}

/** A worker that is silent for so many heartbeats hangs: 5 s. */
const MISSED_HEARTBEATS = 10;

const STATS_TIMEOUT_MS = 1_000;

/** A worker that lived as long as that did not fail at its start, ms. */
const SETTLED_MS = 10_000;

const BACKOFF_MS = { first: 100, most: 5_000 };

/** For connections that are kept alive to get their last answer, beyond the time of a request, ms. */
const RETIRE_MS = 15_000;

/** The seat of one worker after the other. */
interface Place {
  number: number;
  worker: SupervisedWorker | undefined;
  /** Kept here, so that connections wait in it while nobody accepts them. */
  socket: Handle | undefined;
  replacing: boolean;
  /** Workers that ended soon after their start, in a row. */
  failures: number;
}

/**
 * Worker processes that share the edge port. One that ends, hangs or grows too large is replaced; what one is told, all are told.
 */
export class WorkerFleet implements Fleet {
  readonly #options: WorkerFleetOptions;
  readonly #places: Place[];
  /** All that live, also those that drain. */
  readonly #workers = new Set<SupervisedWorker>();
  readonly #slots: SlotBank<SupervisedWorker>;
  #config: EdgeConfig;
  #url = "";
  #watch: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  #closing = false;

  constructor(options: WorkerFleetOptions) {
    this.#options = options;
    this.#config = options.config;
    const { totalConcurrency } = options.config.limits;
    this.#slots = new SlotBank((key) =>
      key === ALL_FUNCTIONS ? totalConcurrency : (options.catalog.find(key)?.limits.concurrency ?? 0),
    );
    const count = canSharePort ? options.workers : 1;
    this.#places = Array.from({ length: count }, (_, i) => ({
      number: i + 1,
      worker: undefined,
      socket: undefined,
      replacing: false,
      failures: 0,
    }));
  }

  get url(): string {
    return this.#url;
  }

  /** Starts all workers and waits until they listen. Throws `ListenError`, and what else keeps one from starting. */
  async open(): Promise<void> {
    const [first, ...others] = this.#places;
    try {
      await checkFree(this.#config.edge);
      this.#url = await this.#occupy(first!);
      // The port that the first one was given, where any was asked for.
      this.#config = {
        ...this.#config,
        edge: { ...this.#config.edge, port: Number(new URL(this.#url).port) },
      };
      await Promise.all(others.map((place) => this.#occupy(place)));
    } catch (error) {
      this.#closing = true;
      throw error;
    }
    this.#watch = setInterval(() => this.#killSilent(), HEARTBEAT_INTERVAL_MS);
  }

  check(artifact: Uint8Array): Promise<void> {
    return this.#pick().call("check", { artifact });
  }

  put(stored: StoredFunction, built?: { version: number; artifact: Uint8Array }): Promise<void> {
    this.#slots.settle(stored.name);
    return this.#tellAll((worker) => worker.call("put", { stored, built }));
  }

  remove(name: string): Promise<void> {
    this.#slots.settle(name);
    return this.#tellAll((worker) => worker.call("remove", { name }));
  }

  async invoke(
    name: string,
    input: InvokeInput,
    requestId: string,
    signal: AbortSignal,
  ): Promise<InvokeResult> {
    try {
      return (await this.#pick().call("invoke", { name, input, requestId }, { signal })) as InvokeResult;
    } catch (error) {
      if (signal.aborted) throw new PlatformError("client_closed", "The client went away");
      if (!(error instanceof ChannelClosedError)) throw error;
      throw new PlatformError("internal_error", "The process that executed the function ended", {
        cause: error,
      });
    }
  }

  async stats(): Promise<FleetStats> {
    const sum: FleetStats = {
      activeExecutions: 0,
      queuedExecutions: 0,
      active: {},
      sandboxes: { instances: 0, busy: 0, idle: 0 },
      droppedRecords: 0,
      workers: [],
    };
    const stats = await Promise.all([...this.#workers].map((worker) => this.#statsOf(worker, sum)));
    sum.workers = stats.sort((a, b) => a.worker - b.worker);
    return sum;
  }

  /** Replaces all workers, one after the other, without a request that fails. */
  restart(): Promise<void> {
    this.#restarting ??= this.#restartAll().finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#watch);
    await Promise.all([...this.#workers].map((worker) => worker.drain(false, this.#graceMs)));
    for (const { socket } of this.#places) closeSocket(socket);
  }

  get #graceMs(): number {
    const { timeoutMs, requestTimeoutMs } = this.#config.limits;
    return timeoutMs + requestTimeoutMs + RETIRE_MS;
  }

  #pick(): SupervisedWorker {
    const ready = [...this.#workers].filter(({ state }) => state === "ready");
    const active = ({ heartbeat }: SupervisedWorker) => heartbeat.activeExecutions;
    const [idlest] = ready.sort((a, b) => active(a) - active(b));
    if (idlest) return idlest;
    throw overloaded("No process that runs functions is ready");
  }

  async #tellAll(change: (worker: SupervisedWorker) => Promise<unknown>): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.tell(change(worker))));
  }

  async #statsOf(worker: SupervisedWorker, sum: FleetStats): Promise<WorkerStats> {
    const { number, pid, state, startedAt, heartbeat } = worker;
    const signal = AbortSignal.timeout(STATS_TIMEOUT_MS);
    const stats =
      state === "starting" ? null : await worker.call("stats", undefined, { signal }).catch(() => null);
    if (stats) {
      sum.activeExecutions += stats.activeExecutions;
      sum.queuedExecutions += stats.queuedExecutions;
      sum.droppedRecords += stats.droppedRecords;
      for (const [name, active] of Object.entries(stats.active))
        sum.active[name] = (sum.active[name] ?? 0) + active;
      for (const key of ["instances", "busy", "idle"] as const) sum.sandboxes[key] += stats.sandboxes[key];
    }
    const { eventLoopDelayMs, memoryBytes } = heartbeat;
    const activeExecutions = stats?.activeExecutions ?? heartbeat.activeExecutions;
    return {
      worker: number,
      pid,
      state,
      startedAt: startedAt.toISOString(),
      activeExecutions,
      eventLoopDelayMs,
      memoryBytes,
    };
  }

  /** Starts a worker in this place, which is its place from now on. */
  #occupy(place: Place): Promise<string> {
    const { script, execArgv = [], host, engine, brokerSocket, catalog } = this.#options;
    const worker = new SupervisedWorker({
      number: place.number,
      script,
      execArgv,
      host: { ...host, slots: this.#slots },
      onHeartbeat: () => this.#checkMemory(place, worker),
      onListening: (socket) => {
        closeSocket(place.socket);
        place.socket = socket;
      },
    });
    this.#workers.add(worker);
    const before = place.worker;
    place.worker = worker;
    void worker.ended.then((reason) => {
      this.#workers.delete(worker);
      this.#onEnd(place, worker, reason);
    });
    const start = {
      worker: place.number,
      config: this.#config,
      engine,
      brokerSocket,
      functions: catalog.list(),
    };
    return worker.start(start, place.socket).catch((error) => {
      if (before && this.#workers.has(before)) place.worker = before;
      throw error;
    });
  }

  #onEnd(place: Place, worker: SupervisedWorker, reason: string): void {
    if (worker.state === "draining" || this.#closing) return;
    const { log, metrics } = this.#options.host;
    log.error({ worker: worker.number, pid: worker.pid, reason }, "a worker ended");
    metrics.workerEnded();
    if (place.worker === worker && !place.replacing) void this.#refill(place);
  }

  /** Tries until a worker runs here again, ever less often. */
  async #refill(place: Place): Promise<void> {
    const { log } = this.#options.host;
    while (!this.#closing) {
      const lived = Date.now() - place.worker!.startedAt.getTime();
      place.failures = lived < SETTLED_MS ? place.failures + 1 : 0;
      const delayMs =
        place.failures === 0 ? 0 : Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** place.failures);
      if (place.failures > 3) {
        // Rather another worker's turn than a long wait.
        closeSocket(place.socket);
        place.socket = undefined;
      }
      await sleep(delayMs, undefined, { ref: false });
      if (this.#closing) return;
      place.replacing = true;
      const started = await this.#occupy(place).then(
        () => true,
        (error) => {
          log.error({ worker: place.number, err: error }, "a worker did not start");
          return false;
        },
      );
      place.replacing = false;
      if (started && this.#workers.has(place.worker!)) return;
    }
  }

  async #restartAll(): Promise<void> {
    for (const place of this.#places) await this.#replace(place, "restart");
  }

  /** A new worker first, then the end of the old one. */
  async #replace(place: Place, reason: string): Promise<void> {
    const old = place.worker;
    if (place.replacing || this.#closing || old?.state !== "ready") return;
    const { log } = this.#options.host;
    log.info({ worker: place.number, reason }, "replacing a worker");
    place.replacing = true;
    try {
      await this.#occupy(place);
    } catch (error) {
      log.error({ worker: place.number, err: error }, "a worker could not be replaced");
      if (!this.#workers.has(old)) void this.#refill(place);
      return;
    } finally {
      place.replacing = false;
    }
    await old.drain(true, this.#graceMs);
  }

  #killSilent(): void {
    for (const worker of this.#workers) {
      if (worker.state === "starting") continue;
      worker.missed++;
      // Counted, not timed: after a pause of this process itself the messages that wait come first.
      if (worker.missed > MISSED_HEARTBEATS) worker.kill("it hung");
    }
  }

  #checkMemory(place: Place, worker: SupervisedWorker): void {
    if (worker.state !== "ready" || worker.heartbeat.memoryBytes <= this.#options.memoryLimitBytes) return;
    void this.#replace(place, "memory");
  }
}

/** Another server's workers would share a port with ours, and get some of our requests. Throws `ListenError`. */
async function checkFree(edge: EdgeConfig["edge"]): Promise<void> {
  const listener = await listen({ ...edge, portSetting: "PORT", fetch: () => Response.error() });
  await listener.close(0);
}

function closeSocket(socket: Handle | undefined): void {
  (socket as { close(): void } | undefined)?.close();
}
