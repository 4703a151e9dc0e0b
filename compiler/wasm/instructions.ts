import { ByteReader } from "./bytes.ts";
import { WasmError } from "./errors.ts";

/** Opcodes that passes look at by name. Prefixed ones are `prefix << 8 | sub`. */
export const Opcode = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Load: 0x28,
  i64Load: 0x29,
  i32Store: 0x36,
  i64Store: 0x37,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32LtS: 0x48,
  i32GtU: 0x4b,
  i32LeU: 0x4d,
  i64Eq: 0x51,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32And: 0x71,
  i32Or: 0x72,
  i32ShrU: 0x76,
  i64Add: 0x7c,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  f64Mul: 0xa2,
  i32WrapI64: 0xa7,
  i64ExtendI32U: 0xad,
  f64ConvertI64U: 0xba,
  f64Const: 0x44,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
} as const;

/** What follows an opcode. */
type Immediate =
  | "none"
  | "block"
  | "index"
  | "index2"
  | "branchTable"
  | "types"
  | "memarg"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "memory"
  | "memory2";

/** Instructions of the binary format that are refused, with the name of the proposal they belong to. */
const refusedRanges: [from: number, to: number, what: string][] = [
  [0x06, 0x0a, "exception handling"],
  [0x12, 0x15, "tail calls or typed function references"],
  [0x18, 0x19, "exception handling"],
  [0x1f, 0x1f, "exception handling"],
  [0x25, 0x26, "reference types (table.get, table.set)"],
  [0xd0, 0xd6, "reference types"],
  [0xfb, 0xfb, "garbage collection"],
  [0xfc08, 0xfc09, "bulk memory (memory.init, data.drop)"],
  [0xfc0c, 0xfc11, "bulk table operations"],
  [0xfd, 0xfd, "SIMD"],
  [0xfe, 0xfe, "threads"],
];

const immediates = new Map<number, Immediate>();
const define = (kind: Immediate, from: number, to = from): void => {
  for (let op = from; op <= to; op++) immediates.set(op, kind);
};
define("none", 0x00, 0x01);
define("block", 0x02, 0x04);
define("none", 0x05);
define("none", 0x0b);
define("index", 0x0c, 0x0d);
define("branchTable", 0x0e);
define("none", 0x0f);
define("index", 0x10);
define("index2", 0x11);
define("none", 0x1a, 0x1b);
define("types", 0x1c);
define("index", 0x20, 0x24);
define("memarg", 0x28, 0x3e);
define("memory", 0x3f, 0x40);
define("i32", 0x41);
define("i64", 0x42);
define("f32", 0x43);
define("f64", 0x44);
define("none", 0x45, 0xc4);
define("none", 0xfc00, 0xfc07);
define("memory2", 0xfc0a);
define("memory", 0xfc0b);

/**
 * Walks the instructions of an expression or a function body, one at a time.
 * Refuses by name what it does not know, so that no pass can overlook an instruction.
 */
export class InstructionReader {
  readonly #reader: ByteReader;
  /** The current instruction; prefixed ones are `prefix << 8 | sub`. */
  op = 0;
  /** Its first byte and the byte after its last, relative to the code given. */
  start = 0;
  end = 0;
  /** Its first index immediate, or its i32 constant; for a block the index of its type, or -1. */
  index = 0;
  /** Its second index immediate. */
  index2 = 0;

  constructor(code: Uint8Array, base = 0) {
    this.#reader = new ByteReader(code, base);
  }

  /** Moves to the next instruction; false at the end. */
  next(): boolean {
    const reader = this.#reader;
    if (reader.done) return false;
    this.start = reader.at;
    let op = reader.byte();
    if (op === 0xfc) op = 0xfc00 | reader.u32();
    this.op = op;
    const kind = immediates.get(op);
    if (kind === undefined) this.#refuse(op);
    switch (kind) {
      case "none":
        break;
      case "block": {
        const at = reader.at;
        // one byte from 0x40 up is a value type or nothing; anything else is the index of a type
        if (reader.byte() >= 0x40 && reader.bytes[at]! < 0x80) this.index = -1;
        else {
          reader.at = at;
          this.index = reader.s32();
        }
        break;
      }
      case "index":
        this.index = reader.u32();
        break;
      case "index2":
        this.index = reader.u32();
        this.index2 = reader.u32();
        break;
      case "branchTable":
        for (let left = reader.u32() + 1; left > 0; left--) reader.u32();
        break;
      case "types":
        for (let left = reader.u32(); left > 0; left--) reader.byte();
        break;
      case "memarg":
        if ((reader.u32() & 0x40) !== 0) this.#unsupported("multiple memories");
        reader.u32();
        break;
      case "memory":
        if (reader.byte() !== 0) this.#unsupported("multiple memories");
        break;
      case "memory2":
        if ((reader.byte() | reader.byte()) !== 0) this.#unsupported("multiple memories");
        break;
      case "i32":
        this.index = reader.s32();
        break;
      case "i64":
        reader.skipLeb(64);
        break;
      case "f32":
        reader.take(4);
        break;
      case "f64":
        reader.take(8);
        break;
    }
    this.end = reader.at;
    return true;
  }

  #unsupported(what: string): never {
    throw new WasmError("unsupported", `${what} can't be metered`, this.#reader.base + this.start);
  }

  #refuse(op: number): never {
    const range = refusedRanges.find(([from, to]) => op >= from && op <= to);
    if (range) this.#unsupported(range[2]);
    throw new WasmError(
      "malformed",
      `unknown instruction 0x${op.toString(16)}`,
      this.#reader.base + this.start,
    );
  }
}
