import { setTimeout } from "node:timers/promises";
import type { FunctionLogs } from "../function-logs.ts";
import type { Handle } from "../listen.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { ArtifactSource } from "../ports.ts";
import type { InvocationRow, InvocationStore } from "../store/invocations.ts";
import { ChannelClosedError, type Handlers } from "./channel.ts";
import type { Heartbeat, Report, supervisorMethods, WorkerStart } from "./protocol.ts";
import type { Borrower, SlotBank } from "./slot-bank.ts";
import { WorkerProcess } from "./worker-process.ts";

/** What a worker may use of the supervisor. */
export interface WorkerHost {
  slots: SlotBank<SupervisedWorker>;
  artifacts: ArtifactSource;
  history: Pick<InvocationStore, "append" | "save" | "failRunning">;
  logs: Pick<FunctionLogs, "append">;
  metrics: Pick<Metrics, "add">;
  log: Logger;
  /** Writes a finished line to the platform's log. */
  writeLog(line: string): void;
}

export interface SupervisedWorkerOptions {
  number: number;
  script: string;
  execArgv: readonly string[];
  host: WorkerHost;
  /** Told of each sign of life. */
  onHeartbeat(): void;
  /** Told once when the worker has opened a listening socket of its own. */
  onListening(socket: Handle): void;
}

/** `starting` → `ready` → `draining`; it may end at any time. */
export type WorkerState = "starting" | "ready" | "draining";

const START_TIMEOUT_MS = 60_000;

/** From the end of all work to the end of the process. */
const EXIT_TIMEOUT_MS = 5_000;

/** One worker from its start to its end: serves what it asks for, and remembers what it has under way. */
export class SupervisedWorker implements Borrower {
  readonly number: number;
  readonly startedAt = new Date();
  /** Why it ended. Its executions are closed in the history by then. */
  readonly ended: Promise<string>;
  state: WorkerState = "starting";
  heartbeat: Heartbeat = { eventLoopDelayMs: 0, memoryBytes: 0, activeExecutions: 0 };
  /** Heartbeats that did not come, in a row. */
  missed = 0;
  readonly #process: WorkerProcess;
  readonly #host: WorkerHost;
  /** Rows in the history as `running`. */
  readonly #running = new Set<string>();
  readonly #saving = new Set<Promise<void>>();

  constructor({ number, script, execArgv, host, onHeartbeat, onListening }: SupervisedWorkerOptions) {
    this.number = number;
    this.#host = host;
    const { artifacts, history, slots } = host;
    const handlers: Handlers<typeof supervisorMethods> = {
      listening: (_nothing, { handle }) => {
        if (handle) onListening(handle);
      },
      heartbeat: (heartbeat) => {
        this.heartbeat = heartbeat;
        this.missed = 0;
        onHeartbeat();
      },
      report: (report) => this.#report(report),
      want: ({ key, count }) => slots.want(this, key, count),
      giveBack: ({ key, count, wanted }) => slots.giveBack(this, key, count, wanted),
      append: ({ lines }) => history.append(lines),
      save: ({ rows }) => this.#save(rows),
      artifact: ({ functionId, version }) => artifacts.artifact(functionId, version),
      rebuilt: ({ functionId, version }) => artifacts.rebuilt(functionId, version),
    };
    this.#process = new WorkerProcess({ script, execArgv, handlers });
    slots.add(this);
    this.ended = this.#process.exited.then(async (reason) => {
      slots.remove(this);
      await this.#closeHistory(reason);
      return reason;
    });
  }

  grant(key: string, count: number): void {
    this.#process.channel.tell("grant", { key, count });
  }

  owe(key: string, count: number, keep: number): void {
    this.#process.channel.tell("owe", { key, count, keep });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get call() {
    return this.#process.channel.call.bind(this.#process.channel);
  }

  /** Tells it what it needs and waits until it listens. Rejects with its error, or when it ends first. */
  async start(start: WorkerStart, socket: Handle | undefined): Promise<string> {
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    try {
      const { url } = await this.call("start", start, { handle: socket, signal });
      this.state = "ready";
      return url;
    } catch (error) {
      this.kill("it did not start");
      throw error;
    }
  }

  /** A change that it has to know of. Resolves also when it ends instead of taking it in. */
  async tell(change: Promise<unknown>): Promise<void> {
    await change.catch((error) => {
      if (!(error instanceof ChannelClosedError)) throw error;
    });
  }

  /** Lets it finish what is under way, for at most `graceMs`, and end. */
  async drain(gently: boolean, graceMs: number): Promise<void> {
    this.state = "draining";
    await this.call("drain", { gently }, { signal: AbortSignal.timeout(graceMs) }).catch(() => {});
    this.#process.release();
    const late = setTimeout(EXIT_TIMEOUT_MS, true, { ref: false });
    if ((await Promise.race([this.ended, late])) === true) this.kill("it did not end when told to");
    await this.ended;
  }

  kill(reason: string): void {
    this.#process.kill(reason);
  }

  #report({ log, lines, counts }: Report): void {
    const { logs, metrics, writeLog } = this.#host;
    for (const line of log) writeLog(line);
    for (const { name, line } of lines) logs.append(name, line);
    for (const [name, counted] of counts) metrics.add(name, counted);
  }

  async #save(rows: InvocationRow[]): Promise<void> {
    const saving = this.#host.history.save(rows);
    this.#saving.add(saving);
    try {
      // Before it is known whether it was: a row that may be there has to be closed.
      for (const row of rows) if (row.status === "running") this.#running.add(row.id);
      await saving;
      for (const row of rows) if (row.status !== "running") this.#running.delete(row.id);
    } finally {
      this.#saving.delete(saving);
    }
  }

  async #closeHistory(reason: string): Promise<void> {
    await Promise.allSettled(this.#saving);
    if (this.#running.size === 0) return;
    const error = `The process that executed it ended: ${reason}`;
    await this.#host.history.failRunning([...this.#running], error).catch((cause) => {
      this.#host.log.error({ err: cause }, "executions of a worker that ended could not be closed");
    });
  }
}
