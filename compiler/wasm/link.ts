import { Assembler } from "./assembler.ts";
import { ByteReader } from "./bytes.ts";
import { WasmError } from "./errors.ts";
import { Opcode } from "./instructions.ts";
import {
  activeElements,
  type ElementSegment,
  emptyModule,
  type FunctionType,
  importCount,
  type Module,
  typeIndex,
} from "./module.ts";
import { remapIndices, rewriteCode } from "./rewrite.ts";

/** A shared library and where its static data will lie. */
export interface SideModule {
  name: string;
  module: Module;
  /** Address of its static data. */
  memoryBase: number;
  /** Slots it needs in the indirect function table. */
  tableSize: number;
}

/** Static data that the linked module expects in its memory; it carries none itself. */
export interface InitialData {
  address: number;
  bytes: Uint8Array;
}

export interface LinkResult {
  module: Module;
  data: InitialData[];
  /** First table slot of each side module. */
  tableBases: Record<string, number>;
}

/**
 * Links shared libraries into the module that they extend, statically: one instance instead of one for each, direct calls
 * instead of calls through imports, and constants instead of relocations. Follows the WebAssembly tool-conventions'
 * DynamicLinking.md for the meaning of `env`, `GOT.func` and `GOT.mem`.
 *
 * A side module's exports are renamed `side:name`, and its start function becomes the export `side:start`. Functions
 * that nobody provides become traps. Of the main module's exports only those in `keep` stay.
 *
 * @throws WasmError `link_failed` for a symbol with two types or an import of an unknown kind.
 */
export function link(main: Module, sides: readonly SideModule[], keep: ReadonlySet<string>): LinkResult {
  if (importCount(main, "function") !== main.imports.length) {
    throw new WasmError("link_failed", "the main module imports something other than functions");
  }
  const out: Module = {
    ...emptyModule(),
    types: [...main.types],
    imports: [...main.imports],
    memories: main.memories,
    globals: [...main.globals],
    exports: main.exports.filter(({ name }) => keep.has(name)).map((entry) => ({ ...entry })),
    customs: main.customs.filter(({ name }) => name === "target_features"),
  };
  const data: InitialData[] = main.data.map((segment) => ({
    address: evaluate(segment.offset, () => undefined),
    bytes: segment.bytes,
  }));
  const mainExports = new Map(main.exports.map((entry) => [entry.name, entry]));
  const symbol = (name: string, kind: string) => {
    const entry = mainExports.get(name);
    return entry?.kind === kind ? entry.index : undefined;
  };
  const tableBases: Record<string, number> = {};
  let tableEnd = main.tables[0]?.min ?? 0;
  const slots = new Map<number, number>();
  const extraSlots: number[] = [];

  // The function imports of all come first in the index space, so they are gathered before any code is mapped.
  for (const { module } of sides) {
    for (const entry of module.imports) {
      if (entry.kind !== "function" || entry.module === "env") continue;
      const same = out.imports.find((other) => other.module === entry.module && other.name === entry.name);
      if (!same) out.imports.push({ ...entry, type: typeIndex(out, module.types[entry.type]!) });
    }
  }
  const mainImports = main.imports.length;
  const added = out.imports.length - mainImports;
  const mapMain = (index: number): number => (index < mainImports ? index : index + added);
  const sameIndex = (index: number): number => index;
  const mainMap = { type: sameIndex, function: mapMain, global: sameIndex, constant: () => undefined };
  out.functions = main.functions.map((body) => ({
    ...body,
    code: rewriteCode(body.code, body.position, remapIndices(mainMap)),
  }));
  out.elements = main.elements.map((segment) =>
    activeElements(segment.offset, activeFunctions(segment).map(mapMain)),
  );
  for (const entry of out.exports) if (entry.kind === "function") entry.index = mapMain(entry.index);
  const functionType = (index: number): FunctionType => {
    const imported = out.imports[index];
    const type =
      imported?.kind === "function" ? imported.type : out.functions[index - out.imports.length]!.type;
    return out.types[type]!;
  };

  for (const { name, module, memoryBase, tableSize } of sides) {
    const tableBase = tableEnd;
    tableBases[name] = tableBase;
    tableEnd += tableSize;
    const types = module.types.map((type) => typeIndex(out, type));
    const importedFunctions = importCount(module, "function");
    const importedGlobals = importCount(module, "global");
    const ownExport = new Map(module.exports.map((entry) => [entry.name, entry]));
    const ownFunctions = out.imports.length + out.functions.length;
    const ownGlobals = out.globals.length;
    /** Bodies that trap, for imports that nobody provides; they follow the side module's own. */
    const stubs: Module["functions"] = [];

    const functions: number[] = [];
    const globals: (number | { constant: number })[] = [];
    for (const entry of module.imports) {
      if (entry.kind === "function") functions.push(resolveFunction(entry.module, entry.name, entry.type));
      else if (entry.kind === "global") globals.push(resolveGlobal(entry.module, entry.name));
    }

    function resolveFunction(from: string, importName: string, type: number): number {
      if (from !== "env")
        return out.imports.findIndex((other) => other.module === from && other.name === importName);
      const index = symbol(importName, "function");
      if (index !== undefined) {
        const target = mapMain(index);
        if (typeIndex(out, functionType(target)) !== types[type]) {
          throw new WasmError("link_failed", `${name} imports ${importName} with another type`);
        }
        return target;
      }
      const own = ownExport.get(importName);
      if (own?.kind === "function" && own.index >= importedFunctions)
        return ownFunctions + own.index - importedFunctions;
      const code = new Assembler().op(Opcode.unreachable).end().finish();
      stubs.push({ type: types[type]!, locals: [], code, position: 0 });
      return ownFunctions + module.functions.length + stubs.length - 1;
    }

    function resolveGlobal(from: string, importName: string): number | { constant: number } {
      if (from === "env" && importName === "__memory_base") return { constant: memoryBase };
      if (from === "env" && importName === "__table_base") return { constant: tableBase };
      if (from === "env") {
        const index = symbol(importName, "global");
        if (index !== undefined) return index;
      }
      if (from === "GOT.func") {
        const index = symbol(importName, "function");
        const own = ownExport.get(importName);
        if (index !== undefined) return { constant: slot(mapMain(index)) };
        if (own?.kind === "function") return { constant: slot(ownFunctions + own.index - importedFunctions) };
        return { constant: 0 };
      }
      // Weak data symbols that nobody defines lie at address 0, as the dynamic linker has it.
      if (from === "GOT.mem") return { constant: 0 };
      throw new WasmError(
        "link_failed",
        `${name} imports the global ${from}.${importName}, which nobody provides`,
      );
    }

    function slot(target: number): number {
      const known = slots.get(target);
      if (known !== undefined) return known;
      const made = -1 - extraSlots.length; // placed after the last side module
      extraSlots.push(target);
      slots.set(target, made);
      return made;
    }

    const mapFunction = (index: number): number =>
      index < importedFunctions ? functions[index]! : ownFunctions + index - importedFunctions;
    const constant = (index: number): number | undefined => {
      const resolved = globals[index];
      return typeof resolved === "object" ? finalSlot(resolved.constant) : undefined;
    };
    const mapGlobal = (index: number): number => {
      if (index >= importedGlobals) return ownGlobals + index - importedGlobals;
      const resolved = globals[index];
      if (typeof resolved !== "number")
        throw new WasmError("link_failed", `${name} sets a global that is a constant`);
      return resolved;
    };
    const finalSlot = (value: number): number => (value < 0 ? finalTableEnd - value - 1 : value);
    const finalTableEnd = sides.reduce((sum, side) => sum + side.tableSize, main.tables[0]?.min ?? 0);

    for (const global of module.globals) {
      const init = rewriteCode(
        global.init,
        0,
        remapIndices({ type: sameIndex, function: mapFunction, global: mapGlobal, constant }),
      );
      out.globals.push({ ...global, init });
    }
    const map = {
      type: (index: number) => types[index]!,
      function: mapFunction,
      global: mapGlobal,
      constant,
    };
    for (const body of module.functions) {
      const code = rewriteCode(body.code, body.position, remapIndices(map));
      out.functions.push({ ...body, type: types[body.type]!, code });
    }
    out.functions.push(...stubs);
    for (const segment of module.elements) {
      const at = new Assembler().i32(evaluate(segment.offset, constant)).end().finish();
      out.elements.push(activeElements(at, activeFunctions(segment).map(mapFunction)));
    }
    for (const segment of module.data)
      data.push({ address: evaluate(segment.offset, constant), bytes: segment.bytes });
    for (const entry of module.exports) {
      if (entry.kind === "function") {
        out.exports.push({ ...entry, name: `${name}:${entry.name}`, index: mapFunction(entry.index) });
      } else if (entry.kind === "global" && module.globals[entry.index - importedGlobals]?.mutable) {
        out.exports.push({ ...entry, name: `${name}:${entry.name}`, index: mapGlobal(entry.index) });
      }
    }
    if (module.start !== undefined) {
      out.exports.push({ name: `${name}:start`, kind: "function", index: mapFunction(module.start) });
    }
  }

  if (extraSlots.length > 0) {
    out.elements.push(activeElements(new Assembler().i32(tableEnd).end().finish(), extraSlots));
    tableEnd += extraSlots.length;
  }
  if (main.tables[0]) out.tables = [{ element: main.tables[0].element, min: tableEnd, max: tableEnd }];
  return { module: out, data, tableBases };
}

/** Functions of an active segment of table 0; shared libraries have no other. */
function activeFunctions({ mode, table, items }: ElementSegment): number[] {
  if (mode !== "active" || table !== undefined || "expressions" in items) {
    throw new WasmError("link_failed", "an element segment that is no list of functions for table 0");
  }
  return items.functions;
}

/** Value of an i32 constant expression: constants, known globals, sums. */
function evaluate(expression: Uint8Array, constant: (global: number) => number | undefined): number {
  const reader = new ByteReader(expression);
  const stack: number[] = [];
  for (;;) {
    const op = reader.byte();
    if (op === Opcode.end) return stack.pop()!;
    if (op === Opcode.i32Const) stack.push(reader.s32());
    else if (op === Opcode.i32Add) stack.push((stack.pop()! + stack.pop()!) | 0);
    else if (op === Opcode.globalGet) {
      const index = reader.u32();
      const value = constant(index);
      if (value === undefined) throw new WasmError("link_failed", `global ${index} is no constant`);
      stack.push(value);
    } else throw new WasmError("link_failed", `0x${op.toString(16)} in a constant expression`);
  }
}
