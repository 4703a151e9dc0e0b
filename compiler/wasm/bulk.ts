import { Assembler } from "./assembler.ts";
import { Opcode } from "./instructions.ts";
import type { FunctionBody } from "./module.ts";

/** Bytes that one bulk instruction may move: about 0.1 ms, more where memory is touched for the first time. */
export const bulkChunkBytes = 256 * 1024;

const fill = [0xfc, 0x0b, 0x00];
const copy = [0xfc, 0x0a, 0x00, 0x00];
const [to, from, size] = [0, 1, 2] as const;

/** `while (size > chunk)`, with the slice ended after each turn. */
function chunks(code: Assembler, sliceEnd: number, turn: (code: Assembler) => Assembler): Assembler {
  code.loop().get(size).i32(bulkChunkBytes).op(Opcode.i32GtU).if();
  return turn(code).call(sliceEnd).branch(1).end().end();
}

const add = (code: Assembler, local: number): Assembler =>
  code.get(local).i32(bulkChunkBytes).op(Opcode.i32Add).set(local);
const shrink = (code: Assembler): Assembler => code.get(size).i32(bulkChunkBytes).op(Opcode.i32Sub).set(size);

/**
 * `memory.fill` for large sizes, in chunks: the instruction itself can't be interrupted. A fill that runs out of the memory traps
 * when it gets there, not before it begins.
 */
export function chunkedFill(sliceEnd: number): Omit<FunctionBody, "type"> {
  const code = chunks(new Assembler(), sliceEnd, (code) => {
    code.get(to).get(from).i32(bulkChunkBytes).raw(fill);
    return shrink(add(code, to));
  });
  code.get(to).get(from).get(size).raw(fill).end();
  return { locals: [], code: code.finish(), position: 0 };
}

/** `memory.copy` likewise; from the end when the target lies behind the source, since the two may overlap. */
export function chunkedCopy(sliceEnd: number): Omit<FunctionBody, "type"> {
  const code = new Assembler().get(to).get(from).op(Opcode.i32LeU).if();
  chunks(code, sliceEnd, (code) => {
    code.get(to).get(from).i32(bulkChunkBytes).raw(copy);
    return shrink(add(add(code, to), from));
  });
  code.op(Opcode.else);
  chunks(code, sliceEnd, (code) => {
    shrink(code).get(to).get(size).op(Opcode.i32Add).get(from).get(size).op(Opcode.i32Add);
    return code.i32(bulkChunkBytes).raw(copy);
  });
  code.end().get(to).get(from).get(size).raw(copy).end();
  return { locals: [], code: code.finish(), position: 0 };
}
