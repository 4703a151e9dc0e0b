import { randomUUID } from "node:crypto";
import type { InvocationRequest, InvocationResult, Outcome } from "../runtime/invocation.ts";
import type { Admission } from "./admission.ts";
import { outcomeDetail, outcomeError, PlatformError, toPlatformError } from "./errors.ts";
import type { FunctionLogs } from "./function-logs.ts";
import type { LiveFunction } from "./live-function.ts";
import type { Logger } from "./log.ts";
import { mapStack } from "./map-stack.ts";
import type { Metrics } from "./metrics.ts";
import type { Runtime } from "./ports.ts";
import type { RequestScope } from "./request-scope.ts";
import type { InvocationEnd, Recorder } from "./store/recorder.ts";

export interface InvokerDeps {
  runtime: Pick<Runtime, "run">;
  admission: Admission;
  recorder: Pick<Recorder, "start">;
  logs: Pick<FunctionLogs, "append">;
  metrics: Pick<Metrics, "executed" | "refused">;
  log: Logger;
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
      const program = await live.program();
      const slot = admission.acquire(live.name, live.limits.concurrency, scope.signal);
      const release = typeof slot === "function" ? slot : await slot;
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
    const { runtime, recorder } = this.#deps;
    const leftMs = scope.handOver();
    const limits =
      leftMs < live.invocationLimits.timeoutMs
        ? { ...live.invocationLimits, timeoutMs: leftMs }
        : live.invocationLimits;
    const end = recorder.start({
      id: randomUUID(),
      functionId: live.id,
      functionName: live.name,
      version: live.version,
      requestId,
      timestamp: new Date(),
    });
    let result: InvocationResult;
    try {
      result = await runtime.run(program, request, {
        limits,
        env: live.env,
        context: { requestId, functionName: live.name, version: live.version },
        services: live.services,
        signal: scope.signal,
      });
    } catch (thrown) {
      const error = toPlatformError(thrown);
      const nothing = { durationMs: null, cpuMs: null, fuel: null, memoryBytes: null };
      end({ ...nothing, status: "failed", error: error.message, errorCode: error.code });
      throw error;
    }
    if (result.outcome.kind === "threw" && result.outcome.error.stack !== undefined) {
      const { error } = result.outcome;
      const stack = mapStack(result.outcome.error.stack, program);
      result = { ...result, outcome: { kind: "threw", error: { ...error, stack } } };
    }
    // When the request's whole time was the tighter bound, that is the limit to name.
    if (result.outcome.kind === "timedOut" && limits !== live.invocationLimits) {
      result = { ...result, outcome: { kind: "timedOut", timeoutMs: scope.timeoutMs } };
    }
    const noted = result;
    if (result.background) {
      void result.background
        .then((final) => this.#note(live, requestId, { ...noted, ...final }, end))
        .catch((error) => this.#deps.log.error({ requestId, err: error }, "an execution could not be noted"));
    } else this.#note(live, requestId, result, end);
    return result;
  }

  #note(
    live: LiveFunction,
    requestId: string,
    result: InvocationResult,
    end: (row: InvocationEnd) => void,
  ): void {
    const { logs, metrics, log } = this.#deps;
    const { outcome, metrics: used } = result;
    const error = outcomeError(outcome);
    const detail = outcomeDetail(outcome);
    const message = detail?.name ? `${detail.name}: ${detail.message}` : (detail?.message ?? null);
    end({
      status: statusOf(outcome),
      durationMs: used.wallMs,
      error: message,
      errorCode: error?.code ?? null,
      cpuMs: used.cpuMs,
      fuel: used.fuel,
      memoryBytes: used.memoryBytes,
    });
    metrics.executed(live.name, outcome.kind, used);
    const time = new Date().toISOString();
    for (const line of result.logs)
      logs.append(live.name, { ...line, time, requestId, version: live.version });
    const fields = {
      requestId,
      function: live.name,
      version: live.version,
      outcome: outcome.kind,
      wallMs: used.wallMs,
      cpuMs: used.cpuMs,
      fuel: used.fuel,
      memoryBytes: used.memoryBytes,
    };
    if (outcome.kind === "completed") {
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
