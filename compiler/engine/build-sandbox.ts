import type { BudgetLimits } from "../../runtime/budget.ts";
import { readDecodeRequest, readGuestError, readLogLine } from "../../runtime/guest-message.ts";
import { Calls } from "../../runtime/host/calls.ts";
import { Decoders } from "../../runtime/host/decoders.ts";
import { type Image, pageSize } from "../../runtime/image.ts";
import type { Instance } from "../../runtime/instance.ts";
import type { GuestError, LogLine } from "../../runtime/protocol.ts";
import { Event, encodeHead, Op, Refused } from "../../runtime/protocol.ts";
import { type Failure, Sandbox } from "../../runtime/sandbox.ts";
import { Scheduler } from "../../runtime/scheduler.ts";
import { CompileError } from "../errors.ts";

/** Bounds of the code that runs while an image is built: top-level code of the function and its packages. */
const buildLimits: BudgetLimits = {
  timeoutMs: 5_000,
  cpuMs: null,
  memoryLimitBytes: 128 * 1024 * 1024,
  fuel: null,
};

const maxLogLines = 100;

/** What a request may allocate before the engine collects garbage for the first time, bytes. */
const gcHeadroomBytes = 4 * 1024 * 1024;

/** The clock that top-level code sees, ms since the epoch: images must not depend on when they are built. */
const buildTimeMs = 0;

const EvalFlags = { script: 0, module: 1 } as const;
const CompileFlags = { stripSource: 1 << 4, stripDebug: 1 << 5 } as const;
const threw = "top-level code threw ";
const PromiseState = { pending: 0, rejected: 2 } as const;

export interface CompileOptions {
  /** An ES module rather than a script. */
  module: boolean;
  /** Without source text and positions: smaller, but functions have no text and stacks no lines. */
  strip: boolean;
}

/** What a function's author calls the operations that a warm-up is refused. */
const hostCalls: Record<number, string> = {
  [Op.random]: "crypto",
  [Op.crypto]: "crypto.subtle",
  [Op.timer]: "a timer",
  [Op.fetch]: "fetch",
  [Op.query]: "the database",
  [Op.transcode]: "compression",
  [Op.turn]: "a rejected promise or a message",
  [Op.write]: "a streamed body",
};

/** Why top-level code did not come to its end. */
function explain(failure: Failure): string {
  const { timeoutMs, memoryLimitBytes } = buildLimits;
  switch (failure.kind) {
    case "timedOut":
      return `top-level code timed out after ${timeoutMs} ms`;
    case "outOfMemory":
      return `top-level code used more than ${memoryLimitBytes / 1024 / 1024} MB`;
    case "stackOverflow":
      return "top-level code recursed too deeply";
    default:
      return "the engine failed on the top-level code";
  }
}

/**
 * Runs top-level code, once, to make an image. It has no network, no database, no timers, no randomness and a clock that stands at
 * zero; `Math.random` gives the same sequence every time.
 */
export class BuildSandbox extends Sandbox {
  readonly #exports: Record<string, (...args: (number | Uint8Array)[]) => number>;
  readonly logs: LogLine[] = [];
  readonly #decoders = new Decoders();
  readonly #calls = new Calls(null);
  #failure: GuestError | null = null;
  #warmUp: { answered: boolean; refused: Set<string>; failure: string | null } | null = null;

  declare readonly instance: Instance;

  constructor(instance: Instance) {
    super(instance, buildLimits, new Scheduler(), "build");
    this.#exports = instance.exports as never;
    instance.exports["bridge:seed0"].value = 0x9e3779b97f4a7c15n as never;
    instance.exports["bridge:seed1"].value = 0xbf58476d1ce4e5b9n as never;
    // what follows may call exports directly, outside of `run`
    this.budget.enter(false);
  }

  /**
   * Compiles source text to bytecode. Only where the engine's evaluator is on, see {@link DynamicCode}.
   *
   * @throws CompileError for code that can't be parsed.
   */
  compile(code: string, name: string, { module, strip }: CompileOptions): Uint8Array<ArrayBuffer> {
    const { malloc, qjs_compile } = this.#exports;
    const place = (text: Uint8Array): number => {
      const pointer = malloc!(text.length);
      this.instance.view(pointer, text.length).set(text);
      return pointer;
    };
    return this.#direct(() => {
      const text = Buffer.from(`${code}\0`);
      const length = malloc!(4);
      const flags = module ? EvalFlags.module : EvalFlags.script;
      const stripped = strip ? CompileFlags.stripSource | CompileFlags.stripDebug : 0;
      const file = place(Buffer.from(`${name}\0`));
      const result = qjs_compile!(place(text), text.length - 1, file, flags, stripped, length);
      if (result === 0) throw this.#error("the code can't be parsed: ", this.#exports.qjs_get_exception!());
      const { buffer, byteOffset } = this.instance.view(length, 4);
      return this.instance.view(result, new DataView(buffer, byteOffset, 4).getUint32(0, true)).slice();
    });
  }

  /**
   * Runs bytecode that {@link compile} has made, to its end, and returns a pointer to its value.
   *
   * @throws CompileError when it throws, never ends or runs into a limit.
   */
  async run(bytecode: Uint8Array): Promise<number> {
    const { qjs_is_exception, qjs_get_exception, qjs_is_promise, qjs_promise_state, qjs_promise_result } =
      this.#exports;
    this.instance.provide(bytecode);
    const value = await this.enter(() => this.instance.runBytecode(bytecode.length));
    this.budget.enter(false);
    if (typeof value !== "number") throw new CompileError(explain(value));
    return this.#direct(() => {
      if (qjs_is_exception!(value)) throw this.#error(threw, qjs_get_exception!());
      if (!qjs_is_promise!(value)) return value;
      const state = qjs_promise_state!(value);
      if (state === PromiseState.rejected) throw this.#error(threw, qjs_promise_result!(value));
      if (state === PromiseState.pending) {
        throw new CompileError(
          "a top-level await never settles: there is nothing to wait for while a function is built",
        );
      }
      this.#exports.qjs_free_value!(value);
      return 0;
    });
  }

  /** Calls exports of the engine directly, where a limit that fires is an exception of this call. */
  #direct<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof CompileError) throw cause;
      throw new CompileError(explain(this.failure(cause)), { cause });
    }
  }

  #error(what: string, exception: number): CompileError {
    const text = (property: string): string => {
      const name = Buffer.from(`${property}\0`);
      const pointer = this.#exports.malloc!(name.length);
      this.instance.view(pointer, name.length).set(name);
      const value = this.#exports.qjs_get_prop_string!(exception, pointer);
      const start = this.#exports.qjs_get_string!(value);
      const end = this.instance.memory.indexOf(0, start);
      return start === 0 ? "" : Buffer.from(this.instance.view(start, Math.max(0, end - start))).toString();
    };
    const error = new CompileError(`${what}${text("name")}: ${text("message")}`);
    error.stack = `${error.message}\n${text("stack")}`;
    return error;
  }

  /**
   * Lets the function be complete: its entry is looked for, and what top-level code must not leave behind.
   *
   * @throws CompileError when there is no entry.
   */
  async complete(): Promise<void> {
    this.#failure = null;
    this.instance.provide();
    const status = await this.enter(() => this.instance.dispatch(Event.built, 0, 0, 0));
    this.budget.enter(false);
    if (typeof status !== "number") throw new CompileError(explain(status));
    const failure = this.#failure as GuestError | null;
    if (failure === null) return;
    const error = new CompileError(`${threw}${failure.name}: ${failure.message}`);
    error.stack = `${error.message}\n${failure.stack ?? ""}`;
    throw error;
  }

  /** The image of what has been evaluated so far, without its garbage. */
  capture(): Image {
    this.#exports.qjs_run_gc!();
    this.#exports.qjs_set_gc_threshold!(this.instance.pages.value * pageSize + gcHeadroomBytes);
    // nothing runs, so that the stack is empty
    const stackTop = (this.instance.exports.__stack_pointer as WebAssembly.Global<"i32">).value;
    return this.instance.capture(Math.ceil(stackTop / pageSize) * pageSize);
  }

  /**
   * Sends one GET request to the function, with every call to the host refused, so that what it sets up at its first request is in the
   * image. Returns why the image should not be used, or null.
   */
  async warmUp(path: string): Promise<string | null> {
    const head = encodeHead({
      method: "GET",
      url: `http://localhost${path}`,
      headers: [["host", "localhost"]],
      context: { requestId: "warm-up", functionName: "warm-up", version: 0 },
      now: buildTimeMs,
    });
    const text = Buffer.from(head);
    this.#warmUp = { answered: false, refused: new Set(), failure: null };
    this.instance.provide(text);
    const status = await this.enter(() => this.instance.dispatch(Event.request, 0, text.length, 0));
    this.budget.enter(false);
    const { answered, refused, failure } = this.#warmUp;
    if (typeof status !== "number")
      throw new CompileError(explain(status).replace("top-level code", "the warm-up"));
    if (refused.size > 0)
      return `it calls the host (${[...refused].join(", ")}), which has to wait for a request`;
    if (failure !== null) return `it failed: ${failure}`;
    return answered ? null : "it was not answered: it waits for something that no build will bring";
  }

  op(op: number, text: Uint8Array, bytes: Uint8Array): number {
    // the same everywhere and at any time
    if (op === Op.decode) return this.#decoders.decode(readDecodeRequest(text), bytes);
    if (op === Op.call) return this.#calls.call(text, bytes);
    if (op === Op.take) {
      this.#calls.take(bytes);
      return 0;
    }
    if (op === Op.log && this.logs.length < maxLogLines) this.logs.push(readLogLine(text));
    if (op === Op.log || op === Op.now) return 0;
    if (this.#warmUp === null) {
      if (op !== Op.fail) return Refused.building;
      this.#failure = readGuestError(text);
      return 0;
    }
    if (op === Op.respond) this.#warmUp.answered = true;
    else if (op === Op.fail) {
      const { name, message } = readGuestError(text);
      this.#warmUp.failure = `${name}: ${message}`;
    } else if (op !== Op.done && op !== Op.cancel) {
      this.#warmUp.refused.add(hostCalls[op] ?? "an operation");
      return Refused.building;
    }
    return 0;
  }

  now(): number {
    return buildTimeMs;
  }

  random(): boolean {
    return false;
  }

  write(): void {}
}
