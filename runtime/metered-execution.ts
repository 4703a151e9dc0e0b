import { MeterHostError } from "../compiler/wasm/index.ts";
import type { RunOptions } from "./execution.ts";
import { FunctionLog } from "./function-log.ts";
import { guestStack } from "./guest-stack.ts";
import type { InvocationMetrics, InvocationRequest, InvocationResult, Outcome } from "./invocation.ts";
import type { Scheduler } from "./scheduler.ts";
import { HostError } from "./services.ts";
import { Turns } from "./turns.ts";

/** Price of a call of the host in fuel: a base, and one unit for each 8 bytes. */
export const callFuel = (bytes: number): bigint => BigInt(1_000 + Math.floor(bytes / 8));

/** A call with so many bytes may have taken the host longer than a slice: the clock is looked at behind it. */
export const longCallBytes = 1024;

/** Thrown through a guest that is to end; its frames may catch it, but are stopped at their next check. */
export class GuestEnded extends Error {
  constructor() {
    super("the guest has ended");
    this.name = "GuestEnded";
  }
}

/**
 * One request to a guest that is WebAssembly of its user's: time, turns and logs, from the body to the outcome. Subclasses say what runs.
 * The caller has taken the thread from the scheduler; the execution gives it back.
 */
export abstract class MeteredExecution {
  protected readonly options: RunOptions;
  protected readonly turns: Turns;
  protected readonly log = new FunctionLog();
  readonly #scheduler: Scheduler;
  readonly #began: number;
  readonly #outcome = Promise.withResolvers<Outcome>();
  /** Resolves, as the end of a stream does, when the execution is stopped from outside. */
  readonly #stopped = Promise.withResolvers<{ done: true; value: undefined }>();
  /** What was used, once it is over. */
  #used: Pick<InvocationMetrics, "fuel" | "memoryBytes" | "hostCalls"> | null = null;
  /** Resolves when nothing of this execution is left. */
  readonly #over = Promise.withResolvers<void>();

  constructor(options: RunOptions, scheduler: Scheduler, began: number) {
    this.options = options;
    this.turns = new Turns(options.limits, scheduler, options.context.functionName, began);
    this.#scheduler = scheduler;
    this.#began = began;
  }

  /** Calls `listener` when nothing of this execution is left. */
  onOver(listener: () => void): void {
    void this.#over.promise.then(listener);
  }

  /** Runs the guest. Rejects with what comes out of it, or out of the host. */
  protected abstract call(request: InvocationRequest, body: Uint8Array): Promise<Outcome>;
  /** The guest's end when something other than its own return or failure brought it about. */
  protected abstract ending(): Outcome | undefined;
  protected abstract used(): Pick<InvocationMetrics, "fuel" | "memoryBytes" | "hostCalls">;
  /** Ends what the guest waits for. */
  protected abstract wake(): void;
  /** Gives back what the execution holds. `broken`: the host has failed. */
  protected abstract release(broken: boolean): void;

  /** Runs to the outcome; see {@link onOver} for the end. */
  async run(request: InvocationRequest): Promise<InvocationResult> {
    const { limits, signal } = this.options;
    // one more: the event loop's clock has a grain of 1 ms and may be early
    const timer = setTimeout(() => this.#stop("timedOut"), limits.timeoutMs + 1);
    const onAbort = () => this.#stop("aborted");
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) onAbort();
    void this.#execute(request);
    this.onOver(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
    const outcome = await this.#outcome.promise;
    const result = { outcome, metrics: this.#metrics(), logs: [...this.log.lines] };
    if (this.#used) return result;
    const final = () => ({ outcome, metrics: this.#metrics(), logs: this.log.lines });
    return { ...result, background: this.#over.promise.then(final) };
  }

  sliceEnded(): "go" | "trap" | "yield" {
    return this.turns.sliceEnded();
  }

  yielded(): Promise<"go" | "trap"> {
    return this.turns.yielded();
  }

  /** What came out of a guest: a trap, or an exception of its own. Throws again what is neither. */
  protected failure(cause: unknown): Outcome {
    if (cause instanceof MeterHostError && cause.code === "limit_exceeded") {
      return { kind: "outOfMemory", limitBytes: this.options.limits.memoryLimitBytes };
    }
    // The engine checks the stack and throws a RangeError through all frames.
    if (cause instanceof RangeError) return { kind: "stackOverflow" };
    if (cause instanceof WebAssembly.RuntimeError) {
      const { name, message } = cause;
      return { kind: "threw", error: { name, message, stack: guestStack(cause) } };
    }
    if (cause instanceof WebAssembly.Exception) {
      return { kind: "threw", error: { name: "Exception", message: "the module threw an exception" } };
    }
    throw cause;
  }

  protected limitOutcome(): Outcome {
    const { timeoutMs, cpuMs } = this.options.limits;
    switch (this.turns.stopReason) {
      case "timedOut":
        return { kind: "timedOut", timeoutMs };
      case "outOfCpu":
        return { kind: "outOfCpu", cpuMs: cpuMs ?? 0 };
      default:
        return { kind: "aborted" };
    }
  }

  async #execute(request: InvocationRequest): Promise<void> {
    const { turns } = this;
    let broken = false;
    let outcome: Outcome;
    turns.enter();
    try {
      const body = request.body instanceof Uint8Array ? request.body : await this.#receive(request.body);
      outcome = turns.stopReason === null ? await this.#call(request, body) : this.limitOutcome();
    } catch (cause) {
      // not the guest's doing: a defect of the host must not leave a request without an answer
      broken = !(cause instanceof HostError);
      outcome = failedHost(cause);
    }
    turns.leave();
    this.#used = this.used();
    this.#outcome.resolve(outcome);
    this.release(broken);
    this.#scheduler.give();
    this.#over.resolve();
  }

  async #call(request: InvocationRequest, body: Uint8Array): Promise<Outcome> {
    try {
      const outcome = await this.call(request, body);
      return this.ending() ?? outcome;
    } catch (cause) {
      return this.ending() ?? this.failure(cause);
    }
  }

  /** A streamed body, whole: these guests read it from memory. Breaks off when the execution is stopped. */
  async #receive(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
    const reader = stream.getReader();
    const parts: Uint8Array[] = [];
    let total = 0;
    const read = async (): Promise<Uint8Array> => {
      for (;;) {
        const { value, done } = await Promise.race([reader.read(), this.#stopped.promise]);
        if (done) break;
        total += value.byteLength;
        if (total > this.options.limits.memoryLimitBytes) {
          throw new HostError("body_too_large", "the request body is larger than the sandbox's memory");
        }
        parts.push(value);
      }
      return Buffer.concat(parts, total);
    };
    try {
      return await this.turns.pause(read());
    } finally {
      void reader.cancel().catch(() => {});
    }
  }

  /** A guest that is parked or sleeps is answered for at once, and resumed only to trap. */
  #stop(reason: "timedOut" | "aborted"): void {
    if (this.#used) return;
    this.turns.stop(reason);
    this.#outcome.resolve(this.limitOutcome());
    this.wake();
    this.#stopped.resolve({ done: true, value: undefined });
  }

  #metrics(): InvocationMetrics {
    return {
      wallMs: performance.now() - this.#began,
      cpuMs: this.turns.cpuMs,
      ...(this.#used ?? this.used()),
    };
  }
}

/** A request body that broke off or is too large, in its own words; of other failures only that there was one. */
function failedHost(cause: unknown): Outcome {
  if (cause instanceof HostError) {
    const { name, message, code } = cause;
    return { kind: "threw", error: { name, message, code } };
  }
  return { kind: "trapped", message: cause instanceof Error ? cause.message : String(cause) };
}
