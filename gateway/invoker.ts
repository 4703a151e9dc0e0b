import type { InvocationRequest, InvocationResult, Outcome } from "../runtime/invocation.ts";
import type { Admission } from "./admission.ts";
import { outcomeDetail, outcomeError, PlatformError, toPlatformError } from "./errors.ts";
import type { FunctionLogs } from "./function-logs.ts";
import type { LiveFunction } from "./live-function.ts";
import type { Logger } from "./log.ts";
import { mapFrames, mapStack } from "./map-stack.ts";
import type { Metrics } from "./metrics.ts";
import { observeServices } from "./observed-services.ts";
import { orderedUuid } from "./ordered-uuid.ts";
import type { Runtime } from "./ports.ts";
import type { RequestScope } from "./request-scope.ts";
import { type InvocationEnd, type Recorded, type Recorder, UNMEASURED } from "./store/recorder.ts";
import type { KillReason } from "./store/schema.ts";
import { type Trace, traceOf } from "./trace.ts";

export interface InvokerDeps {
  runtime: Pick<Runtime, "run">;
  admission: Admission;
  recorder: Pick<Recorder, "start" | "end">;
  logs: Pick<FunctionLogs, "append">;
  metrics: Pick<Metrics, "executed" | "refused">;
  log: Logger;
  /** Whether requests that belong to no trace begin one. */
  tracing: boolean;
}

/** The one way in which functions are executed, for edge and admin alike. */
export class Invoker {
  readonly #deps: InvokerDeps;
  constructor(deps: InvokerDeps) {
    this.#deps = deps;
  }

  /**
   * Waits for a slot, executes, records and logs. Resolves with the result however the function ended; throws a
   * {@link PlatformError} when it was not executed (`concurrency_limit`, `overloaded`, `execution_timeout` while
   * waiting, `client_closed`, `internal_error`).
   */
  async invoke(
    live: LiveFunction,
    request: InvocationRequest,
    requestId: string,
    scope: RequestScope,
  ): Promise<InvocationResult> {
    const { admission, metrics, log } = this.#deps;
    try {
      const program = live.ready ?? (await scope.within(live.program()));
      const slot = admission.acquire(live.name, live.limits.concurrency, scope.signal);
      const release = typeof slot === "function" ? slot : await scope.within(slot);
      let result: InvocationResult | undefined;
      try {
        result = await this.#execute(live, program, request, requestId, scope);
        return result;
      } finally {
        // what goes on after the answer keeps the slot
        if (result?.background) void result.background.finally(release);
        else release();
      }
    } catch (thrown) {
      const error = scope.signal.aborted ? scope.error() : toPlatformError(thrown);
      metrics.refused(live.name, error.code);
      const level = error.code === "internal_error" ? "error" : "warn";
      log[level]({ requestId, function: live.name, code: error.code, err: error.cause }, error.message);
      throw error;
    }
  }

  async #execute(
    live: LiveFunction,
    program: unknown,
    request: InvocationRequest,
    requestId: string,
    scope: RequestScope,
  ): Promise<InvocationResult> {
    const { runtime, recorder, tracing } = this.#deps;
    const { invocationLimits } = live;
    const leftMs = scope.handOver();
    const shortened = leftMs < invocationLimits.timeoutMs;
    const trace = traceOf(request.headers, tracing);
    const timestamp = new Date();
    const recorded = recorder.start({
      id: orderedUuid(timestamp.getTime()),
      functionId: live.id,
      functionName: live.name,
      version: live.version,
      requestId,
      timestamp,
      traceId: trace === null ? null : trace.traceId,
      span: trace === null ? undefined : spanOf(trace),
    });
    const { services, databaseMs } = observeServices(live.services, trace);
    let raw: InvocationResult;
    try {
      raw = await runtime.run(program, request, {
        limits: shortened ? { ...invocationLimits, timeoutMs: leftMs } : invocationLimits,
        env: live.env,
        context: { requestId, functionName: live.name, version: live.version },
        services,
        signal: scope.signal,
        ...(live.reuse ? { reuse: live.reuse } : {}),
      });
    } catch (thrown) {
      const error = toPlatformError(thrown);
      recorder.end(recorded, {
        ...UNMEASURED,
        status: "failed",
        error: error.message,
        errorCode: error.code,
      });
      throw error;
    }
    const shown = (result: InvocationResult) =>
      shownResult(result, live, program, shortened ? scope.timeoutMs : null);
    const { background } = raw;
    const result = shown(raw);
    if (!background) {
      this.#note(live, request, recorded, databaseMs(), result);
      return result;
    }
    const rest = background.then((final) => shown({ ...raw, ...final }));
    void rest
      .then((final) => this.#note(live, request, recorded, databaseMs(), final))
      .catch((error) => this.#deps.log.error({ requestId, err: error }, "an execution could not be noted"));
    return { ...result, background: rest };
  }

  #note(
    live: LiveFunction,
    request: InvocationRequest,
    recorded: Recorded,
    databaseMs: number,
    { outcome, metrics: used, logs: lines }: InvocationResult,
  ): void {
    const { recorder, logs, metrics, log } = this.#deps;
    const { requestId } = recorded.start;
    const error = outcomeError(outcome);
    const detail = outcomeDetail(outcome);
    const message = detail?.name ? `${detail.name}: ${detail.message}` : (detail?.message ?? null);
    recorder.end(recorded, {
      status: statusOf(outcome),
      durationMs: used.wallMs,
      error: message,
      errorCode: error?.code ?? null,
      cpuMs: used.cpuMs,
      fuel: used.fuel,
      memoryBytes: used.memoryBytes,
      databaseMs,
      killReason: killReasonOf(outcome),
    });
    metrics.executed(live.name, outcome.kind, used);
    const completed = outcome.kind === "completed";
    if (completed && lines.length === 0 && !log.isLevelEnabled("debug")) return;
    const time = new Date().toISOString();
    for (const line of lines) logs.append(live.name, { ...line, time, requestId, version: live.version });
    const fields = {
      requestId,
      method: request.method,
      path: pathOf(request.url),
      function: live.name,
      version: live.version,
      outcome: outcome.kind,
      wallMs: used.wallMs,
      cpuMs: used.cpuMs,
      fuel: used.fuel,
      memoryBytes: used.memoryBytes,
      databaseMs,
      ...(recorded.start.traceId !== null && { traceId: recorded.start.traceId }),
    };
    if (completed) {
      log.debug({ ...fields, status: outcome.response.status }, "executed");
    } else if (outcome.kind === "aborted") {
      log.info(fields, "client went away");
    } else {
      log.warn({ ...fields, code: error?.code, error: message, stack: detail?.stack }, "execution failed");
      const text = detail?.stack ? `${message}\n${detail.stack}` : (message ?? "");
      logs.append(live.name, { level: "error", message: text, time, requestId, version: live.version });
    }
  }
}

function statusOf(outcome: Outcome): InvocationEnd["status"] {
  switch (outcome.kind) {
    case "completed":
      return "completed";
    case "timedOut":
      return "timeout";
    case "aborted":
      return "aborted";
    default:
      return "failed";
  }
}

const spanOf = ({ spanId, parentSpanId, sampled }: Trace) => ({ spanId, parentSpanId, sampled });

/** The path of a URL without its query, which may hold what is not for the log. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.indexOf("?", start);
  return url.slice(start, end < 0 ? undefined : end);
}

/**
 * A result as the function's owner may see it: positions in the sources, no secrets, and the limit that was the tighter one
 * (`requestTimeoutMs` when that was the request's).
 */
function shownResult(
  raw: InvocationResult,
  live: LiveFunction,
  program: unknown,
  requestTimeoutMs: number | null,
): InvocationResult {
  if (raw.outcome.kind === "completed" && raw.logs.length === 0) return raw;
  return {
    ...raw,
    outcome: shownOutcome(raw.outcome, live, program, requestTimeoutMs),
    logs: raw.logs.map((line) => ({ ...line, message: live.mask(mapFrames(line.message, program)) })),
  };
}

function shownOutcome(
  outcome: Outcome,
  live: LiveFunction,
  program: unknown,
  requestTimeoutMs: number | null,
): Outcome {
  if (outcome.kind === "timedOut" && requestTimeoutMs !== null) {
    return { kind: "timedOut", timeoutMs: requestTimeoutMs };
  }
  if (outcome.kind !== "threw") return outcome;
  const { error } = outcome;
  const stack = error.stack === undefined ? {} : { stack: live.mask(mapStack(error.stack, program)) };
  return { kind: "threw", error: { ...error, message: live.mask(error.message), ...stack } };
}

/** What ended an execution from outside; null when it ended by itself. */
function killReasonOf(outcome: Outcome): KillReason | null {
  switch (outcome.kind) {
    case "completed":
    case "threw":
    case "invalidResponse":
      return null;
    case "timedOut":
      return "timeout";
    case "outOfCpu":
      return "cpu";
    case "outOfMemory":
      return "memory";
    case "outOfFuel":
      return "fuel";
    case "stackOverflow":
      return "stack";
    case "responseTooLarge":
      return "response_size";
    case "trapped":
      return "trap";
    case "aborted":
      return "client_gone";
  }
}
