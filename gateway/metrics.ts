import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { InvocationMetrics, Outcome } from "../runtime/invocation.ts";
import type { ErrorCode } from "./errors.ts";
import type { FleetStats, WorkerStats } from "./fleet.ts";
import type { PoolStats } from "./ports.ts";

/** Numbers as they are when somebody asks. */
export interface Observed {
  fleet: FleetStats;
  functions: number;
  pool: PoolStats;
}

const GAUGES: { name: string; help: string; read(observed: Observed): number }[] = [
  {
    name: "thimble_active_executions",
    help: "Executions in flight",
    read: ({ fleet }) => fleet.activeExecutions,
  },
  {
    name: "thimble_queued_executions",
    help: "Requests waiting for a slot",
    read: ({ fleet }) => fleet.queuedExecutions,
  },
  { name: "thimble_functions", help: "Deployed functions", read: ({ functions }) => functions },
  {
    name: "thimble_dropped_records",
    help: "Executions missing from the history",
    read: ({ fleet }) => fleet.droppedRecords,
  },
  { name: "thimble_sandboxes", help: "Sandboxes alive", read: ({ fleet }) => fleet.sandboxes.instances },
  {
    name: "thimble_sandboxes_busy",
    help: "Sandboxes executing",
    read: ({ fleet }) => fleet.sandboxes.busy,
  },
  {
    name: "thimble_workers",
    help: "Processes that run functions",
    read: ({ fleet }) => fleet.workers.length,
  },
  {
    name: "thimble_database_connections",
    help: "Connections for functions",
    read: ({ pool }) => pool.totalConnections,
  },
  {
    name: "thimble_database_connections_in_use",
    help: "Those in use",
    read: ({ pool }) => pool.inUseConnections,
  },
];

const WORKER_GAUGES: { name: string; help: string; read(worker: WorkerStats): number }[] = [
  {
    name: "thimble_worker_memory_bytes",
    help: "Resident memory of a worker",
    read: ({ memoryBytes }) => memoryBytes,
  },
  {
    name: "thimble_worker_event_loop_delay_seconds",
    help: "The longest that a worker's event loop was late lately",
    read: ({ eventLoopDelayMs }) => eventLoopDelayMs / 1000,
  },
];

const DURATION_BUCKETS_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** Functions with series of their own, which a scrape has to carry. */
const MAX_FUNCTION_LABELS = 1_000;
/** No function can have this name. */
const OTHER_FUNCTIONS = "(other)";

/** Prometheus metrics of one server, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #labels = new Set<string>();
  readonly #executions: Counter;
  readonly #refusals: Counter;
  readonly #duration: Histogram;
  readonly #cpu: Counter;
  readonly #workerEnds: Counter;
  readonly #observe: () => Promise<Observed>;

  constructor(observe: () => Promise<Observed>) {
    this.#observe = observe;
    const registers = [this.#registry];
    this.#executions = new Counter({
      name: "thimble_executions_total",
      help: "Executions by function and outcome",
      labelNames: ["function", "outcome"],
      registers,
    });
    this.#refusals = new Counter({
      name: "thimble_refusals_total",
      help: "Requests that were not executed, by function and error code",
      labelNames: ["function", "code"],
      registers,
    });
    this.#duration = new Histogram({
      name: "thimble_execution_duration_seconds",
      help: "Wall-clock time of executions",
      labelNames: ["function"],
      buckets: DURATION_BUCKETS_SECONDS,
      registers,
    });
    this.#cpu = new Counter({
      name: "thimble_execution_cpu_seconds_total",
      help: "Time spent inside sandboxes",
      labelNames: ["function"],
      registers,
    });
    this.#workerEnds = new Counter({
      name: "thimble_worker_ends_total",
      help: "Worker processes that crashed or were killed because they hung",
      registers,
    });
    collectDefaultMetrics({ register: this.#registry });
  }

  executed(name: string, outcome: Outcome["kind"], used: Pick<InvocationMetrics, "wallMs" | "cpuMs">): void {
    const label = this.#label(name);
    this.#executions.inc({ function: label, outcome });
    this.#duration.observe({ function: label }, used.wallMs / 1000);
    this.#cpu.inc({ function: label }, Math.max(0, used.cpuMs / 1000));
  }

  refused(name: string, code: ErrorCode, count = 1): void {
    this.#refusals.inc({ function: this.#label(name), code }, count);
  }

  /** A worker process ended that was not told to. */
  workerEnded(): void {
    this.#workerEnds.inc();
  }

  /** Drops what was counted for a function that is no more. */
  async forget(name: string): Promise<void> {
    if (!this.#labels.delete(name)) return;
    this.#duration.remove({ function: name });
    for (const counter of [this.#executions, this.#refusals, this.#cpu]) {
      for (const { labels } of (await counter.get()).values) {
        if (labels.function === name) counter.remove(labels);
      }
    }
  }

  /** The label of a function; those beyond the bound share one. */
  #label(name: string): string {
    if (this.#labels.has(name)) return name;
    if (this.#labels.size >= MAX_FUNCTION_LABELS) return OTHER_FUNCTIONS;
    this.#labels.add(name);
    return name;
  }

  /** Prometheus text format. */
  async text(): Promise<string> {
    const observed = await this.#observe();
    for (const { name, help, read } of GAUGES) this.#gauge(name, help, []).set(read(observed));
    for (const { name, help, read } of WORKER_GAUGES) {
      const gauge = this.#gauge(name, help, ["worker", "pid"]);
      gauge.reset();
      for (const worker of observed.fleet.workers) {
        gauge.set({ worker: String(worker.worker), pid: String(worker.pid) }, read(worker));
      }
    }
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    const existing = this.#registry.getSingleMetric(name) as Gauge | undefined;
    return existing ?? new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}
