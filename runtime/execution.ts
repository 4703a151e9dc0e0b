import { randomFillSync } from "node:crypto";
import {
  GuestMessageError,
  messageLimits,
  readDecodeRequest,
  readGuestError,
  readLogLine,
  readNumber,
  readResponseHead,
} from "./guest-message.ts";
import { Decoders } from "./host/decoders.ts";
import { type Difference, pageSize } from "./image.ts";
import type { Instance } from "./instance.ts";
import type {
  InvocationLimits,
  InvocationMetrics,
  InvocationRequest,
  InvocationResult,
  Outcome,
} from "./invocation.ts";
import { type Completion, Operations } from "./operations.ts";
import { Sink } from "./pipes.ts";
import type { InstancePool, Waiting } from "./pool.ts";
import type { ScriptProgram } from "./program.ts";
import { Event, type GuestError, type LogLine, Op, type RequestHead } from "./protocol.ts";
import { type Failure, Sandbox } from "./sandbox.ts";
import type { Scheduler } from "./scheduler.ts";
import type { HostServices } from "./services.ts";

/** Number of the request's body as a source, and of the response's as a sink. */
const ownBody = 0;
const noBytes = new Uint8Array(0);
/** How long a guest may take to hear that its client has gone, ms: one that computes on is stopped. */
const leaveGraceMs = 50;
/** Logs of one invocation: lines and characters that are kept. */
const logLimits = { lines: 1_000, characters: 256 * 1024 } as const;
/** Price of a host call in fuel: a base, and one unit for each 8 bytes. */
const callFuel = 1_000;
/** What QuickJS says when its stack check fires (JS_ThrowStackOverflow). */
const engineStackOverflow = { name: "RangeError", message: "Maximum call stack size exceeded" } as const;

export interface RunOptions {
  limits: InvocationLimits;
  /** Variables and secrets of the function. */
  env: Record<string, string>;
  context: { requestId: string; functionName: string; version: number };
  services: HostServices;
  /**
   * The client went away. The function's `request.signal` fires; it ends at once unless it listens to that, or has given work to
   * `ctx.waitUntil`.
   */
  signal?: AbortSignal;
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
  readonly #pool: InstancePool;
  readonly #program: ScriptProgram;
  readonly #options: RunOptions;
  readonly #operations: Operations;
  readonly #scheduler: Scheduler;
  readonly #began: number;
  readonly #logs: LogLine[] = [];
  #decoders: Decoders | null = null;
  #logCharacters = 0;
  #events: { event: number; id: number; text: string; bytes: Uint8Array }[] = [];
  #outcome: Outcome | null = null;
  /** Why a body broke off whose beginning has been sent. */
  #brokeOff: Outcome | null = null;
  #streaming = false;
  #left = false;
  #pumping = false;
  #restored = false;
  #ended = false;
  #nowMs = 0;
  /** The sandbox's state while it waits without an instance. */
  #evicted: Difference | null = null;
  #settle!: (outcome: Outcome) => void;
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
    pool: InstancePool,
    program: ScriptProgram,
    options: RunOptions,
    scheduler: Scheduler,
    began: number,
  ) {
    super(pool.acquire(program.image.pages), options.limits, scheduler, began);
    this.#pool = pool;
    this.#scheduler = scheduler;
    this.#began = began;
    this.#program = program;
    this.#options = options;
    this.#operations = new Operations(options.services, (completion) => this.#deliver(completion));
  }

  /** Runs to the outcome; see {@link over} for the end. */
  async run(request: InvocationRequest): Promise<InvocationResult> {
    const { limits, signal, env, context } = this.#options;
    const outcome = new Promise<Outcome>((resolve) => {
      this.#settle = resolve;
    });
    const onDeadline = () => this.#stop({ kind: "timedOut" });
    const onAbort = () => this.#leave();
    // one more: the event loop's clock has a grain of 1 ms and may be early
    const timer = setTimeout(onDeadline, limits.timeoutMs + 1);
    signal?.addEventListener("abort", onAbort);

    if (signal?.aborted) {
      this.#stop({ kind: "aborted" });
      this.#scheduler.give();
    } else {
      const head: RequestHead = {
        method: request.method,
        url: request.url,
        headers: request.headers,
        env,
        context,
        now: Date.now(),
      };
      let { body } = request;
      if (!(body instanceof Uint8Array)) {
        head.stream = true;
        this.#operations.addSource(ownBody, body);
        body = noBytes;
      }
      this.#events.push({ event: Event.request, id: 0, text: JSON.stringify(head), bytes: body });
      void this.#pump();
    }

    void this.over.then(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
    const settled = await outcome;
    const result = { outcome: settled, metrics: this.metrics(), logs: [...this.#logs] };
    if (this.#ended) return { ...result, outcome: this.#brokeOff ?? settled };
    const background = this.over.then(() => ({
      outcome: this.#brokeOff ?? settled,
      metrics: this.metrics(),
      logs: this.#logs,
    }));
    return { ...result, background };
  }

  metrics(): InvocationMetrics {
    return {
      wallMs: performance.now() - this.#began,
      cpuMs: this.budget.cpuMs,
      fuel: this.budget.fuelUsed,
      memoryBytes: Math.max(this.budget.peakPages, this.#program.image.pages) * pageSize,
      hostCalls: this.#operations.count,
    };
  }

  #deliver(completion: Completion): void {
    this.#events.push(completion);
    if (!this.#pumping) void this.#wake();
  }

  async #wake(): Promise<void> {
    this.#pumping = true;
    await this.#scheduler.take();
    while (this.#evicted !== null && !this.#pool.hasRoom() && this.budget.stopReason === null) {
      this.#scheduler.give();
      await this.#pool.freed();
      await this.#scheduler.take();
    }
    await this.#pump();
  }

  evict(): Instance {
    const began = performance.now();
    this.#evicted = this.instance.save();
    this.budget.cpuMs += performance.now() - began;
    return this.instance;
  }

  /** Makes the instance hold what this execution is at: its image at first, what was saved after an eviction. */
  #resume(): void {
    this.#pool.wake(this);
    if (this.budget.stopReason !== null || (this.#restored && this.#evicted === null)) return;
    const began = performance.now();
    const { image } = this.#program;
    if (this.#evicted !== null) {
      this.move(this.#pool.acquire(this.#evicted.pages));
      this.instance.restore(image, this.#evicted);
      this.#evicted = null;
    } else {
      this.instance.restore(image);
      this.instance.exports["bridge:seed0"].value = seed() as never;
      this.instance.exports["bridge:seed1"].value = (seed() | 1n) as never;
      this.#restored = true;
    }
    this.budget.cpuMs += performance.now() - began;
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
        const status = await this.enter(() =>
          this.instance.dispatch(next.event, next.id, text.length, next.bytes.length),
        );
        this.#publish();
        if (typeof status !== "number") this.#stop(status);
        else if (status !== 0) this.#stop({ kind: "trapped", message: "the guest's dispatcher threw" });
      }
    } catch (cause) {
      // not the guest's doing: a defect of the host must not leave a request without an answer
      this.broken = true;
      this.#stop({ kind: "trapped", message: cause instanceof Error ? cause.message : String(cause) });
    } finally {
      this.#pumping = false;
    }
    if (this.budget.stopReason === null && this.#operations.pending === 0 && this.#events.length === 0)
      this.#stalled();
    if (this.budget.stopReason !== null) this.#end();
    else this.#pool.wait(this);
    this.#scheduler.give();
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
    void this.over.then(() => clearTimeout(timer));
  }

  /** Nothing runs and nothing is awaited. */
  #stalled(): void {
    if (this.#outcome === null || this.#streaming) {
      const what = this.#streaming ? "The response's body never ends" : "The handler's promise never settles";
      const message = `${what}: it waits for something that nothing under way will bring.`;
      this.#complete({ kind: "threw", error: { name: "Error", message, code: "never_settled" } });
      this.#publish();
    }
    this.budget.stop("finished");
  }

  /** Ends the execution with what has happened, unless there is an outcome already. */
  #stop(failure: Failure): void {
    if (failure.kind !== "finished") this.#complete(this.#outcomeOf(failure));
    this.#publish();
    this.budget.stop(
      failure.kind === "trapped" || failure.kind === "stackOverflow" ? "finished" : failure.kind,
    );
    // A guest whose stack is parked is resumed by the scheduler, and traps; then the pump ends the execution.
    if (!this.#pumping) this.#end();
  }

  #outcomeOf(failure: Exclude<Failure, { kind: "finished" }>): Outcome {
    const { timeoutMs, memoryLimitBytes, fuel } = this.#options.limits;
    switch (failure.kind) {
      case "timedOut":
        return { kind: "timedOut", timeoutMs };
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
    this.#operations.fail(ownBody, new Error("the function did not complete its response"));
  }

  /** Answers the caller, once the guest's stack is gone or parked and its counters are settled. */
  #publish(): void {
    if (this.#outcome !== null) this.#settle(this.#outcome);
  }

  override yielded(): Promise<number> {
    this.#publish();
    return super.yielded();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events = [];
    this.#operations[Symbol.dispose]();
    this.#pool.wake(this);
    if (this.#evicted === null) this.#pool.release(this.instance, this.#program.image.pages, this.broken);
    this.#over();
  }

  /** The guest has nothing more to do: leave its microtask queue where it is. */
  #finish(): void {
    this.budget.stop("finished");
    this.instance.exports["bridge:finished"].value = 1 as never;
  }

  /** @throws GuestMessageError, which ends the sandbox, for what the guest library does not send. */
  op(op: number, text: Uint8Array, bytes: Uint8Array): number {
    this.budget.charge(callFuel + ((text.length + bytes.length) >> 3));
    switch (op) {
      case Op.respond:
        this.#respond(text, bytes);
        return 0;
      case Op.fail:
        this.#fail(readGuestError(text));
        return 0;
      case Op.log:
        this.#log(readLogLine(text));
        return 0;
      case Op.random:
        this.random(bytes);
        return 0;
      case Op.cancel:
        this.#operations.cancel(readNumber(text));
        return 0;
      case Op.release:
        this.#operations.release(readNumber(text));
        return 0;
      case Op.done:
        this.#finish();
        return 0;
      case Op.now:
        if (bytes.length !== 8) throw new GuestMessageError("number");
        new DataView(bytes.buffer, bytes.byteOffset, 8).setFloat64(0, this.#nowMs, true);
        return 0;
      case Op.decode:
        this.#decoders ??= new Decoders();
        return this.#decoders.decode(readDecodeRequest(text), bytes);
      case Op.close: {
        const id = readNumber(text);
        if (id === ownBody) this.#streaming = false;
        this.#operations.close(id);
        return 0;
      }
      case Op.timer:
      case Op.fetch:
      case Op.query:
      case Op.read:
      case Op.write:
      case Op.turn:
      case Op.transcode:
      case Op.crypto:
        return this.#operations.start(op, text, bytes);
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
    this.#operations.addSink(ownBody, sink);
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

  #log(line: LogLine): void {
    this.#logCharacters += line.message.length;
    if (this.#logs.length >= logLimits.lines || this.#logCharacters > logLimits.characters) return;
    this.#logs.push(line);
  }

  now(): number {
    return this.#nowMs;
  }

  random(bytes: Uint8Array): boolean {
    randomFillSync(bytes);
    return true;
  }

  write(text: string): void {
    this.#log({ level: "error", message: text });
  }
}
