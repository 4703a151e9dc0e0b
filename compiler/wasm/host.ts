import { MeterHostError } from "./host-error.ts";
import { InstanceState, pageSize } from "./host-snapshot.ts";
import { GrowAnswer, MeterExport, meterModule, SliceAnswer } from "./protocol.ts";

/** What a {@link MeterHost} allows and whom it asks. */
export interface MeterHostOptions {
  /** Units of fuel after which the guest is stopped, 0 to 2^63 - 1. Default: no bound. */
  fuel?: bigint;
  /** Units of fuel between two calls of `onSlice`, 1 to 100,000,000. Default 200,000: a fraction of a millisecond. */
  fuelPerSlice?: number;
  /** Pages of 64 KiB that all memories of the instance have together, 0 to 2^32. Default 16,384, which is 1 GiB. */
  memoryPages?: number;
  /** Entries that all tables of the instance have together, 0 to 2^32. Default 100,000. */
  tableEntries?: number;
  /**
   * Called at the end of each slice with the fuel used so far. `yield` lets others run and is only for guests entered through
   * `WebAssembly.promising`. What it throws stops the guest, see {@link MeterHost.failure}. Default: `go`.
   */
  onSlice?: (fuelUsed: bigint) => "go" | "trap" | "yield";
  /** Called for `yield`, to say when and whether the guest goes on. Default: `go` after a turn of the event loop. */
  onYield?: () => Promise<"go" | "trap">;
}

/**
 * Why a guest was stopped. `fuel`: more than allowed was used. `host`: by `onSlice` or `onYield`, or since one of them failed.
 * `memory`, `table`: it wanted to grow one beyond what is allowed.
 */
export type HostStop = "fuel" | "host" | "memory" | "table";

/** The most that is counted: 2^63 - 1. */
const maxFuel = 2n ** 63n - 1n;

/** A slice that has ended: the next check asks the host, even one that charges nothing. */
const ended = -1;

/**
 * The host's side of a metered module: hands out fuel in slices, counts what is used, and stops the guest at its limits.
 *
 * A host is for one instance. A guest that is stopped traps with a `WebAssembly.RuntimeError`, which it can't catch, and
 * {@link stopped} tells why; it traps again wherever it is entered after that.
 */
export class MeterHost {
  /** Why the guest was stopped, the first reason. */
  stopped: HostStop | undefined;
  /** What `onSlice` or `onYield` threw, when that stopped the guest. */
  failure: unknown;
  readonly #fuel: bigint | undefined;
  readonly #fuelPerSlice: number;
  readonly #memoryPages: number;
  readonly #tableEntries: number;
  /** A module that counts no fuel would never come to the limits that were asked for. */
  readonly #needsFuel: boolean;
  readonly #onSlice: NonNullable<MeterHostOptions["onSlice"]>;
  readonly #onYield: NonNullable<MeterHostOptions["onYield"]>;
  /** Used before the current slice. */
  #finished = 0n;
  /** What the counter was set to. */
  #slice = 0;
  /** Undefined before there is an instance, and where the module is not metered for fuel. */
  #counter: WebAssembly.Global<"i64"> | undefined;
  #used = false;
  #running = 0;
  #state: InstanceState | undefined;
  /** Every memory of the index space, imported ones first. */
  #memories: WebAssembly.Memory[] = [];
  /** Every table that can grow. */
  #tables = new Map<number, WebAssembly.Table>();
  #restore: (() => boolean) | undefined;

  /** @throws RangeError for a number out of its range, {@link MeterHostError} `unsupported` for `onYield` where nothing can suspend. */
  constructor(options: MeterHostOptions = {}) {
    const { fuel, fuelPerSlice = 200_000, memoryPages = 16_384, tableEntries = 100_000 } = options;
    if (fuel !== undefined && (typeof fuel !== "bigint" || fuel < 0n || fuel > maxFuel)) {
      throw new RangeError(`fuel must be a bigint from 0 to ${maxFuel}, not ${shown(fuel)}`);
    }
    this.#fuel = fuel;
    this.#fuelPerSlice = checkedInteger("fuelPerSlice", fuelPerSlice, 1, 100_000_000);
    this.#memoryPages = checkedInteger("memoryPages", memoryPages, 0, 2 ** 32);
    this.#tableEntries = checkedInteger("tableEntries", tableEntries, 0, 2 ** 32);
    if (options.onYield && !suspends) {
      throw new MeterHostError("unsupported", "onYield needs WebAssembly.Suspending, which is not there");
    }
    this.#needsFuel = fuel !== undefined || options.onSlice !== undefined;
    this.#onSlice = options.onSlice ?? (() => "go");
    this.#onYield = options.onYield ?? (() => new Promise((resolve) => setTimeout(resolve, 0, "go")));
  }

  /** Units of fuel used so far, exact at any time. At most 2^63 - 1: there it stays. */
  get fuelUsed(): bigint {
    return saturated(this.#finished + this.#inSlice());
  }

  /**
   * Makes the instance and runs its start function, under the limits like everything else.
   *
   * @param imports What the module imports besides metering.
   * @throws What {@link prepare} throws, and what comes out of the start function.
   */
  instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports = {}): WebAssembly.Instance {
    const { instance, start } = this.prepare(module, imports);
    if (start) this.run(start);
    return instance;
  }

  /**
   * Makes the instance and leaves its start function to the caller, who may let it be suspended or keep the instance for the imports first.
   *
   * @returns The instance, and the start function where the module has one: it must be called before anything else, once.
   * @throws MeterHostError `not_metered`, `already_instantiated`, `limit_exceeded` for memories or tables that begin larger than
   * allowed; and whatever instantiating throws.
   */
  prepare(
    module: WebAssembly.Module,
    imports: WebAssembly.Imports = {},
  ): { instance: WebAssembly.Instance; start: (() => void) | undefined } {
    if (this.#used) {
      throw new MeterHostError("already_instantiated", "a MeterHost is for one instance: make another one");
    }
    const wanted = WebAssembly.Module.imports(module);
    if (!wanted.some(({ module: from, name }) => from === meterModule && name === "slice")) {
      throw new MeterHostError("not_metered", "the module is not metered: give it to meterBytes first");
    }
    const counts = WebAssembly.Module.exports(module).some(({ name }) => name === MeterExport.fuel);
    if (!counts && this.#needsFuel) {
      const message = "fuel and onSlice need a module that is metered for fuel, this one is in mode none";
      throw new MeterHostError("not_metered", message);
    }
    const instance = new WebAssembly.Instance(module, { ...imports, [meterModule]: this.#imports() });
    this.#used = true;
    const { exports } = instance;
    this.#counter = exports[MeterExport.fuel] as WebAssembly.Global<"i64"> | undefined;
    const state = new InstanceState(exports);
    this.#state = state;
    const imported = (kind: WebAssembly.ImportExportKind) =>
      wanted.filter((entry) => entry.kind === kind).map((entry) => imports[entry.module]![entry.name]);
    this.#memories = imported("memory") as WebAssembly.Memory[];
    for (const { memory, pages } of state.memories) {
      this.#memories.push(memory);
      sizes.set(memory, pages);
    }
    for (const [i, table] of imported("table").entries()) this.#tables.set(i, table as WebAssembly.Table);
    for (const [name, table] of Object.entries(exports)) {
      if (!(table instanceof WebAssembly.Table)) continue;
      if (name.startsWith(MeterExport.table)) {
        this.#tables.set(Number(name.slice(MeterExport.table.length)), table);
      }
    }
    this.#checkSizes();
    return { instance, start: exports[MeterExport.start] as (() => void) | undefined };
  }

  /**
   * Calls the guest with a slice of its own. Exports may be called without it too: then they go on with what is left of the last
   * slice, and {@link reset} can't tell that the guest runs. Totals are the same.
   *
   * @param call Calls one or more exports. When it returns a promise, the guest counts as running until that has settled.
   * @returns What `call` returns.
   */
  run<T>(call: () => T): T {
    const outermost = this.#running === 0;
    this.#running++;
    let pending = false;
    if (outermost) this.#refill();
    try {
      const result = call();
      if (result instanceof Promise) {
        pending = true;
        const left = () => {
          this.#running--;
        };
        result.then(left, left);
      }
      return result;
    } finally {
      if (!pending) this.#running--;
      if (outermost) this.#account();
    }
  }

  /**
   * Takes fuel for what the host did on behalf of the guest, which is stopped at its next check when that was too much.
   *
   * @param units At least 0.
   * @throws RangeError for less.
   */
  charge(units: bigint): void {
    if (typeof units !== "bigint" || units < 0n) {
      throw new RangeError(`units must be a bigint of at least 0, not ${shown(units)}`);
    }
    this.#finished = saturated(this.#finished + units);
    const counter = this.#counter;
    if (this.#fuel === undefined || counter === undefined) return;
    const left = this.#fuel - this.fuelUsed;
    if (left >= counter.value) return;
    const next = left < 0n ? ended : Number(left);
    // what was in the slice beyond that has not been used
    this.#slice -= Number(counter.value) - next;
    counter.value = BigInt(next);
  }

  /** Ends the slice: the guest's next check asks `onSlice`. For when the host has used the time for something else. */
  endSlice(): void {
    const counter = this.#counter;
    if (counter === undefined || counter.value < 0n) return;
    // what was left of it has not been used
    this.#slice -= Number(counter.value) - ended;
    counter.value = BigInt(ended);
  }

  /**
   * Remembers the instance as it is, in place of what was remembered before: its own memories, tables and globals, and the fuel used.
   * What is imported is not its own.
   *
   * @throws MeterHostError `not_ready` without an instance, `running` while the guest runs or waits, `stopped` after it was stopped.
   */
  snapshot(): void {
    if (this.#state === undefined) throw new MeterHostError("not_ready", "there is no instance yet");
    this.#mustRest();
    if (this.stopped !== undefined) {
      throw new MeterHostError("stopped", `the guest was stopped (${this.stopped})`);
    }
    this.#account();
    const fuelUsed = this.#finished;
    const restore = this.#state.take();
    this.#restore = () => {
      if (!restore()) return false;
      this.stopped = undefined;
      this.failure = undefined;
      this.#finished = fuelUsed;
      this.#set(0);
      return true;
    };
  }

  /**
   * Makes the instance and this host what they were at the {@link snapshot}, so that the same calls give the same results and totals.
   * Changes that the host made to tables are not noticed where the guest itself made none.
   *
   * @returns False when that can't be done, since a segment was dropped or a table grew: then nothing has changed, and a new instance
   * is needed.
   * @throws MeterHostError `not_ready` without a snapshot, `running` while the guest runs or waits.
   */
  reset(): boolean {
    if (this.#restore === undefined) throw new MeterHostError("not_ready", "there is no snapshot yet");
    this.#mustRest();
    return this.#restore();
  }

  #mustRest(): void {
    if (this.#running > 0) throw new MeterHostError("running", "the guest has not returned yet");
  }

  #imports(): WebAssembly.ModuleImports {
    const yielded = async () => this.#yielded();
    return {
      slice: () => this.#sliceEnded(),
      yield: suspends
        ? (new WebAssembly.Suspending(yielded) as unknown as WebAssembly.ImportValue)
        : () => SliceAnswer.trap,
      grow: (delta: number, memory: number) => this.#grow(delta >>> 0, memory),
      growTable: (delta: number) => this.#growTable(delta >>> 0),
    };
  }

  #checkSizes(): void {
    const pages = this.#allPages();
    const refuse = (what: string, value: number, limit: number): never => {
      throw new MeterHostError("limit_exceeded", `${what} is ${value} to begin with, the limit is ${limit}`);
    };
    if (pages > this.#memoryPages) refuse("memoryPages", pages, this.#memoryPages);
    const entries = this.#entries();
    if (entries > this.#tableEntries) refuse("tableEntries", entries, this.#tableEntries);
  }

  /** Size of a memory as the guest sees it. */
  #pages(index: number): number {
    const memory = this.#memories[index]!;
    return sizes.get(memory)?.value ?? physicalPages(memory);
  }

  #allPages(): number {
    return this.#memories.reduce((sum, _, index) => sum + this.#pages(index), 0);
  }

  #entries(): number {
    return [...this.#tables.values()].reduce((sum, { length }) => sum + Number(length), 0);
  }

  /** Fuel used of the current slice. */
  #inSlice(): bigint {
    return this.#counter === undefined ? 0n : BigInt(this.#slice) - this.#counter.value;
  }

  #set(slice: number): void {
    this.#slice = slice;
    if (this.#counter) this.#counter.value = BigInt(slice);
  }

  /** Ends the slice, without giving another. */
  #account(): void {
    this.#finished = this.fuelUsed;
    this.#set(this.stopped === undefined ? 0 : ended);
  }

  #refill(): void {
    this.#account();
    if (this.stopped !== undefined) return;
    const left = this.#fuel === undefined ? this.#fuelPerSlice : Number(this.#fuel - this.#finished);
    this.#set(Math.max(ended, Math.min(left, this.#fuelPerSlice)));
  }

  #stop(reason: HostStop): typeof SliceAnswer.trap {
    this.stopped ??= reason;
    this.#account();
    return SliceAnswer.trap;
  }

  /** Stops for a failure of the host's: thrown into the guest it could be caught there. */
  #fail(error: unknown): typeof SliceAnswer.trap {
    if (this.stopped === undefined) this.failure = error;
    return this.#stop("host");
  }

  #sliceEnded(): number {
    this.#account();
    if (this.stopped !== undefined) return SliceAnswer.trap;
    if (this.#fuel !== undefined && this.#finished > this.#fuel) return this.#stop("fuel");
    let answer: "go" | "trap" | "yield";
    try {
      answer = this.#onSlice(this.#finished);
    } catch (error) {
      return this.#fail(error);
    }
    // a callback may have entered the guest, which was stopped there
    if (this.stopped !== undefined || answer === "trap") return this.#stop("host");
    if (answer === "yield") {
      if (suspends) return SliceAnswer.yield;
      const message = "onSlice said yield, which needs WebAssembly.Suspending";
      return this.#fail(new MeterHostError("unsupported", message));
    }
    if (answer !== "go") return this.#fail(new TypeError(`onSlice said ${shown(answer)}`));
    this.#refill();
    return SliceAnswer.go;
  }

  async #yielded(): Promise<number> {
    try {
      const answer = await this.#onYield();
      if (answer === "trap") return this.#stop("host");
      if (answer !== "go") return this.#fail(new TypeError(`onYield said ${shown(answer)}`));
    } catch (error) {
      return this.#fail(error);
    }
    if (this.stopped !== undefined) return this.#stop(this.stopped);
    if (this.#fuel !== undefined && this.fuelUsed > this.#fuel) return this.#stop("fuel");
    this.#refill();
    return SliceAnswer.go;
  }

  #grow(delta: number, index: number): number {
    if (this.#allPages() + delta > this.#memoryPages) {
      this.#stop("memory");
      return GrowAnswer.trap;
    }
    const memory = this.#memories[index]!;
    const before = this.#pages(index);
    // after a reset the memory may be larger than the guest sees
    const missing = before + delta - physicalPages(memory);
    if (missing > 0 && !growMemory(memory, missing)) return GrowAnswer.refuse;
    const size = sizes.get(memory);
    if (size) size.value = before + delta;
    return before;
  }

  #growTable(delta: number): number {
    if (this.#entries() + delta <= this.#tableEntries) return 0;
    this.#stop("table");
    return GrowAnswer.trap;
  }
}

/** Sizes of memories as their instances see them: one that another instance imports grows for its owner, too. */
const sizes = new WeakMap<WebAssembly.Memory, WebAssembly.Global<"i32">>();

const suspends = typeof WebAssembly.Suspending === "function";

function saturated(fuel: bigint): bigint {
  return fuel > maxFuel ? maxFuel : fuel;
}

function physicalPages(memory: WebAssembly.Memory): number {
  return memory.buffer.byteLength / pageSize;
}

/** False where the memory's own maximum, or the engine, does not let it. */
function growMemory(memory: WebAssembly.Memory, pages: number): boolean {
  // a memory of 64 bits takes nothing but bigints, and does not tell what it is
  for (const delta of [pages, BigInt(pages) as unknown as number]) {
    try {
      memory.grow(delta);
      return true;
    } catch (error) {
      if (!(error instanceof TypeError)) return false;
    }
  }
  return false;
}

function checkedInteger(name: string, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw new RangeError(`${name} must be a whole number from ${from} to ${to}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
