import { Assembler } from "./assembler.ts";
import { Opcode } from "./instructions.ts";
import { type FunctionBody, i32, i64, type ValueType } from "./module.ts";

/** Bytes that one bulk instruction may move: about 0.1 ms, more where memory is touched for the first time. */
export const bulkChunkBytes = 256 * 1024;

/** A bulk memory instruction: its bytes, and the types of what it takes from the stack. */
export interface BulkInstruction {
  code: Uint8Array;
  op: number;
  operands: [to: ValueType, from: ValueType, size: ValueType];
  /** The memory that it writes to, whose size is asked for. */
  memory: number;
  /** For a copy the memory that it reads from, for an initialisation the length of its segment. */
  source: number;
}

/** Instructions of one index type. */
const arithmetic = (type: ValueType) =>
  type === i64
    ? {
        constant: (code: Assembler, value: number) => code.i64(BigInt(value)),
        add: Opcode.i64Add,
        sub: Opcode.i64Sub,
        gtU: Opcode.i64GtU,
        leU: Opcode.i64LeU,
      }
    : {
        constant: (code: Assembler, value: number) => code.i32(value),
        add: Opcode.i32Add,
        sub: Opcode.i32Sub,
        gtU: Opcode.i32GtU,
        leU: Opcode.i32LeU,
      };

const [to, from, size] = [0, 1, 2] as const;

/**
 * A function that does what a bulk memory instruction does, in chunks between which the slice may end: the instruction itself can't
 * be interrupted. Like the instruction it traps before it writes anything when the whole does not fit.
 */
export function chunked(
  { code: instruction, op, operands, memory, source }: BulkInstruction,
  sliceEnd: number,
): Omit<FunctionBody, "type"> {
  const code = new Assembler();
  const sizes = arithmetic(operands[size]);
  const whole = (): Assembler => code.get(to).get(from).get(size).raw(instruction);
  /** Moves one of the operands by a chunk. */
  const move = (local: typeof to | typeof from | typeof size, direction: "add" | "sub"): void => {
    const type = arithmetic(operands[local]);
    type.constant(code.get(local), bulkChunkBytes).op(type[direction]).set(local);
  };
  const chunks = (turn: () => void): void => {
    sizes.constant(code.loop().get(size), bulkChunkBytes).op(sizes.gtU).if();
    turn();
    code.call(sliceEnd).branch(1).end().end();
  };
  const chunk = (): void => {
    sizes.constant(code.get(to).get(from), bulkChunkBytes).raw(instruction);
  };
  const wide = (local: typeof to | typeof from | typeof size): Assembler =>
    operands[local] === i64 ? code.get(local) : code.get(local).op(Opcode.i64ExtendI32U);
  /** Ends in the instruction as it was when an operand and the size reach beyond the memory. */
  const mustFit = (local: typeof to | typeof from, length: () => void): void => {
    wide(local);
    wide(size).op(Opcode.i64Add).tee(bound);
    wide(local).op(Opcode.i64LtU); // it wrapped around
    code.get(bound);
    length();
    code.op(Opcode.i64GtU, Opcode.i32Or).if();
    whole().op(Opcode.return).end();
  };
  const bound = 3;

  const memoryLength = (index: number, type: ValueType) => () => {
    code.op(Opcode.memorySize).u32(index);
    if (type !== i64) code.op(Opcode.i64ExtendI32U);
    code.i64(16n).op(Opcode.i64Shl);
  };
  mustFit(to, memoryLength(memory, operands[to]));
  if (op === Opcode.memoryCopy) mustFit(from, memoryLength(source, operands[from]));
  if (op === Opcode.memoryInit) mustFit(from, () => code.i64(BigInt(source)));
  if (op === Opcode.memoryFill) {
    chunks(() => {
      chunk();
      move(to, "add");
      move(size, "sub");
    });
  } else if (op === Opcode.memoryInit || operands[to] !== operands[from]) {
    chunks(() => {
      chunk();
      move(to, "add");
      move(from, "add");
      move(size, "sub");
    });
  } else {
    // a copy to behind its source begins at the end, since the two may overlap
    code.get(to).get(from).op(arithmetic(operands[to]).leU).if();
    chunks(() => {
      chunk();
      move(to, "add");
      move(from, "add");
      move(size, "sub");
    });
    code.op(Opcode.else);
    chunks(() => {
      move(size, "sub");
      for (const local of [to, from] as const) {
        code.get(local).get(size).op(arithmetic(operands[local]).add);
      }
      sizes.constant(code, bulkChunkBytes).raw(instruction);
    });
    code.end();
  }
  whole().end();
  return { locals: [[1, i64]], code: code.finish(), position: 0 };
}

/** Types that a bulk memory instruction takes. */
export function bulkOperands(op: number, memory: ValueType, source: ValueType): BulkInstruction["operands"] {
  if (op === Opcode.memoryFill) return [memory, i32, memory];
  if (op === Opcode.memoryInit) return [memory, i32, i32];
  return [memory, source, memory === i64 && source === i64 ? i64 : i32];
}
