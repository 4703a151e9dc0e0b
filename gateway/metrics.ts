import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { InvocationMetrics, Outcome } from "../runtime/invocation.ts";
import type { ErrorCode } from "./errors.ts";
import type { PoolStats, RuntimeStats } from "./ports.ts";

/** Numbers that are read when somebody asks. */
export interface Observed {
  activeExecutions(): number;
  queuedExecutions(): number;
  functions(): number;
  droppedRecords(): number;
  runtime(): RuntimeStats;
  pool(): PoolStats | Promise<PoolStats>;
}

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

  constructor() {
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
    collectDefaultMetrics({ register: this.#registry });
  }

  executed(name: string, outcome: Outcome["kind"], used: InvocationMetrics): void {
    const label = this.#label(name);
    this.#executions.inc({ function: label, outcome });
    this.#duration.observe({ function: label }, used.wallMs / 1000);
    this.#cpu.inc({ function: label }, Math.max(0, used.cpuMs / 1000));
  }

  refused(name: string, code: ErrorCode): void {
    this.#refusals.inc({ function: this.#label(name), code });
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

  /** Adds the gauges; call once. */
  observe(observed: Observed): void {
    const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        async collect() {
          this.set(await read());
        },
      });
    gauge("thimble_active_executions", "Executions in flight", () => observed.activeExecutions());
    gauge("thimble_queued_executions", "Requests waiting for a slot", () => observed.queuedExecutions());
    gauge("thimble_functions", "Deployed functions", () => observed.functions());
    gauge("thimble_dropped_records", "Executions missing from the history", () => observed.droppedRecords());
    gauge("thimble_sandboxes", "Sandboxes alive", () => observed.runtime().instances);
    gauge("thimble_sandboxes_busy", "Sandboxes executing", () => observed.runtime().busy);
    gauge("thimble_database_connections", "Connections for functions", async () => {
      return (await observed.pool()).totalConnections;
    });
    gauge("thimble_database_connections_in_use", "Those in use", async () => {
      return (await observed.pool()).inUseConnections;
    });
  }

  /** Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
