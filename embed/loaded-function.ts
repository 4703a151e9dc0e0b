import { randomUUID } from "node:crypto";
import type {
  InvocationLimits,
  InvocationMetrics,
  InvocationRequest,
  InvocationResult,
  Outcome,
} from "../runtime/invocation.ts";
import type { Program } from "../runtime/program.ts";
import type { LogLine } from "../runtime/protocol.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { HostServices } from "../runtime/services.ts";

/** Bounds of one call. What is left out is the runtime's. */
export type FunctionLimits = Partial<InvocationLimits>;

export interface CallOptions {
  /** Lowers the function's limits for this call. */
  limits?: FunctionLimits;
  /** Ends the call: the function's `request.signal` fires. */
  signal?: AbortSignal;
  /** Shown to the function and in errors. Default: a random one. */
  requestId?: string;
}

/** A function that gave no response: `outcome` says why. */
export class FunctionFailure extends Error {
  readonly code = "function_failed";
  readonly outcome: Exclude<Outcome, { kind: "completed" }>;
  readonly logs: readonly LogLine[];
  readonly metrics: InvocationMetrics;

  constructor(outcome: Exclude<Outcome, { kind: "completed" }>, { logs, metrics }: InvocationResult) {
    super(messageOf(outcome));
    this.name = "FunctionFailure";
    this.outcome = outcome;
    this.logs = logs;
    this.metrics = metrics;
  }
}

export interface LoadedFunctionOptions {
  name: string;
  limits: InvocationLimits;
  env: Readonly<Record<string, string>>;
  services: HostServices;
}

/** A function ready to be called, as often as wanted: each call in a sandbox that no other has touched. */
export class LoadedFunction {
  readonly #runtime: Runtime;
  readonly #program: Program;
  readonly #options: LoadedFunctionOptions;

  constructor(runtime: Runtime, program: Program, options: LoadedFunctionOptions) {
    this.#runtime = runtime;
    this.#program = program;
    this.#options = options;
  }

  /**
   * Calls it as a server would.
   *
   * @throws FunctionFailure when it gives no response; RuntimeError `overloaded` when no sandbox is free.
   */
  async fetch(request: Request | string, options: CallOptions = {}): Promise<Response> {
    const asked = typeof request === "string" ? new Request(request) : request;
    const signal = options.signal ?? asked.signal;
    const result = await this.run(
      {
        method: asked.method,
        url: asked.url,
        headers: [...asked.headers],
        body: asked.body ?? new Uint8Array(0),
      },
      { ...options, signal },
    );
    const { outcome } = result;
    if (outcome.kind !== "completed") throw new FunctionFailure(outcome, result);
    const { status, headers, body } = outcome.response;
    const empty = status === 204 || status === 205 || status === 304;
    return new Response(empty ? null : (body as BodyInit), { status, headers });
  }

  /** Calls it, with everything that there is to be known of how it went. Never rejects for what the function does. */
  run(request: InvocationRequest, options: CallOptions = {}): Promise<InvocationResult> {
    const { name, limits, env, services } = this.#options;
    const { requestId = randomUUID(), signal } = options;
    return this.#runtime.run(this.#program, request, {
      limits: lowered(limits, options.limits ?? {}),
      env,
      context: { requestId, functionName: name, version: 1 },
      services,
      ...(signal ? { signal } : {}),
    });
  }
}

/** The tighter one of each. */
export function lowered(limits: InvocationLimits, wishes: FunctionLimits): InvocationLimits {
  const lower = (ours: number, theirs: number | undefined) => Math.min(ours, theirs ?? ours);
  const bound = (ours: number | null, theirs: number | null | undefined) =>
    ours === null ? (theirs ?? null) : lower(ours, theirs ?? undefined);
  return {
    timeoutMs: lower(limits.timeoutMs, wishes.timeoutMs),
    cpuMs: bound(limits.cpuMs, wishes.cpuMs),
    memoryLimitBytes: lower(limits.memoryLimitBytes, wishes.memoryLimitBytes),
    fuel: bound(limits.fuel, wishes.fuel),
    responseLimitBytes: lower(limits.responseLimitBytes, wishes.responseLimitBytes),
  };
}

function messageOf(outcome: Exclude<Outcome, { kind: "completed" }>): string {
  switch (outcome.kind) {
    case "threw":
      return `the function threw ${outcome.error.name}: ${outcome.error.message}`;
    case "timedOut":
      return `the function timed out after ${outcome.timeoutMs} ms`;
    case "outOfCpu":
      return `the function used more than ${outcome.cpuMs} ms of CPU time`;
    case "outOfMemory":
      return `the function reached its memory limit of ${outcome.limitBytes} bytes`;
    case "outOfFuel":
      return `the function used up its fuel of ${outcome.fuel}`;
    case "stackOverflow":
      return "the function's call stack overflowed";
    case "responseTooLarge":
      return `the function's response is over the limit of ${outcome.limitBytes} bytes`;
    case "invalidResponse":
    case "trapped":
      return outcome.message;
    case "aborted":
      return "the call was ended by its signal";
  }
}
