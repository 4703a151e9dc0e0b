import { randomFillSync } from "node:crypto";
import type { Cancellation } from "./cancellation.ts";
import { FunctionLog } from "./function-log.ts";
import {
  GuestMessageError,
  messageLimits,
  readDecodeRequest,
  readGuestError,
  readLogLine,
  readNumber,
  readResponseHead,
} from "./guest-message.ts";
import { Calls } from "./host/calls.ts";
import { Decoders } from "./host/decoders.ts";
import { type Difference, overlaid, pageSize } from "./image.ts";
import type {
  InvocationLimits,
  InvocationMetrics,
  InvocationRequest,
  InvocationResult,
  Outcome,
} from "./invocation.ts";
import { longCallBytes } from "./metered-execution.ts";
import { type Completion, Operations } from "./operations.ts";
import { Sink } from "./pipes.ts";
import type { InstancePool, Lease, Reuse, Waiting } from "./pool.ts";
import type { ScriptProgram } from "./program.ts";
import { CallState, Event, encodeHead, type GuestError, Op, RequestFlag } from "./protocol.ts";
import { type Failure, Sandbox } from "./sandbox.ts";
import type { Scheduler } from "./scheduler.ts";
import type { HostServices } from "./services.ts";
import { type VariableImages, variablesText } from "./variable-images.ts";

/** Number of the request's body as a source, and of the response's as a sink. */
const ownBody = 0;
const noBytes = new Uint8Array(0);
/** How long a guest may take to hear that its client has gone, ms: one that computes on is stopped. */
const leaveGraceMs = 50;
/** Price of a host call in fuel: a base, and one unit for each 8 bytes. */
const callFuel = 1_000;
/** What QuickJS says when its stack check fires (JS_ThrowStackOverflow). */
const engineStackOverflow = { name: "RangeError", message: "Maximum call stack size exceeded" } as const;

export interface RunOptions {
  limits: InvocationLimits;
  /** Variables and secrets of the function. The same object for the same ones: it must not change. */
  env: Readonly<Record<string, string>>;
  context: { requestId: string; functionName: string; version: number };
  services: HostServices;
  /**
   * The client went away. The function's `request.signal` fires; it ends at once unless it listens to that, or has given work to
   * `ctx.waitUntil`.
   */
  signal?: Cancellation;
  /** Absent: a pristine sandbox. Else one that may have answered requests of this program before, and keeps what they left. */
  reuse?: Reuse;
}

/** What executions of one thread share. */
export interface ExecutionHost {
  pool: InstancePool;
  scheduler: Scheduler;
  images: VariableImages;
}

const seeds = new BigInt64Array(512);
let seedsUsed = seeds.length;

function seed(): bigint {
  if (seedsUsed === seeds.length) {
    randomFillSync(seeds);
    seedsUsed = 0;
  }
  return seeds[seedsUsed++]!;
}

/** One request in one sandbox, from the restored image to the outcome. */
export class Execution extends Sandbox implements Waiting {
  readonly #host: ExecutionHost;
  readonly #program: ScriptProgram;
  readonly #options: RunOptions;
  readonly #lease: Lease;
  readonly #began: number;
  readonly #log = new FunctionLog();
  /** What the sandbox's state is a difference to: the program's image, or the one that has the function's variables in it. */
  #image: Difference;
  #operations: Operations | null = null;
  #decoders: Decoders | null = null;
  #calls: Calls | null = null;
  #events: { event: Event; id: number; text: string; bytes: Uint8Array }[] = [];
  #outcome: Outcome | null = null;
  /** Why a body broke off whose beginning has been sent. */
  #brokeOff: Outcome | null = null;
  #streaming = false;
  #left = false;
  #pumping = false;
  #restored = false;
  #ended = false;
  /** The guest was stopped in the middle of something. */
  #torn = false;
  #nowMs = 0;
  /** The sandbox's state while it waits without an instance. */
  #evicted: Difference | null = null;
  #timer: NodeJS.Timeout | null = null;
  #settle: ((result: InvocationResult) => void) | null = null;
  #onOver: (() => void)[] = [];

  /**
   * The caller has taken the thread from the scheduler; the execution gives it back.
   *
   * @throws RuntimeError `overloaded`.
   */
  constructor(host: ExecutionHost, program: ScriptProgram, options: RunOptions, began: number) {
    const { limits, context, reuse } = options;
    const lease = host.pool.acquire(program.image, variablesText(options.env), began, reuse);
    super(lease.instance, limits, host.scheduler, context.functionName, began);
    this.#host = host;
    this.#began = began;
    this.#program = program;
    this.#options = options;
    this.#lease = lease;
    this.#image = program.image;
    this.#restored = lease.uses > 0;
  }

  /**
   * Runs to the outcome; see {@link onOver} for the end.
   *
   * @throws TypeError for a request that is no HTTP message.
   */
  run(request: InvocationRequest): Promise<InvocationResult> {
    const result = new Promise<InvocationResult>((resolve) => {
      this.#settle = resolve;
    });
    if (this.#options.signal?.aborted) {
      this.#stop({ kind: "aborted" });
      this.#host.scheduler.give();
    } else {
      try {
        this.#begin(request);
      } catch (cause) {
        this.#stop({ kind: "aborted" });
        this.#host.scheduler.give();
        throw cause;
      }
      void this.#pump();
    }
    return result;
  }

  /** Calls `listener` when nothing of this execution is left. */
  onOver(listener: () => void): void {
    if (this.#ended) listener();
    else this.#onOver.push(listener);
  }

  #begin({ method, url, headers, body }: InvocationRequest): void {
    const { context } = this.#options;
    const text = encodeHead({ method, url, headers, context, now: Date.now() });
    const whole = body instanceof Uint8Array;
    const id = (whole ? 0 : RequestFlag.stream) | (method === "HEAD" ? RequestFlag.head : 0);
    if (!whole) this.#ownOperations.addSource(ownBody, body);
    this.#events.push({ event: Event.request, id, text, bytes: whole ? body : noBytes });
  }

  get #ownOperations(): Operations {
    this.#operations ??= new Operations(this.#options.services, (completion) => this.#deliver(completion));
    return this.#operations;
  }

  /** Answers the caller, once the guest's stack is gone or parked and its counters are settled. */
  #publish(): void {
    if (this.#outcome === null || this.#settle === null) return;
    const settle = this.#settle;
    this.#settle = null;
    const result = {
      outcome: (this.#ended ? this.#brokeOff : null) ?? this.#outcome,
      metrics: this.metrics(),
      logs: [...this.#log.lines],
    };
    settle(this.#ended ? result : { ...result, background: this.#background(this.#outcome) });
  }

  #background(outcome: Outcome): NonNullable<InvocationResult["background"]> {
    return new Promise((resolve) => {
      this.onOver(() =>
        resolve({ outcome: this.#brokeOff ?? outcome, metrics: this.metrics(), logs: this.#log.lines }),
      );
    });
  }

  metrics(): InvocationMetrics {
    return {
      wallMs: performance.now() - this.#began,
      cpuMs: this.budget.cpuMs,
      fuel: this.budget.fuelUsed,
      memoryBytes: Math.max(this.budget.peakPages, this.#image.pages) * pageSize,
      hostCalls: this.#operations?.count ?? 0,
    };
  }

  /** From now on the deadline and the client's leaving come from outside: the guest waits, or its stack is parked. */
  #watch(): void {
    if (this.#timer !== null || this.#ended) return;
    // one more: the event loop's clock has a grain of 1 ms and may be early
    const leftMs = Math.ceil(this.budget.deadline - performance.now()) + 1;
    this.#timer = setTimeout(() => this.#stop({ kind: "timedOut" }), Math.max(1, leftMs));
    this.#options.signal?.addEventListener("abort", this.#onAbort);
    if (this.#options.signal?.aborted) queueMicrotask(this.#onAbort);
  }

  #unwatch(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#leave();

  #deliver(completion: Completion): void {
    this.#events.push(completion);
    if (!this.#pumping) void this.#wake();
  }

  async #wake(): Promise<void> {
    this.#pumping = true;
    const { pool, scheduler } = this.#host;
    const { functionName } = this.#options.context;
    await scheduler.take(functionName);
    while (this.#evicted !== null && !pool.hasRoom() && this.budget.stopReason === null) {
      scheduler.give();
      await pool.freed();
      await scheduler.take(functionName);
    }
    await this.#pump();
  }

  get pages(): number {
    return this.instance.physicalPages;
  }

  evict(): Lease {
    this.#image = this.instance.image;
    this.#evicted = this.instance.save();
    return this.#lease;
  }

  /** Makes the instance hold what this execution is at: its image at first, what was saved after an eviction. */
  #resume(): void {
    this.#host.pool.wake(this);
    if (this.budget.stopReason !== null || (this.#restored && this.#evicted === null)) return;
    if (this.#evicted !== null) {
      this.move(this.#host.pool.reacquire(this.#lease, this.#evicted.pages));
      this.instance.restore(this.#image, this.#evicted);
      this.#evicted = null;
      return;
    }
    const { variables } = this.#lease;
    const image = this.#host.images.find(this.#program.image, variables);
    if (image) this.#image = image;
    else this.#events.unshift({ event: Event.variables, id: 0, text: variables, bytes: noBytes });
    this.instance.restore(this.#image);
    this.instance.exports["bridge:seed0"].value = seed() as never;
    this.instance.exports["bridge:seed1"].value = (seed() | 1n) as never;
    this.#restored = true;
  }

  /** The function has got its variables, before anything of the request: they are in the image of those to come. */
  #keepVariables(variables: string): void {
    const { image } = this.#program;
    this.#host.images.add(image, variables, overlaid(image, this.instance.save()));
    this.budget.fuelUsed = 0;
  }

  /** Hands events to the guest, one at a time, until there are none or it is over. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      this.#resume();
      for (;;) {
        const next = this.#events.shift();
        if (next === undefined || this.budget.stopReason !== null) break;
        const text = Buffer.from(next.text);
        this.instance.provide(text, next.bytes);
        this.#nowMs = Date.now();
        let status: number | Failure;
        this.budget.enter(true);
        try {
          status = await this.instance.dispatch(next.event, next.id, text.length, next.bytes.length);
        } catch (cause) {
          status = this.failure(cause);
        }
        this.budget.leave();
        if (typeof status !== "number") {
          this.#torn = true;
          this.#stop(status);
        } else if (status !== 0) this.#stop({ kind: "trapped", message: "the guest's dispatcher threw" });
        else if (next.event === Event.variables) this.#keepVariables(next.text);
        else if (this.#events.length > 0) this.#publish();
      }
    } catch (cause) {
      // not the guest's doing: a defect of the host must not leave a request without an answer
      this.broken = true;
      this.#stop({ kind: "trapped", message: cause instanceof Error ? cause.message : String(cause) });
    }
    this.#pumping = false;
    if (
      this.budget.stopReason === null &&
      this.#events.length === 0 &&
      (this.#operations?.pending ?? 0) === 0
    )
      this.#stalled();
    if (this.budget.stopReason !== null) this.#end();
    else {
      this.#watch();
      this.#host.pool.wait(this);
      this.#publish();
    }
    this.#host.scheduler.give();
  }

  /** The client has gone: the guest is told, unless it is over before that. */
  #leave(): void {
    if (this.#ended || this.#left) return;
    this.#left = true;
    const event = { event: Event.abort, id: 0, text: "", bytes: noBytes };
    this.#complete({ kind: "aborted" });
    this.#publish();
    this.#events.push(event);
    if (!this.#pumping) void this.#wake();
    const stop = () => {
      if (this.#events.includes(event)) this.#stop({ kind: "aborted" });
    };
    const timer = setTimeout(stop, leaveGraceMs);
    this.onOver(() => clearTimeout(timer));
  }

  /** Nothing runs and nothing is awaited. */
  #stalled(): void {
    if (this.#outcome === null || this.#streaming) {
      const what = this.#streaming ? "The response's body never ends" : "The handler's promise never settles";
      const message = `${what}: it waits for something that nothing under way will bring.`;
      this.#complete({ kind: "threw", error: { name: "Error", message, code: "never_settled" } });
    }
    this.budget.stop("finished");
  }

  /** Ends the execution with what has happened, unless there is an outcome already. */
  #stop(failure: Failure): void {
    if (failure.kind !== "finished") this.#complete(this.#outcomeOf(failure));
    this.budget.stop(
      failure.kind === "trapped" || failure.kind === "stackOverflow" ? "finished" : failure.kind,
    );
    this.stopWaiting();
    // A guest whose stack is parked is resumed by the scheduler, and traps; then the pump ends the execution.
    if (!this.#pumping) this.#end();
    else if (this.#timer !== null) this.#publish();
  }

  #outcomeOf(failure: Exclude<Failure, { kind: "finished" }>): Outcome {
    const { timeoutMs, cpuMs, memoryLimitBytes, fuel } = this.#options.limits;
    switch (failure.kind) {
      case "timedOut":
        return { kind: "timedOut", timeoutMs };
      case "outOfCpu":
        return { kind: "outOfCpu", cpuMs: cpuMs ?? 0 };
      case "outOfMemory":
        return { kind: "outOfMemory", limitBytes: memoryLimitBytes };
      case "outOfFuel":
        return { kind: "outOfFuel", fuel: fuel ?? 0 };
      default:
        return failure as Outcome;
    }
  }

  #complete(outcome: Outcome): void {
    if (this.#streaming) this.#breakOff(outcome);
    this.#outcome ??= outcome;
  }

  /** The rest of a streamed body will not come. */
  #breakOff(outcome: Outcome): void {
    this.#streaming = false;
    this.#brokeOff = outcome;
    this.#operations?.fail(ownBody, new Error("the function did not complete its response"));
  }

  override yielded(): Promise<number> {
    this.#watch();
    this.#publish();
    return super.yielded();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events = [];
    this.#unwatch();
    this.#operations?.[Symbol.dispose]();
    this.#calls?.[Symbol.dispose]();
    this.#host.pool.wake(this);
    if (this.#evicted === null) this.#host.pool.release(this.#lease, this.instance, this.#condition());
    this.#publish();
    for (const listener of this.#onOver) listener();
  }

  /** What can be done with the instance. Only one in which the guest has come to rest can answer another request as it is. */
  #condition(): "broken" | "used" | "at rest" {
    if (this.broken) return "broken";
    const atRest = this.budget.stopReason === "finished" && !this.#torn && this.#restored;
    return atRest && this.#outcome?.kind !== "trapped" ? "at rest" : "used";
  }

  /** The guest has nothing more to do: leave its microtask queue where it is. */
  #finish(): void {
    this.budget.stop("finished");
    // one that is to answer other requests comes to the queue's end
    if (this.#options.reuse) return;
    this.instance.exports["bridge:finished"].value = 1 as never;
  }

  /** @throws GuestMessageError, which ends the sandbox, for what the guest library does not send. */
  op(op: number, text: Uint8Array, bytes: Uint8Array): number {
    const length = text.length + bytes.length;
    this.budget.charge(callFuel + (length >> 3));
    if (length > longCallBytes) this.budget.endSlice();
    switch (op) {
      case Op.respond:
        this.#respond(text, bytes);
        return 0;
      case Op.fail:
        this.#fail(readGuestError(text));
        return 0;
      case Op.log:
        this.#log.add(readLogLine(text));
        return 0;
      case Op.random:
        this.random(bytes);
        return 0;
      case Op.cancel:
        this.#operations?.cancel(readNumber(text));
        return 0;
      case Op.release:
        this.#operations?.release(readNumber(text));
        return 0;
      case Op.done:
        if (this.#outcome === null) throw new GuestMessageError("number");
        this.#finish();
        return 0;
      case Op.now:
        if (bytes.length !== 8) throw new GuestMessageError("number");
        new DataView(bytes.buffer, bytes.byteOffset, 8).setFloat64(0, this.#nowMs, true);
        return 0;
      case Op.decode:
        this.#decoders ??= new Decoders();
        return this.#decoders.decode(readDecodeRequest(text), bytes);
      case Op.call: {
        this.#calls ??= new Calls((done) => this.suspendUntil(done));
        const state = this.#calls.call(text, bytes);
        if (state !== CallState.pending) this.budget.endSlice();
        return state;
      }
      case Op.result:
        return this.#calls?.result() ?? 0;
      case Op.take:
        this.#calls?.take(bytes);
        return 0;
      case Op.close: {
        const id = readNumber(text);
        if (id === ownBody) this.#streaming = false;
        this.#operations?.close(id);
        return 0;
      }
      case Op.timer:
      case Op.fetch:
      case Op.query:
      case Op.read:
      case Op.write:
      case Op.turn:
      case Op.transcode:
      case Op.flush:
      case Op.crypto:
        return this.#ownOperations.start(op, text, bytes);
      default:
        throw new GuestMessageError("number");
    }
  }

  #respond(text: Uint8Array, body: Uint8Array): void {
    const { responseLimitBytes } = this.#options.limits;
    // the first answer counts
    if (this.#outcome !== null) {
      if (text.length > messageLimits.respond || !readResponseHead(text).more) this.#finish();
    } else if (body.length > responseLimitBytes) {
      this.#complete({ kind: "responseTooLarge", limitBytes: responseLimitBytes });
      this.#finish();
    } else if (text.length > messageLimits.respond) {
      const message = `the response's headers are larger than ${messageLimits.respond / 1024} KiB`;
      this.#complete({ kind: "invalidResponse", message });
      this.#finish();
    } else {
      const { more, stream, ...head } = readResponseHead(text);
      this.#complete({
        kind: "completed",
        response: { ...head, body: stream ? this.#bodySink() : body.slice() },
      });
      if (stream) this.#streaming = true;
      else if (!more) this.#finish();
    }
  }

  #bodySink(): ReadableStream<Uint8Array> {
    const sink = new Sink(() => {
      this.#streaming = false;
      this.#brokeOff ??= { kind: "aborted" };
      this.#leave();
    });
    this.#ownOperations.addSink(ownBody, sink);
    return sink.readable;
  }

  #fail(error: GuestError): void {
    const outcome = this.#outcomeOfError(error);
    if (this.#streaming) this.#breakOff(outcome);
    else if (this.#outcome === null) {
      this.#complete(outcome);
      this.#finish();
    }
  }

  #outcomeOfError(error: GuestError): Outcome {
    if (error.code === "invalid_response") return { kind: "invalidResponse", message: error.message };
    const { name, message } = engineStackOverflow;
    if (error.name === name && error.message === message) return { kind: "stackOverflow" };
    return { kind: "threw", error };
  }

  now(): number {
    return this.#nowMs;
  }

  random(bytes: Uint8Array): boolean {
    randomFillSync(bytes);
    return true;
  }

  write(text: string): void {
    this.#log.add({ level: "error", message: text });
  }
}
