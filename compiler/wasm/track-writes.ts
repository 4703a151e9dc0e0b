import { Assembler } from "./assembler.ts";
import { ByteReader } from "./bytes.ts";
import { type BranchHints, BranchHintWriter, branchHintSection, readBranchHints } from "./custom-sections.ts";
import { WasmError } from "./errors.ts";
import { InstructionReader, Opcode } from "./instructions.ts";
import {
  type FunctionBody,
  f32,
  f64,
  i32,
  i64,
  importCount,
  localsLength,
  type Module,
  memoriesOf,
  typeIndex,
  type ValueType,
  v128,
} from "./module.ts";
import { WriteMap } from "./protocol.ts";

/** Instructions that store, with the types of what they store. */
const storedTypes = new Map<number, ValueType>([
  [0x36, i32],
  [0x37, i64],
  [0x38, f32],
  [0x39, f64],
  [0x3a, i32],
  [0x3b, i32],
  [0x3c, i64],
  [0x3d, i64],
  [0x3e, i64],
  [0xfd0b, v128],
  [0xfd58, v128],
  [0xfd59, v128],
  [0xfd5a, v128],
  [0xfd5b, v128],
]);

/** An i32.store8 into the memory of marks, which is the second one. */
const mark = [0x3a, 0x40, 1, WriteMap.offset] as const;
const [explicitMemory, markedMemory] = [0x40, 1];

/**
 * Makes a module note which parts of its memory it writes to, so that these alone have to be set back: after each store, the byte of the
 * card that it begins in ({@link WriteMap}) is set in a second memory, which only the code added here can reach.
 *
 * A store that begins at the end of a card may reach into the next one, by {@link WriteMap.spillBytes} at most. What the host writes, the
 * host has to mark. Works on a module that is metered already: marks cost no fuel.
 *
 * @throws WasmError `unsupported` for a module that hasn't exactly one 32-bit memory of its own.
 */
export function trackWrites(module: Module): Module {
  const [memory, another] = memoriesOf(module);
  if (memory === undefined || another !== undefined || module.memories.length === 0 || memory.index64)
    throw new WasmError("unsupported", "writes are tracked in one memory of 32 bits");
  const out: Module = { ...module, types: [...module.types], exports: [...module.exports] };
  const importedFunctions = importCount(module, "function");
  const range = importedFunctions + module.functions.length;
  const hints = readBranchHints(module);
  const movedHints = new BranchHintWriter();
  out.functions = module.functions.map((body, i) => {
    const own = hints.get(importedFunctions + i);
    const { tracked, moved } = track(body, module.types[body.type]!.params.length, range, own);
    movedHints.add(importedFunctions + i, moved, localsLength(tracked.locals));
    return tracked;
  });
  out.functions.push({
    type: typeIndex(out, { params: [i32, i32], results: [] }),
    ...markRange(),
    position: 0,
  });
  out.memories = [...module.memories, { min: WriteMap.pages, max: WriteMap.pages }];
  out.exports.push({ name: WriteMap.export, kind: "memory", index: markedMemory });
  const others = module.customs.filter(({ name }) => name !== branchHintSection);
  out.customs = [...others, ...movedHints.sections()];
  return out;
}

function track(
  body: FunctionBody,
  params: number,
  range: number,
  hints: BranchHints | undefined,
): { tracked: FunctionBody; moved: BranchHints } {
  const firstScratch = body.locals.reduce((sum, [count]) => sum + count, params);
  const scratch: ValueType[] = [];
  const named = new Map<string, number>();
  const local = (name: string, type: ValueType): number => {
    const known = named.get(name);
    if (known !== undefined) return known;
    const made = firstScratch + scratch.push(type) - 1;
    named.set(name, made);
    return made;
  };
  const out = new Assembler();
  const moved: BranchHints = new Map();
  const oldLocals = localsLength(body.locals);
  const instruction = new InstructionReader(body.code, body.position);
  let copied = 0;
  const copyTo = (position: number): void => {
    out.raw(body.code.subarray(copied, position));
    copied = position;
  };
  while (instruction.next()) {
    const { op, start, end } = instruction;
    const hint = hints?.get(oldLocals + start);
    if (hint !== undefined) {
      copyTo(start);
      moved.set(out.length, hint);
    }
    const stored = storedTypes.get(op);
    if (stored !== undefined) {
      const value = local(`value ${stored}`, stored);
      const address = local("address", i32);
      copyTo(start);
      out.set(value).tee(address).get(value);
      copyTo(end);
      const offset = storeOffset(body.code, start, op);
      out.get(address);
      if (offset !== 0) out.i32(offset | 0).op(Opcode.i32Add);
      out.i32(WriteMap.cardBytesLog2).op(Opcode.i32ShrU).i32(1).raw(mark);
    } else if (op === Opcode.memoryFill || op === Opcode.memoryCopy || op === Opcode.memoryInit) {
      const [to, from, size] = [local("address", i32), local("from", i32), local("size", i32)];
      copyTo(start);
      out.set(size).set(from).tee(to).get(from).get(size);
      copyTo(end);
      out.get(to).get(size).call(range);
    }
  }
  copyTo(body.code.length);
  const locals = [...body.locals, ...scratch.map((type): [number, ValueType] => [1, type])];
  return { tracked: { ...body, locals, code: out.finish() }, moved };
}

/** The static offset of a store. */
function storeOffset(code: Uint8Array, start: number, op: number): number {
  const reader = new ByteReader(code);
  reader.at = start + 1;
  if (op > 0xff) reader.u32();
  if ((reader.u32() & explicitMemory) !== 0) reader.u32();
  return reader.u32();
}

/** `(to, size)`: marks what a bulk instruction has written. */
function markRange(): Pick<FunctionBody, "locals" | "code"> {
  const [to, size, first] = [0, 1, 2];
  const card = (code: Assembler): Assembler => code.i32(WriteMap.cardBytesLog2).op(Opcode.i32ShrU);
  const code = new Assembler().get(size).op(Opcode.i32Eqz).if().op(Opcode.return).end();
  card(code.get(to)).tee(first).i32(WriteMap.offset).op(Opcode.i32Add).i32(1);
  card(code.get(to).get(size).op(Opcode.i32Add).i32(1).op(Opcode.i32Sub));
  code.get(first).op(Opcode.i32Sub).i32(1).op(Opcode.i32Add);
  return { locals: [[1, i32]], code: code.raw([0xfc, 0x0b, markedMemory]).end().finish() };
}
