import { glueParameters } from "../../compiler/component/glue-parameters.ts";
import { MeterExport, MeterHost } from "../../compiler/wasm/index.ts";
import { pageSize } from "../image.ts";
import type { InvocationLimits } from "../invocation.ts";
import type { Turns } from "../turns.ts";
import type { ComponentProgram } from "./component-program.ts";
import type { World } from "./world.ts";

/** Fuel between two looks at the clock. */
const fuelPerSlice = 400_000;
const tableEntries = 100_000;

type AnyFunction = (...args: unknown[]) => unknown;
type Imports = Record<string, Record<string, unknown>>;

/** As the glue keeps a component's handles: two entries for each, and the resources' own numbers, which are never forgotten. */
interface HandleTable {
  length: number;
  _createdReps?: Set<number>;
}

/** The small modules that the glue makes for itself, by their bytes: they are the same in every instance. */
const helpers = new Map<string, WebAssembly.Module>();
const maxHelperBytes = 512;

/** Why a component was stopped by its limits. */
export type ComponentStop = "fuel" | "memory" | "table" | "host";

/**
 * The core modules of one component, made for one request. They count together: fuel and memory are bounded as if they were one.
 *
 * Where the guest may be suspended follows the calls: into the guest by a promise, yes; from there into the host's JavaScript, no, since JSPI
 * suspends no such frames; and what that calls in the guest, a `realloc` for a result, no.
 */
export class ComponentInstance {
  /** The first reason. */
  stopped: ComponentStop | null = null;
  /** What failed in the host. */
  failure: unknown;
  readonly #program: ComponentProgram;
  readonly #limits: InvocationLimits;
  readonly #turns: Turns;
  readonly #world: World;
  readonly #hosts: MeterHost[] = [];
  readonly #sizes: WebAssembly.Global<"i32">[] = [];
  /** Functions of core modules: a call of one by another passes through nothing of the host's. */
  readonly #own = new WeakSet<object>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(program: ComponentProgram, limits: InvocationLimits, turns: Turns, world: World) {
    this.#program = program;
    this.#limits = limits;
    this.#turns = turns;
    this.#world = world;
  }

  /** Links the modules and runs what they run at their start. Resolves with the component's exports. */
  async start(imports: Record<string, object>): Promise<Record<string, unknown>> {
    const { glue, cores } = this.#program;
    const environment = this.#environment();
    const instantiate = glue(...glueParameters.map((name) => environment[name]));
    return instantiate(
      (name) => cores[name]!,
      imports,
      (module, wanted) => this.#core(module, wanted ?? {}),
    );
  }

  get fuelUsed(): number {
    return this.#hosts.reduce((sum, { fuelUsed }) => sum + Number(fuelUsed), 0);
  }

  get memoryBytes(): number {
    return this.#sizes.reduce((sum, { value }) => sum + value * pageSize, 0);
  }

  /** Takes fuel. */
  charge(units: bigint): void {
    this.#hosts[0]?.charge(units);
  }

  /** The clock is looked at as soon as the guest goes on, in whichever of its modules. */
  endSlice(): void {
    for (const host of this.#hosts) host.endSlice();
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #core(
    module: WebAssembly.Module,
    imports: Imports,
  ): { exports: WebAssembly.Exports } | Promise<{ exports: WebAssembly.Exports }> {
    const host = new MeterHost({
      fuelPerSlice,
      memoryPages: Math.floor(this.#limits.memoryLimitBytes / pageSize),
      tableEntries,
      onSlice: () => this.#sliceEnded(),
      onYield: async () => {
        const answer = await this.#turns.yielded();
        this.#turns.mayYield = true;
        return answer;
      },
    });
    this.#hosts.push(host);
    const { instance, start } = host.prepare(module, this.#guarded(imports));
    const { exports } = instance;
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value === "function") this.#own.add(value);
      if (name.startsWith(MeterExport.pages)) this.#sizes.push(value as WebAssembly.Global<"i32">);
    }
    this.#checkMemory();
    if (!start) return { exports };
    return this.#enter(start).then(() => ({ exports }));
  }

  #sliceEnded(): "go" | "trap" | "yield" {
    const { fuel } = this.#limits;
    const limited = this.#hosts.find(({ stopped }) => stopped === "memory" || stopped === "table");
    if (limited) this.stopped ??= limited.stopped!;
    if (fuel !== null && this.fuelUsed > fuel) this.stopped ??= "fuel";
    if (this.memoryBytes > this.#limits.memoryLimitBytes) this.stopped ??= "memory";
    if (this.#world.over) this.#turns.stop("finished");
    const answer = this.stopped ? "trap" : this.#turns.sliceEnded();
    if (answer === "trap") this.stopped ??= "host";
    return answer;
  }

  /** A limit that the end of no slice has noticed yet. */
  settle(): void {
    for (const { stopped, failure } of this.#hosts) {
      if (stopped === undefined) continue;
      this.stopped ??= stopped;
      this.failure ??= failure;
    }
    const { fuel } = this.#limits;
    if (fuel !== null && this.fuelUsed > fuel) this.stopped ??= "fuel";
  }

  #checkMemory(): void {
    if (this.memoryBytes <= this.#limits.memoryLimitBytes) return;
    this.stopped ??= "memory";
    throw new WebAssembly.RuntimeError("the component's memories begin larger than the limit");
  }

  /** Imports of a core module: the host's functions are told apart from those of other core modules. */
  #guarded(imports: Imports): WebAssembly.Imports {
    const guarded: Imports = Object.create(null);
    for (const [from, names] of Object.entries(imports)) {
      const entries: Record<string, unknown> = Object.create(null);
      for (const [name, value] of Object.entries(names)) {
        entries[name] =
          typeof value === "function" && !this.#own.has(value) ? this.#guard(value as AnyFunction) : value;
      }
      guarded[from] = entries;
    }
    return guarded as WebAssembly.Imports;
  }

  #guard(call: AnyFunction): AnyFunction {
    const turns = this.#turns;
    const world = this.#world;
    return (...args) => {
      const before = turns.mayYield;
      turns.mayYield = false;
      try {
        world.called();
        return call(...args);
      } finally {
        turns.mayYield = before;
      }
    };
  }

  #suspending(call: AnyFunction): unknown {
    const guarded = this.#guard(call);
    return new WebAssembly.Suspending((...args: unknown[]) => {
      const result = guarded(...args);
      if (!(result instanceof Promise)) return result;
      const back = () => {
        this.#turns.mayYield = true;
      };
      return result.finally(back);
    });
  }

  #promising(entry: AnyFunction): AnyFunction {
    const enter = WebAssembly.promising(entry as () => unknown) as (...args: unknown[]) => Promise<unknown>;
    return (...args) => this.#enter(() => enter(...args), true);
  }

  /** Calls the guest where it may be suspended. */
  #enter(entry: () => unknown, promising = false): Promise<unknown> {
    const turns = this.#turns;
    const call = promising ? entry : WebAssembly.promising(entry as () => unknown);
    const before = turns.mayYield;
    turns.mayYield = true;
    let returned: Promise<unknown>;
    try {
      returned = call() as Promise<unknown>;
    } finally {
      turns.mayYield = before;
    }
    const left = () => {
      turns.mayYield = false;
    };
    return returned.finally(left);
  }

  /** What the glue gets in place of globals. */
  #environment(): Record<(typeof glueParameters)[number], unknown> {
    const world = this.#world;
    const suspending = (call: AnyFunction) => this.#suspending(call);
    const guarded = (imports: Imports) => this.#guarded(imports);
    const own = this.#own;
    const webAssembly = {
      Global: WebAssembly.Global,
      RuntimeError: WebAssembly.RuntimeError,
      SuspendError: (WebAssembly as { SuspendError?: unknown }).SuspendError,
      // called with `new`, which gives what they return
      Suspending: function Suspending(call: AnyFunction) {
        return suspending(call);
      },
      Module: function Module(bytes: Uint8Array) {
        return helperModule(bytes);
      },
      Instance: function Instance(module: WebAssembly.Module, imports: Imports) {
        const instance = new WebAssembly.Instance(module, guarded(imports));
        for (const value of Object.values(instance.exports)) if (typeof value === "function") own.add(value);
        return instance;
      },
      promising: (entry: AnyFunction) => this.#promising(entry),
      instantiate: undefined,
    };
    class SpendingDecoder extends TextDecoder {
      override decode(bytes?: Uint8Array): string {
        world.spend(bytes?.byteLength ?? 0);
        return super.decode(bytes);
      }
    }
    const timer = (work: () => void, ms?: number) => {
      const handle = setTimeout(() => {
        this.#timers.delete(handle);
        work();
      }, ms);
      this.#timers.add(handle);
      return handle;
    };
    const interval = (work: () => void, ms?: number) => {
      const handle = setInterval(work, ms);
      this.#timers.add(handle);
      return handle;
    };
    const clear = (handle: NodeJS.Timeout) => {
      this.#timers.delete(handle);
      clearTimeout(handle);
    };
    const silent = () => {};
    return {
      WebAssembly: webAssembly,
      globalThis: { WebAssembly: webAssembly },
      TextDecoder: SpendingDecoder,
      setTimeout: timer,
      clearTimeout: clear,
      setInterval: interval,
      clearInterval: clear,
      console: { error: silent, debug: silent, warn: silent, log: silent },
      rep: undefined,
      componentIdx: undefined,
      vals: undefined,
      $spend: (bytes: number) => world.spend(bytes),
      $made: ({ length, _createdReps }: HandleTable) => world.handles(length / 2 + (_createdReps?.size ?? 0)),
      $known: ({ length }: HandleTable, handle: number) => {
        if (handle > 0 && handle * 2 < length) return;
        throw new WebAssembly.RuntimeError(`unknown handle index ${handle}`);
      },
      $slice: (buffer: ArrayBuffer, from: number, to: number) => {
        world.spend(to - from);
        return buffer.slice(from, to);
      },
    };
  }
}

function helperModule(bytes: Uint8Array): WebAssembly.Module {
  if (bytes.length > maxHelperBytes) throw new Error("the component's code makes a module");
  const key = Buffer.from(bytes).toString("base64");
  let module = helpers.get(key);
  if (!module) {
    module = new WebAssembly.Module(new Uint8Array(bytes));
    helpers.set(key, module);
  }
  return module;
}
