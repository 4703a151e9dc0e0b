import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { InvocationMetrics, Outcome } from "../runtime/invocation.ts";
import type { ErrorCode } from "./errors.ts";
import { DURATION_BUCKETS_SECONDS, ExecutionCounts, type FunctionCounts } from "./execution-counts.ts";
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

/** Functions with series of their own, which a scrape has to carry. */
const MAX_FUNCTION_LABELS = 1_000;
/** No function can have this name. */
const OTHER_FUNCTIONS = "(other)";

/** What the edge counts as it goes. */
export type EdgeMetrics = Pick<Metrics, "executed" | "refused">;

/** Prometheus metrics of one server, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counts = new ExecutionCounts();
  readonly #workerEnds: Counter;
  readonly #observe: () => Promise<Observed>;

  constructor(observe: () => Promise<Observed>) {
    this.#observe = observe;
    this.#workerEnds = new Counter({
      name: "thimble_worker_ends_total",
      help: "Worker processes that crashed or were killed because they hung",
      registers: [this.#registry],
    });
    collectDefaultMetrics({ register: this.#registry });
  }

  executed(name: string, outcome: Outcome["kind"], used: Pick<InvocationMetrics, "wallMs" | "cpuMs">): void {
    this.#counts.executed(this.#label(name), outcome, used);
  }

  refused(name: string, code: ErrorCode, count = 1): void {
    this.#counts.refused(this.#label(name), code, count);
  }

  /** Takes in what another process has counted. */
  add(name: string, counts: FunctionCounts): void {
    this.#counts.add(this.#label(name), counts);
  }

  /** A worker process ended that was not told to. */
  workerEnded(): void {
    this.#workerEnds.inc();
  }

  /** Drops what was counted for a function that is no more. */
  forget(name: string): void {
    this.#counts.forget(name);
  }

  /** The label of a function; those beyond the bound share one. */
  #label(name: string): string {
    return this.#counts.has(name) || this.#counts.size < MAX_FUNCTION_LABELS ? name : OTHER_FUNCTIONS;
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
    return `${await this.#registry.metrics()}\n${countsText(this.#counts)}`;
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    const existing = this.#registry.getSingleMetric(name) as Gauge | undefined;
    return existing ?? new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}

/** Series by function, in Prometheus's text format. Names and codes need no escaping. */
function countsText(counts: ExecutionCounts): string {
  const executions: string[] = [];
  const refusals: string[] = [];
  const durations: string[] = [];
  const cpu: string[] = [];
  for (const [name, { outcomes, refusals: refused, durations: buckets, wallMs, cpuMs }] of counts) {
    const label = `function="${name}"`;
    for (const [outcome, count] of Object.entries(outcomes))
      executions.push(`thimble_executions_total{${label},outcome="${outcome}"} ${count}`);
    for (const [code, count] of Object.entries(refused))
      refusals.push(`thimble_refusals_total{${label},code="${code}"} ${count}`);
    let below = 0;
    for (const [i, count] of buckets.entries()) {
      below += count;
      const bound = DURATION_BUCKETS_SECONDS[i] ?? "+Inf";
      durations.push(`thimble_execution_duration_seconds_bucket{le="${bound}",${label}} ${below}`);
    }
    durations.push(`thimble_execution_duration_seconds_sum{${label}} ${wallMs / 1e3}`);
    durations.push(`thimble_execution_duration_seconds_count{${label}} ${below}`);
    cpu.push(`thimble_execution_cpu_seconds_total{${label}} ${cpuMs / 1e3}`);
  }
  const families: [string, string, string, string[]][] = [
    ["thimble_executions_total", "counter", "Executions by function and outcome", executions],
    [
      "thimble_refusals_total",
      "counter",
      "Requests that were not executed, by function and error code",
      refusals,
    ],
    ["thimble_execution_duration_seconds", "histogram", "Wall-clock time of executions", durations],
    ["thimble_execution_cpu_seconds_total", "counter", "Time spent inside sandboxes", cpu],
  ];
  return families
    .map(([name, type, help, lines]) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""])
    .map((lines) => lines.join("\n"))
    .join("\n");
}
