import { Assembler } from "./assembler.ts";
import { InstructionReader, Opcode } from "./instructions.ts";

/** Writes what stands in place of an instruction and returns true, or returns false to keep it. */
export type Replace = (instruction: InstructionReader, out: Assembler) => boolean;

/** Code with some of its instructions replaced. `position` is where it began in its file, for messages. */
export function rewriteCode(code: Uint8Array, position: number, replace: Replace): Uint8Array<ArrayBuffer> {
  const instruction = new InstructionReader(code, position);
  const out = new Assembler();
  const replacement = new Assembler();
  let copied = 0;
  while (instruction.next()) {
    if (!replace(instruction, replacement)) continue;
    out.raw(code.subarray(copied, instruction.start)).raw(replacement.view());
    replacement.clear();
    copied = instruction.end;
  }
  return out.raw(code.subarray(copied)).finish();
}

/** Where the indices of one module go in another. */
export interface IndexMap {
  type: (index: number) => number;
  function: (index: number) => number;
  global: (index: number) => number;
  /** The value of a global that is known when linking: its reads become constants. */
  constant: (index: number) => number | undefined;
}

/** Maps the indices of types, functions and globals. */
export function remapIndices(map: IndexMap): Replace {
  return ({ op, index, index2 }, out) => {
    switch (op) {
      case Opcode.call:
      case Opcode.returnCall:
      case Opcode.refFunc:
        out.byte(op).u32(map.function(index));
        return true;
      case Opcode.callIndirect:
      case Opcode.returnCallIndirect:
        out.byte(op).u32(map.type(index)).u32(index2);
        return true;
      case Opcode.globalGet: {
        const constant = map.constant(index);
        if (constant === undefined) out.byte(op).u32(map.global(index));
        else out.byte(Opcode.i32Const).s32(constant);
        return true;
      }
      case Opcode.globalSet:
        out.byte(op).u32(map.global(index));
        return true;
      case Opcode.block:
      case Opcode.loop:
      case Opcode.if:
      case Opcode.try:
        if (index < 0) return false;
        out.byte(op).s32(map.type(index));
        return true;
      default:
        return false;
    }
  };
}
