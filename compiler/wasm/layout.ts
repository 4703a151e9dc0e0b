import { Assembler } from "./assembler.ts";
import type { Flow } from "./flow.ts";
import { Opcode } from "./instructions.ts";
import {
  emptyModule,
  type Global,
  i32,
  i64,
  importCount,
  type Limits,
  type Module,
  memoriesOf,
  type TableType,
  tablesOf,
  typeIndex,
  type ValueType,
} from "./module.ts";
import { meterModule } from "./protocol.ts";

/** Instructions after which a table is no longer what it was. */
export const tableChanges: ReadonlySet<number> = new Set<number>([
  Opcode.tableSet,
  Opcode.tableFill,
  Opcode.tableCopy,
  Opcode.tableInit,
  Opcode.tableGrow,
]);

/** Where things are in the metered module: what the pass adds to its index spaces, and where that moves the module's own. */
export class Layout {
  readonly module: Module;
  /** The metered module; the passes fill in the rest. */
  readonly out: Module;
  readonly importedFunctions: number;
  /** The host's functions, whose imports come behind the module's own. */
  readonly imports: { slice: number; yield: number; grow: number; growTable: number };
  /** Index of the first function that is the pass's own, behind the module's. */
  readonly firstHelper: number;
  readonly memories: readonly Limits[];
  readonly importedMemories: number;
  readonly tables: readonly TableType[];
  /** The global with what is left of the slice. */
  readonly fuel: number;
  /** The first of the globals with the size of each of the module's own memories. */
  readonly pages: number;
  /** The global that tells whether tables or segments were changed, where the code does that. */
  readonly changed: number | undefined;
  readonly #added: number;

  constructor(module: Module, flow: Flow) {
    this.module = module;
    this.out = { ...emptyModule(), ...module, types: [...module.types] };
    this.importedFunctions = importCount(module, "function");
    this.memories = memoriesOf(module);
    this.importedMemories = this.memories.length - module.memories.length;
    this.tables = tablesOf(module);
    const ops = new Set(flow.op.subarray(0, flow.count));
    const names = ["slice", "yield", "grow", ...(ops.has(Opcode.tableGrow) ? ["growTable"] : [])];
    const added = names.map((name): Module["imports"][number] => {
      const params = name === "grow" || name === "growTable" ? [i32, i32] : [];
      const type = typeIndex(this.out, { params, results: [i32] });
      return { module: meterModule, name, kind: "function", type };
    });
    this.#added = added.length;
    this.out.imports = [...module.imports, ...added];
    const [slice, growTable] = [this.importedFunctions, this.importedFunctions + 3];
    this.imports = { slice, yield: slice + 1, grow: slice + 2, growTable };
    this.firstHelper = this.importedFunctions + this.#added + module.functions.length;

    const counter: Global = { type: i64, mutable: true, init: new Assembler().i64(0n).end().finish() };
    const global = (value: number): Global => ({
      type: i32,
      mutable: true,
      init: new Assembler().i32(value).end().finish(),
    });
    const changesState =
      [...tableChanges].some((op) => ops.has(op)) || ops.has(Opcode.dataDrop) || ops.has(Opcode.elemDrop);
    this.fuel = importCount(module, "global") + module.globals.length;
    this.pages = this.fuel + 1;
    this.changed = changesState ? this.pages + module.memories.length : undefined;
    this.out.globals = [
      ...module.globals,
      counter,
      ...module.memories.map(({ min }) => global(min)),
      ...(changesState ? [global(0)] : []),
    ];
  }

  /** Where a function of the module is in the metered one. */
  readonly mapFunction = (index: number): number =>
    index < this.importedFunctions ? index : index + this.#added;

  indexType(memory: number): ValueType {
    return this.memories[memory]?.index64 ? i64 : i32;
  }
}
