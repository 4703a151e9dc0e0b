import { setTimeout } from "node:timers/promises";
import type { InvokeInput } from "../admin/input.ts";
import { Admission } from "../admission.ts";
import type { EdgeConfig } from "../config.ts";
import { PlatformError } from "../errors.ts";
import type { Fleet, FleetStats } from "../fleet.ts";
import type { Lender } from "../gate.ts";
import { Invoker, type InvokerDeps } from "../invoker.ts";
import { type Handle, type Listener, type ListenOptions, listen } from "../listen.ts";
import type { LiveFunction } from "../live-function.ts";
import type { ArtifactSource, EdgeParts } from "../ports.ts";
import { RequestScope } from "../request-scope.ts";
import type { StoredFunction } from "../store/read-functions.ts";
import { type History, Recorder } from "../store/recorder.ts";
import { type InvokeResult, invokeForAdmin } from "./admin-invoke.ts";
import { createEdgeApp } from "./app.ts";
import { LoadShedder } from "./load-shedder.ts";
import { Registry } from "./registry.ts";
import { functionServer } from "./serve.ts";

export interface EdgeDeps extends EdgeParts, Pick<InvokerDeps, "logs" | "metrics" | "log"> {
  config: EdgeConfig;
  /** What is deployed at the start. */
  catalog: { list(): StoredFunction[] };
  artifacts: ArtifactSource;
  history: History;
  /** Who lends slots, where limits hold over several processes. */
  lender?: Lender;
}

/** For headers to arrive, and for the request's own time-out to be answered, ms. */
const ARRIVAL_GRACE_MS = 15_000;

/** Runs functions in this process: sandboxes, admission and the edge listener. Owns its parts and closes them. */
export class Edge implements Fleet {
  readonly #deps: EdgeDeps;
  readonly #registry: Registry;
  readonly #admission: Admission;
  readonly #invoker: Invoker;
  readonly #recorder: Recorder;
  readonly #scopes = new Set<RequestScope>();
  #listener: Listener | undefined;

  constructor(deps: EdgeDeps) {
    this.#deps = deps;
    const { config, log, logs, metrics, runtime, history } = deps;
    const { queueTimeoutMs, queueLimit, totalConcurrency: limit, totalQueueLimit } = config.limits;
    this.#registry = new Registry(deps);
    this.#admission = new Admission({
      ...{ queueTimeoutMs, queueLimit, limit, totalQueueLimit },
      lender: deps.lender,
    });
    this.#recorder = new Recorder(history, {
      onError: (error) => log.error({ err: error }, "executions could not be recorded; will try again"),
    });
    const recorder = this.#recorder;
    const { tracing } = config;
    this.#invoker = new Invoker({
      ...{ runtime, admission: this.#admission, recorder, logs, metrics, log, tracing },
    });
  }

  /** Takes in what is deployed and listens. Throws `ListenError`. */
  async open(how: Pick<ListenOptions, "shared" | "socket"> = {}): Promise<void> {
    for (const stored of this.#deps.catalog.list()) this.#registry.put(stored);
    const { config, log } = this.#deps;
    const deps = {
      config,
      registry: this.#registry,
      invoker: this.#invoker,
      admission: this.#admission,
      scopes: this.#scopes,
      log,
    };
    const { fetch } = createEdgeApp(deps);
    const serve = functionServer(deps);
    const shedder = new LoadShedder({ ...this.#deps, ...deps });
    this.#listener = await listen({
      ...config.edge,
      portSetting: "PORT",
      fetch,
      serve,
      refusal: (request) => shedder.refusal(request),
      // The request's own time, from its headers on, is the tighter bound.
      requestTimeoutMs: config.limits.requestTimeoutMs + ARRIVAL_GRACE_MS,
      maxConnections: config.limits.connections,
      ...how,
    });
  }

  /** Where it listens, for a process that is to listen there as well. */
  get socket(): Handle | undefined {
    return this.#listener?.socket;
  }

  get url(): string {
    return this.#listener?.url ?? "";
  }

  async check(artifact: Uint8Array): Promise<void> {
    await this.#deps.runtime.load(artifact);
  }

  async put(stored: StoredFunction, built?: { version: number; artifact: Uint8Array }): Promise<void> {
    if (!built) return this.#registry.put(stored);
    const program = await this.#deps.runtime.load(built.artifact);
    this.#registry.put(stored, { version: built.version, program });
  }

  async remove(name: string): Promise<void> {
    this.#registry.remove(name);
  }

  async invoke(
    name: string,
    input: InvokeInput,
    requestId: string,
    signal: AbortSignal,
  ): Promise<InvokeResult> {
    using scope = new RequestScope(this.#deps.config.limits.requestTimeoutMs, this.#scopes);
    if (signal.aborted) scope.clientGone();
    signal.addEventListener("abort", () => scope.clientGone(), { once: true });
    return await invokeForAdmin(this.#invoker, this.#version(name, input.version), input, requestId, scope);
  }

  #version(name: string, version: number | undefined): LiveFunction {
    if (version === undefined) return this.#registry.get(name);
    const live = this.#registry.route(name).find(version);
    if (live) return live;
    throw new PlatformError("version_not_found", `${name} has no version ${version} that can be called`);
  }

  async stats(): Promise<FleetStats> {
    return {
      activeExecutions: this.#admission.active(),
      queuedExecutions: this.#admission.queued(),
      active: this.#admission.activeByKey(),
      sandboxes: this.#deps.runtime.stats(),
      droppedRecords: this.#recorder.dropped,
      workers: [],
    };
  }

  async restart(): Promise<void> {}

  /** The lender's answers. */
  get slots(): Pick<Admission, "grant" | "owe"> {
    return this.#admission;
  }

  /** Takes no new connections, and lets those there are come to their end without a client's noticing. Then {@link close}. */
  async retire(): Promise<void> {
    await this.#listener?.retire();
  }

  /** This process is about to end: answers all requests with an error. */
  fail(): void {
    const error = new PlatformError("internal_error", "The process that executed the function failed");
    for (const scope of this.#scopes) scope.end(error);
  }

  async close(): Promise<void> {
    const { config, runtime, services } = this.#deps;
    const graceMs = config.limits.timeoutMs + 1000;
    const drained = this.#admission.drain();
    await this.#listener?.close(graceMs);
    // No listener is left, so what still runs has no client; the sandboxes' own deadlines end it.
    await Promise.race([drained, setTimeout(graceMs, undefined, { ref: false })]);
    await this.#recorder.close();
    await runtime.close();
    await services.close();
  }
}
