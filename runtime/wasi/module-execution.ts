import type { RunOptions } from "../execution.ts";
import { FunctionLog } from "../function-log.ts";
import { pageSize } from "../image.ts";
import type { InvocationMetrics, InvocationRequest, InvocationResult, Outcome } from "../invocation.ts";
import type { GuestError } from "../protocol.ts";
import type { Scheduler } from "../scheduler.ts";
import { HostError } from "../services.ts";
import { Turns } from "../turns.ts";
import { outcomeOf, requestBytes } from "./envelope.ts";
import { guestStack } from "./guest-stack.ts";
import type { ModuleGuest, ModuleInstance } from "./module-instance.ts";
import type { ModulePool } from "./module-pool.ts";
import type { ModuleProgram } from "./module-program.ts";
import { GuestEnded, RequestSystem } from "./request-system.ts";

/** One request to a WASI module, from its instance to its outcome. */
export class ModuleExecution implements ModuleGuest {
  readonly #pool: ModulePool;
  readonly #program: ModuleProgram;
  readonly #options: RunOptions;
  readonly #scheduler: Scheduler;
  readonly #began: number;
  readonly #instance: ModuleInstance;
  readonly #turns: Turns;
  readonly #log = new FunctionLog();
  readonly #outcome = Promise.withResolvers<Outcome>();
  /** Resolves, as the end of a stream does, when the execution is stopped from outside. */
  readonly #stopped = Promise.withResolvers<{ done: true; value: undefined }>();
  #system: RequestSystem | null = null;
  #ended = false;
  #over!: () => void;
  /** Resolves when nothing of this execution is left. */
  readonly over = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  /**
   * The caller has taken the thread from the scheduler; the execution gives it back.
   *
   * @throws RuntimeError `overloaded`.
   */
  constructor(
    pool: ModulePool,
    program: ModuleProgram,
    options: RunOptions,
    scheduler: Scheduler,
    began: number,
  ) {
    const { memoryLimitBytes, fuel } = options.limits;
    this.#pool = pool;
    this.#program = program;
    this.#options = options;
    this.#scheduler = scheduler;
    this.#began = began;
    this.#turns = new Turns(options.limits, scheduler, options.context.functionName, began);
    this.#instance = pool.acquire(program, { memoryPages: Math.floor(memoryLimitBytes / pageSize), fuel });
    this.#instance.bind(this);
  }

  /** Calls `listener` when nothing of this execution is left. */
  onOver(listener: () => void): void {
    void this.over.then(listener);
  }

  /** Runs to the outcome; see {@link onOver} for the end. */
  async run(request: InvocationRequest): Promise<InvocationResult> {
    const { limits, signal } = this.#options;
    // one more: the event loop's clock has a grain of 1 ms and may be early
    const timer = setTimeout(() => this.#stop("timedOut"), limits.timeoutMs + 1);
    const onAbort = () => this.#stop("aborted");
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) onAbort();
    void this.#execute(request);
    void this.over.then(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
    const outcome = await this.#outcome.promise;
    const result = { outcome, metrics: this.#metrics(), logs: [...this.#log.lines] };
    if (this.#ended) return result;
    const final = () => ({ outcome, metrics: this.#metrics(), logs: this.#log.lines });
    return { ...result, background: this.over.then(final) };
  }

  get system(): RequestSystem {
    return this.#system!;
  }

  sliceEnded(): "go" | "trap" | "yield" {
    // a guest that catches what ends it goes no further than here
    if (this.system.exitCode !== null || this.system.outputTooLarge) this.#turns.stop("finished");
    return this.#turns.sliceEnded();
  }

  yielded(): Promise<"go" | "trap"> {
    return this.#turns.yielded();
  }

  async #execute(request: InvocationRequest): Promise<void> {
    const turns = this.#turns;
    let broken = false;
    let outcome: Outcome;
    turns.enter();
    try {
      const body = request.body instanceof Uint8Array ? request.body : await this.#receive(request.body);
      outcome = turns.stopReason === null ? await this.#call(request, body) : this.#limitOutcome();
    } catch (cause) {
      if (cause instanceof HostError) return this.#end(failedBody(cause), false);
      // not the guest's doing: a defect of the host must not leave a request without an answer
      broken = true;
      outcome = { kind: "trapped", message: cause instanceof Error ? cause.message : String(cause) };
    }
    this.#end(outcome, broken);
  }

  #end(outcome: Outcome, broken: boolean): void {
    this.#turns.leave();
    this.#system?.flush();
    this.#ended = true;
    this.#outcome.resolve(outcome);
    const memoryBytes = this.#instance.memoryBytes;
    const fuel = Number(this.#instance.host.fuelUsed);
    this.#metrics = () => ({ ...this.#counted(), memoryBytes, fuel });
    this.#pool.release(this.#instance, broken);
    this.#scheduler.give();
    this.#over();
  }

  /** A streamed body, whole: modules read it from memory. Breaks off when the execution is stopped. */
  async #receive(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
    const reader = stream.getReader();
    const parts: Uint8Array[] = [];
    let total = 0;
    const read = async (): Promise<Uint8Array> => {
      for (;;) {
        const { value, done } = await Promise.race([reader.read(), this.#stopped.promise]);
        if (done) break;
        total += value.byteLength;
        if (total > this.#options.limits.memoryLimitBytes)
          throw new HostError("body_too_large", bodyTooLarge);
        parts.push(value);
      }
      return Buffer.concat(parts, total);
    };
    try {
      return await this.#turns.pause(read());
    } finally {
      void reader.cancel().catch(() => {});
    }
  }

  async #call(request: InvocationRequest, body: Uint8Array): Promise<Outcome> {
    const { manifest, files } = this.#program;
    const { context, env, limits } = this.#options;
    const instance = this.#instance;
    this.#system = new RequestSystem({
      args: [context.functionName, ...(manifest.config.args ?? [])],
      env,
      stdin: requestBytes(manifest.stdio, request, body),
      files,
      outputLimitBytes: limits.responseLimitBytes,
      log: this.#log,
      turns: this.#turns,
      charge: (units) => instance.host.charge(units),
    });
    let code: number;
    try {
      instance.prepare();
      this.#turns.mayYield = true;
      code = await instance.run();
    } catch (cause) {
      const known = this.#ending();
      if (known) return known;
      return failure(cause);
    } finally {
      this.#turns.mayYield = false;
    }
    return this.#ending() ?? this.#exit(code);
  }

  /** What has ended the guest, other than its own return or failure. */
  #ending(): Outcome | undefined {
    const { exitCode, outputTooLarge } = this.system;
    const { host } = this.#instance;
    const { responseLimitBytes } = this.#options.limits;
    if (outputTooLarge) return { kind: "responseTooLarge", limitBytes: responseLimitBytes };
    if (exitCode !== null) return this.#exit(exitCode);
    if (host.stopped === "host" && host.failure !== undefined) throw host.failure;
    if (host.stopped === "host") return this.#limitOutcome();
    if (host.stopped === "fuel") return { kind: "outOfFuel", fuel: this.#options.limits.fuel ?? 0 };
    if (host.stopped === "memory")
      return { kind: "outOfMemory", limitBytes: this.#options.limits.memoryLimitBytes };
    if (host.stopped === "table")
      return { kind: "trapped", message: "the module's tables grew beyond their limit" };
    return undefined;
  }

  #limitOutcome(): Outcome {
    const { limits } = this.#options;
    const { stopReason } = this.#turns;
    if (stopReason === "outOfCpu") return { kind: "outOfCpu", cpuMs: limits.cpuMs ?? 0 };
    return stopReason === "timedOut"
      ? { kind: "timedOut", timeoutMs: limits.timeoutMs }
      : { kind: "aborted" };
  }

  #exit(code: number): Outcome {
    if (code === 0) return outcomeOf(this.#program.manifest.stdio, this.system.output());
    const error: GuestError = {
      name: "Exit",
      message: `the module exited with code ${code}`,
      code: "module_exit",
    };
    return { kind: "threw", error };
  }

  /** A guest that is parked or sleeps is answered for at once, and resumed only to trap. */
  #stop(reason: "timedOut" | "aborted"): void {
    if (this.#ended) return;
    this.#turns.stop(reason);
    this.#outcome.resolve(this.#limitOutcome());
    this.#system?.wake();
    this.#stopped.resolve({ done: true, value: undefined });
  }

  #metrics = (): InvocationMetrics => ({
    ...this.#counted(),
    memoryBytes: this.#instance.memoryBytes,
    fuel: Number(this.#instance.host.fuelUsed),
  });

  #counted() {
    return {
      wallMs: performance.now() - this.#began,
      cpuMs: this.#turns.cpuMs,
      hostCalls: this.#system?.sleeps ?? 0,
    };
  }
}

const bodyTooLarge = "the request body is larger than the sandbox's memory";

/** A request body that broke off, or is too large: the guest has not begun. */
function failedBody({ name, message, code }: HostError): Outcome {
  return { kind: "threw", error: { name, message, code } };
}

/** What came out of a guest: a trap, or an exception of its own. */
function failure(cause: unknown): Outcome {
  // The engine checks the stack and throws a RangeError through all frames.
  if (cause instanceof RangeError) return { kind: "stackOverflow" };
  if (cause instanceof GuestEnded) return { kind: "trapped", message: "the module ended itself" };
  if (cause instanceof WebAssembly.RuntimeError || cause instanceof WebAssembly.Exception) {
    const { name, message } = cause as Error;
    return {
      kind: "threw",
      error: {
        name: name ?? "Exception",
        message: message ?? "an exception of the module's",
        stack: guestStack(cause),
      },
    };
  }
  throw cause;
}
