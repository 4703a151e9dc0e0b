import { ByteWriter } from "./bytes.ts";
import { Opcode } from "./instructions.ts";

const alignments: Record<number, number> = {
  [Opcode.i32Load]: 2,
  [Opcode.i64Load]: 3,
  [Opcode.i32Store]: 2,
  [Opcode.i64Store]: 3,
};

/** Writes instructions, for the code that passes add. Nothing is checked: the engine validates the result. */
export class Assembler extends ByteWriter {
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.byte(opcode);
    return this;
  }

  get(local: number): this {
    return this.byte(Opcode.localGet).u32(local);
  }

  set(local: number): this {
    return this.byte(Opcode.localSet).u32(local);
  }

  tee(local: number): this {
    return this.byte(Opcode.localTee).u32(local);
  }

  globalGet(index: number): this {
    return this.byte(Opcode.globalGet).u32(index);
  }

  globalSet(index: number): this {
    return this.byte(Opcode.globalSet).u32(index);
  }

  i32(value: number): this {
    return this.byte(Opcode.i32Const).s32(value);
  }

  i64(value: bigint): this {
    return this.byte(Opcode.i64Const).s64(value);
  }

  f64(value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    return this.byte(Opcode.f64Const).raw(bytes);
  }

  call(index: number): this {
    return this.byte(Opcode.call).u32(index);
  }

  /** A load or store with its natural alignment. */
  memory(opcode: number, offset = 0): this {
    return this.byte(opcode).u32(alignments[opcode]!).u32(offset);
  }

  /** `if` without a result. */
  if(): this {
    return this.byte(Opcode.if).byte(0x40);
  }

  loop(): this {
    return this.byte(Opcode.loop).byte(0x40);
  }

  branch(depth: number): this {
    return this.byte(Opcode.br).u32(depth);
  }

  branchIf(depth: number): this {
    return this.byte(Opcode.brIf).u32(depth);
  }

  end(): this {
    return this.byte(Opcode.end);
  }
}
