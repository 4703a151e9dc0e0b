import { MeterExport, MeterHost } from "../../compiler/wasm/index.ts";
import { pageSize } from "../image.ts";
import { GuestMemory } from "./guest-memory.ts";
import type { ModuleProgram } from "./module-program.ts";
import { preview1Imports, preview1Module } from "./preview1.ts";
import type { WasiSystem } from "./system.ts";

/** Fuel between two looks at the clock: 0.1 to 0.3 ms of compiled code. */
const fuelPerSlice = 400_000;
/** Entries of all tables. */
const tableEntries = 100_000;
/** Pages beyond its first size with which an instance is kept: clearing more costs more than a new one. */
const sparePages = 32;

/** Who runs in an instance. */
export interface ModuleGuest {
  readonly system: WasiSystem;
  sliceEnded(): "go" | "trap" | "yield";
  yielded(): Promise<"go" | "trap">;
}

/** What an instance is made for: one of another size can't be used instead. */
export interface InstanceLimits {
  memoryPages: number;
  /** Null: no bound. */
  fuel: number | null;
}

type Entry = () => Promise<unknown>;

/** What there is once the module has been instantiated. */
interface Parts {
  memory: GuestMemory;
  memories: { memory: WebAssembly.Memory; pages: WebAssembly.Global<"i32"> }[];
  initialize: Entry | undefined;
  call: Entry;
}

/**
 * One instance of a WASI module. Between two requests it is set back to the moment after it was instantiated; a reactor to the one after its
 * `_initialize`, when that has looked at nothing of its first request.
 */
export class ModuleInstance {
  readonly program: ModuleProgram;
  readonly limits: InstanceLimits;
  readonly host: MeterHost;
  #guest: ModuleGuest | null = null;
  #parts: Parts | null = null;
  #initialized = false;
  /** Real size at the moment that it is set back to, pages; null when there is no such moment. */
  #pristinePages: number | null = null;

  constructor(program: ModuleProgram, limits: InstanceLimits) {
    this.program = program;
    this.limits = limits;
    this.host = new MeterHost({
      ...(limits.fuel === null ? {} : { fuel: BigInt(limits.fuel) }),
      fuelPerSlice,
      memoryPages: limits.memoryPages,
      tableEntries,
      onSlice: () => this.#current().sliceEnded(),
      onYield: () => this.#current().yielded(),
    });
  }

  bind(guest: ModuleGuest | null): void {
    this.#guest = guest;
  }

  /** The guest's memories as it sees them, bytes. */
  get memoryBytes(): number {
    return this.#parts?.memories.reduce((sum, { pages }) => sum + pages.value * pageSize, 0) ?? 0;
  }

  /** Makes the instance, if there is none yet, and runs its start function. Rejects with whatever comes out of that. */
  async prepare(): Promise<void> {
    if (this.#parts) return;
    const guest = () => ({ system: this.#current().system, memory: this.#parts!.memory });
    const imports = { [preview1Module]: preview1Imports(guest) };
    const { instance, start } = this.host.prepare(this.program.module, imports);
    this.#parts = partsOf(instance.exports, this.program.manifest.entry);
    if (start) await this.host.run(WebAssembly.promising(start));
    // what the start function has learned of this request must not be seen by another
    if (!this.#current().system.touched) this.#remember();
  }

  /** Runs a request; resolves with what the entry returned. Rejects with whatever comes out of the guest. */
  async run(): Promise<number> {
    const { initialize, call } = this.#parts!;
    if (initialize && !this.#initialized) {
      await this.host.run(initialize);
      if (!this.#current().system.touched) {
        this.#remember();
        this.#initialized = true;
      }
    }
    return Number((await this.host.run(call)) ?? 0);
  }

  /** Makes it pristine. False when it can't be, or is larger than is worth keeping. */
  reset(): boolean {
    if (this.#pristinePages === null || this.#pages() > this.#pristinePages + sparePages) return false;
    return this.host.reset();
  }

  #remember(): void {
    if (this.#initialized || this.host.stopped !== undefined) return;
    this.host.snapshot();
    this.#pristinePages = this.#pages();
  }

  #pages(): number {
    return this.#parts!.memories.reduce((sum, { memory }) => sum + memory.buffer.byteLength / pageSize, 0);
  }

  #current(): ModuleGuest {
    if (this.#guest === null) throw new Error("the module ran while nobody ran it");
    return this.#guest;
  }
}

function partsOf(exports: WebAssembly.Exports, entry: "command" | "reactor"): Parts {
  const memories: Parts["memories"] = [];
  for (const [name, memory] of Object.entries(exports)) {
    if (!name.startsWith(MeterExport.memory)) continue;
    const pages = exports[
      MeterExport.pages + name.slice(MeterExport.memory.length)
    ] as WebAssembly.Global<"i32">;
    memories.push({ memory: memory as WebAssembly.Memory, pages });
  }
  const promising = (name: string) => WebAssembly.promising(exports[name] as () => unknown) as Entry;
  return {
    memory: new GuestMemory(exports.memory as WebAssembly.Memory),
    memories,
    initialize: entry === "reactor" && exports._initialize ? promising("_initialize") : undefined,
    call: promising(entry === "command" ? "_start" : "handler"),
  };
}
