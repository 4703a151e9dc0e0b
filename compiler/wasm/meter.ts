import { Assembler } from "./assembler.ts";
import { bulkChunkBytes, chunkedCopy, chunkedFill } from "./bulk.ts";
import { cutCycles } from "./call-graph.ts";
import { WasmError } from "./errors.ts";
import { InstructionReader, Opcode } from "./instructions.ts";
import {
  emptyModule,
  type FunctionBody,
  type Global,
  i32,
  importCount,
  type Module,
  readModule,
  typeIndex,
  writeModule,
} from "./module.ts";
import { rewriteCode } from "./rewrite.ts";

/** Module name of the imports that metering adds. */
export const meterModule = "thimble:meter";

/** What the host answers when a slice of fuel has ended. */
export const SliceAnswer = {
  /** Go on: the host has put a new slice into the fuel global. */
  go: 0,
  /** Execute `unreachable`: no handler in the guest can catch it. */
  trap: 1,
  /** Call the suspending import, then go on or trap as it answers. */
  yield: 2,
} as const;

/** What the host answers to `memory.grow`, besides the size before it in pages. */
export const GrowAnswer = {
  /** Execute `unreachable`. */
  trap: -2,
} as const;

/** Names of the exports that metering adds. */
export const MeterExport = {
  /** Mutable i32: what is left of the current slice; below zero when it has ended. */
  fuel: "thimble:fuel",
  /** Mutable i32: the linear memory's size as the guest sees it, in pages of 64 KiB. */
  pages: "thimble:pages",
  /** Prefix of the module's own mutable globals, followed by their index. */
  global: "thimble:global:",
} as const;

/** Bytes that a bulk memory operation moves for one unit of fuel, as a power of two. */
const bulkBytesPerFuelLog2 = 7;

/**
 * Adds interruption and accounting to a module. Every cycle of its control flow and of its call graph passes a check:
 * loop headers have one; so has each function whose address is taken (any indirect call may reach it); and the cycles that are
 * left run over direct calls, of which {@link cutCycles} picks a set of functions that cuts all of them.
 * A check takes one unit of fuel; bulk operations take one for each 128 bytes before they run, and large ones run in chunks.
 *
 * `memory.grow` and `memory.size` go to a size that the host bounds: {@link MeterExport.pages}. Mutable globals are
 * exported, so that a pooled instance can be set back to an image.
 *
 * @throws WasmError `unsupported` for an instruction that this pass does not cover.
 */
export function meter(module: Module): Module {
  const importedFunctions = importCount(module, "function");
  const importedGlobals = importCount(module, "global");
  const out: Module = { ...emptyModule(), ...module, types: [...module.types] };

  const shift = 3;
  const mapFunction = (index: number): number => (index < importedFunctions ? index : index + shift);
  const answer = typeIndex(out, { params: [], results: [i32] });
  const growType = typeIndex(out, { params: [i32], results: [i32] });
  const bulkType = typeIndex(out, { params: [i32, i32, i32], results: [] });
  const slice = importedFunctions;
  const yieldImport = importedFunctions + 1;
  const growImport = importedFunctions + 2;
  out.imports = [
    ...module.imports,
    { module: meterModule, name: "slice", kind: "function", type: answer },
    { module: meterModule, name: "yield", kind: "function", type: answer },
    { module: meterModule, name: "grow", kind: "function", type: growType },
  ];

  const imported = module.imports.find((entry) => entry.kind === "memory");
  const memory = module.memories[0] ?? (imported?.kind === "memory" ? imported.memory : undefined);
  const fuel = importedGlobals + module.globals.length;
  const pages = fuel + 1;
  const global = (value: number): Global => ({
    type: i32,
    mutable: true,
    init: new Assembler().i32(value).end().finish(),
  });
  out.globals = [...module.globals, global(0), global(memory?.min ?? 0)];

  const sliceEnd = importedFunctions + shift + module.functions.length;
  const grow = sliceEnd + 1;
  const fillLarge = sliceEnd + 2;
  const copyLarge = sliceEnd + 3;
  const checked = functionsToCheck(module, importedFunctions);
  const settle = new Assembler().globalGet(fuel).i32(0).op(Opcode.i32LtS).if().call(sliceEnd).end().finish();
  const check = new Assembler().globalGet(fuel).i32(1).op(Opcode.i32Sub).globalSet(fuel).raw(settle).finish();

  const meterBody = (body: FunctionBody, index: number): FunctionBody => {
    const size = scratchLocal(module, body);
    let usesSize = false;
    const code = rewriteCode(body.code, body.position, ({ op, index, start, end }, code) => {
      switch (op) {
        case Opcode.call:
          code.call(mapFunction(index));
          return true;
        case Opcode.loop:
          code.raw(body.code.subarray(start, end)).raw(check);
          return true;
        case Opcode.memoryCopy:
        case Opcode.memoryFill:
          usesSize = true;
          code.tee(size).globalGet(fuel).get(size).i32(bulkBytesPerFuelLog2);
          code.op(Opcode.i32ShrU, Opcode.i32Sub).globalSet(fuel).raw(settle);
          code.get(size).i32(bulkChunkBytes).op(Opcode.i32GtU, Opcode.if).s32(bulkType);
          code.call(op === Opcode.memoryFill ? fillLarge : copyLarge).op(Opcode.else);
          code.raw(body.code.subarray(start, end)).end();
          return true;
        case Opcode.memorySize:
          code.globalGet(pages);
          return true;
        case Opcode.memoryGrow:
          code.call(grow);
          return true;
        default:
          return false;
      }
    });
    return {
      ...body,
      locals: usesSize ? [...body.locals, [1, i32]] : body.locals,
      code: checked.has(index) ? new Assembler().raw(check).raw(code).finish() : code,
    };
  };

  out.functions = [
    ...module.functions.map(meterBody),
    { type: typeIndex(out, { params: [], results: [] }), ...sliceEndBody(slice, yieldImport) },
    { type: growType, ...growBody(growImport) },
  ];
  if (memory) {
    out.functions.push(
      { type: bulkType, ...chunkedFill(sliceEnd) },
      { type: bulkType, ...chunkedCopy(sliceEnd) },
    );
  }
  out.elements = module.elements.map((segment) => ({
    ...segment,
    functions: segment.functions.map(mapFunction),
  }));
  if (module.start !== undefined) out.start = mapFunction(module.start);
  out.exports = [
    ...module.exports.map((entry) =>
      entry.kind === "function" ? { ...entry, index: mapFunction(entry.index) } : entry,
    ),
    { name: MeterExport.fuel, kind: "global", index: fuel },
    { name: MeterExport.pages, kind: "global", index: pages },
  ];
  module.globals.forEach((global, i) => {
    const index = importedGlobals + i;
    if (global.mutable) out.exports.push({ name: `${MeterExport.global}${index}`, kind: "global", index });
  });
  return out;
}

/**
 * {@link meter} from bytes to bytes, for modules from anywhere.
 *
 * @throws WasmError `malformed` or `unsupported`.
 */
export function meterBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const module = readModule(bytes);
  // the passes take a module's indices as they are
  if (!WebAssembly.validate(new Uint8Array(bytes)))
    throw new WasmError("malformed", "the module is not valid");
  return writeModule(meter(module));
}

/**
 * Bytes of code that may run from one function's entry on without a check, calls included. Far more than the engine's own functions
 * come to; what it stops are ladders, in which each function calls the next one twice and the work doubles with each.
 */
const maxUncheckedBytes = 64 * 1024;

/** Functions, by their position among the module's own, that check at their entry. */
function functionsToCheck(module: Module, imported: number): Set<number> {
  const checked = new Set<number>();
  for (const { functions } of module.elements) {
    for (const index of functions) if (index >= imported) checked.add(index - imported);
  }
  const callSites = module.functions.map((body) => {
    const targets: number[] = [];
    const instruction = new InstructionReader(body.code, body.position);
    while (instruction.next()) {
      if (instruction.op === Opcode.call && instruction.index >= imported)
        targets.push(instruction.index - imported);
    }
    return targets;
  });
  // a checked function already cuts every cycle through it
  const edges = callSites.map((targets, caller) =>
    checked.has(caller) ? [] : [...new Set(targets)].filter((target) => !checked.has(target)),
  );
  const sizeOf = (index: number): number => module.functions[index]!.code.length;
  for (const index of cutCycles(edges, sizeOf)) checked.add(index);

  // What is left has no cycle: each function's cost is its own code and that of all its calls, callees first.
  const cost = new Map<number, number>();
  const open = [...module.functions.keys()].map((index) => ({ index, next: 0 }));
  while (open.length > 0) {
    const frame = open[open.length - 1]!;
    const { index } = frame;
    const targets = callSites[index]!;
    const pending = cost.has(index) || checked.has(index) ? undefined : targets[frame.next++];
    if (pending !== undefined) {
      if (!checked.has(pending) && !cost.has(pending)) open.push({ index: pending, next: 0 });
      continue;
    }
    open.pop();
    if (checked.has(index) || cost.has(index)) continue;
    const total = targets.reduce((sum, target) => sum + (cost.get(target) ?? 0), sizeOf(index));
    if (total > maxUncheckedBytes) checked.add(index);
    else cost.set(index, total);
  }
  return checked;
}

/** Index of a local after the function's own, for the size of a bulk operation. */
function scratchLocal(module: Module, { type, locals }: FunctionBody): number {
  return locals.reduce((sum, [count]) => sum + count, module.types[type]!.params.length);
}

/** Asks the host; traps when it says so, suspends first when it says so. */
function sliceEndBody(slice: number, yieldImport: number): Omit<FunctionBody, "type"> {
  const code = new Assembler().call(slice).tee(0).i32(SliceAnswer.yield).op(Opcode.i32Eq);
  code.if().call(yieldImport).set(0).end();
  code.get(0).if().op(Opcode.unreachable).end().end();
  return { locals: [[1, i32]], code: code.finish(), position: 0 };
}

/** `memory.grow` by the host's leave: it grows the memory and sets the size that the guest sees, or says trap. */
function growBody(grow: number): Omit<FunctionBody, "type"> {
  const code = new Assembler().get(0).call(grow).tee(0).i32(GrowAnswer.trap).op(Opcode.i32Eq);
  code.if().op(Opcode.unreachable).end().get(0).end();
  return { locals: [], code: code.finish(), position: 0 };
}
