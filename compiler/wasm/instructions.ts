import { ByteReader } from "./bytes.ts";
import { WasmError } from "./errors.ts";

/** Opcodes that passes look at by name. Prefixed ones are `prefix << 8 | sub`. */
export const Opcode = {
  unreachable: 0x00,
  nop: 0x01,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  rethrow: 0x09,
  throwRef: 0x0a,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  delegate: 0x18,
  catchAll: 0x19,
  drop: 0x1a,
  select: 0x1b,
  tryTable: 0x1f,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableGet: 0x25,
  tableSet: 0x26,
  i32Load: 0x28,
  i64Load: 0x29,
  i32Load8U: 0x2d,
  i32Load16U: 0x2f,
  i32Store: 0x36,
  i64Store: 0x37,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f64Const: 0x44,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32LtU: 0x49,
  i32GtS: 0x4a,
  i32GtU: 0x4b,
  i32LeU: 0x4d,
  i32GeU: 0x4f,
  i64Eqz: 0x50,
  i64Eq: 0x51,
  i64LtS: 0x53,
  i64LtU: 0x54,
  i64GtU: 0x56,
  i64LeU: 0x58,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32And: 0x71,
  i32Or: 0x72,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i32Rotr: 0x78,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  f64Mul: 0xa2,
  i32WrapI64: 0xa7,
  i64ExtendI32S: 0xac,
  i64ExtendI32U: 0xad,
  f64ConvertI64U: 0xba,
  refFunc: 0xd2,
  memoryInit: 0xfc08,
  dataDrop: 0xfc09,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
  tableInit: 0xfc0c,
  elemDrop: 0xfc0d,
  tableCopy: 0xfc0e,
  tableGrow: 0xfc0f,
  tableSize: 0xfc10,
  tableFill: 0xfc11,
} as const;

/** What follows an opcode. */
const Kind = {
  refused: 0,
  none: 1,
  block: 2,
  index: 3,
  index2: 4,
  branchTable: 5,
  types: 6,
  memarg: 7,
  i32: 8,
  i64: 9,
  bytes4: 10,
  bytes8: 11,
  bytes16: 12,
  lane: 13,
  memargLane: 14,
  heapType: 15,
  tryTable: 16,
} as const;

const plain = new Uint8Array(256);
const misc = new Uint8Array(32);
const simd = new Uint8Array(256);

function define(table: Uint8Array, kind: number, from: number, to = from): void {
  table.fill(kind, from, to + 1);
}
define(plain, Kind.none, 0x00, 0x01);
define(plain, Kind.block, 0x02, 0x04);
define(plain, Kind.none, 0x05);
define(plain, Kind.block, 0x06);
define(plain, Kind.index, 0x07, 0x09);
define(plain, Kind.none, 0x0a, 0x0b);
define(plain, Kind.index, 0x0c, 0x0d);
define(plain, Kind.branchTable, 0x0e);
define(plain, Kind.none, 0x0f);
define(plain, Kind.index, 0x10);
define(plain, Kind.index2, 0x11);
define(plain, Kind.index, 0x12);
define(plain, Kind.index2, 0x13);
define(plain, Kind.index, 0x18);
define(plain, Kind.none, 0x19, 0x1b);
define(plain, Kind.types, 0x1c);
define(plain, Kind.tryTable, 0x1f);
define(plain, Kind.index, 0x20, 0x26);
define(plain, Kind.memarg, 0x28, 0x3e);
define(plain, Kind.index, 0x3f, 0x40);
define(plain, Kind.i32, 0x41);
define(plain, Kind.i64, 0x42);
define(plain, Kind.bytes4, 0x43);
define(plain, Kind.bytes8, 0x44);
define(plain, Kind.none, 0x45, 0xc4);
define(plain, Kind.heapType, 0xd0);
define(plain, Kind.none, 0xd1);
define(plain, Kind.index, 0xd2);
define(misc, Kind.none, 0x00, 0x07);
define(misc, Kind.index2, 0x08);
define(misc, Kind.index, 0x09);
define(misc, Kind.index2, 0x0a);
define(misc, Kind.index, 0x0b);
define(misc, Kind.index2, 0x0c);
define(misc, Kind.index, 0x0d);
define(misc, Kind.index2, 0x0e);
define(misc, Kind.index, 0x0f, 0x11);
define(simd, Kind.memarg, 0x00, 0x0b);
define(simd, Kind.bytes16, 0x0c, 0x0d);
define(simd, Kind.none, 0x0e, 0x14);
define(simd, Kind.lane, 0x15, 0x22);
define(simd, Kind.none, 0x23, 0x53);
define(simd, Kind.memargLane, 0x54, 0x5b);
define(simd, Kind.memarg, 0x5c, 0x5d);
define(simd, Kind.none, 0x5e, 0xff);
// numbers that the SIMD proposal leaves free
for (const free of [0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6]) {
  define(simd, Kind.refused, free);
}
for (const free of [0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee]) define(simd, Kind.refused, free);

/** Instructions that are refused, with the name of the proposal that they belong to. */
function proposalOf(prefix: number, sub: number): string | undefined {
  if (prefix === 0xfe) return "threads";
  if (prefix === 0xfb) return sub >= 0x80 ? "stringref" : "garbage collection";
  if (prefix === 0xfd) return sub >= 0x100 ? "relaxed SIMD" : undefined;
  if (prefix === 0xfc) return sub >= 0x13 && sub <= 0x16 ? "wide arithmetic" : undefined;
  if (sub === 0x14 || sub === 0x15 || (sub >= 0xd4 && sub <= 0xd6)) return "typed function references";
  if (sub === 0xd3) return "garbage collection";
  if (sub >= 0xe0 && sub <= 0xe6) return "stack switching";
  return undefined;
}

/** Reads a value type of one byte. Others belong to proposals that are refused by name. */
export function readValueType(reader: ByteReader): number {
  const at = reader.offset;
  const type = reader.byte();
  if (type >= 0x7b && type <= 0x7f) return type;
  if (type === 0x70 || type === 0x6f || type === 0x69) return type;
  if (type === 0x63 || type === 0x64)
    throw new WasmError("unsupported", "typed function references can't be metered", at);
  if (type === 0x67 || type === 0x66 || type === 0x62 || type === 0x61)
    throw new WasmError("unsupported", "stringref can't be metered", at);
  if (type >= 0x68 && type <= 0x75)
    throw new WasmError("unsupported", "garbage collection can't be metered", at);
  throw new WasmError("malformed", `unknown value type 0x${type.toString(16)}`, at);
}

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
  /**
   * Its first index immediate, its i32 constant, or an i64 constant that fits into 32 bits (otherwise -1).
   * For a block the index of its type, or -1 without parameters and with at most one result.
   */
  index = 0;
  /** Its second index immediate; for a block without a type index its result type, or 0x40 for none. */
  index2 = 0;
  /** Labels of `br_table`, or of the clauses of `try_table`. */
  labels: number[] = [];

  constructor(code: Uint8Array, base = 0) {
    this.#reader = new ByteReader(code, base);
  }

  /** Position of the current instruction in the file. */
  get offset(): number {
    return this.#reader.base + this.start;
  }

  /** Moves to the next instruction; false at the end. */
  next(): boolean {
    const reader = this.#reader;
    if (reader.done) return false;
    this.start = reader.at;
    let op = reader.byte();
    let kind: number;
    if (op < 0xfb) kind = plain[op]!;
    else {
      const sub = reader.u32();
      const table = op === 0xfc ? misc : op === 0xfd ? simd : undefined;
      kind = table?.[sub] ?? Kind.refused;
      if (kind === Kind.refused) this.#refuse(op, sub);
      op = (op << 8) | sub;
    }
    this.op = op;
    switch (kind) {
      case Kind.none:
        break;
      case Kind.block:
        this.#blockType();
        break;
      case Kind.index:
        this.index = reader.u32();
        break;
      case Kind.index2:
        this.index = reader.u32();
        this.index2 = reader.u32();
        break;
      case Kind.branchTable: {
        this.labels = [];
        const count = reader.u32();
        if (count > reader.bytes.length - reader.at) reader.fail("branch table longer than its function");
        for (let left = count; left >= 0; left--) this.labels.push(reader.u32());
        break;
      }
      case Kind.types:
        for (let left = reader.u32(); left > 0; left--) readValueType(reader);
        break;
      case Kind.memarg:
        this.#memarg();
        break;
      case Kind.i32:
        this.index = reader.s32();
        break;
      case Kind.i64:
        this.index = reader.smallS64();
        break;
      case Kind.bytes4:
        reader.take(4);
        break;
      case Kind.bytes8:
        reader.take(8);
        break;
      case Kind.bytes16:
        reader.take(16);
        break;
      case Kind.lane:
        reader.byte();
        break;
      case Kind.memargLane:
        this.#memarg();
        reader.byte();
        break;
      case Kind.heapType: {
        const byte = reader.bytes[reader.at]!;
        if (byte < 0x40 || byte >= 0x80) {
          throw new WasmError("unsupported", "typed function references can't be metered", this.offset);
        }
        readValueType(reader);
        break;
      }
      case Kind.tryTable:
        this.#blockType();
        this.labels = [];
        for (let left = reader.u32(); left > 0; left--) {
          const clause = reader.byte();
          if (clause > 3) reader.fail("unknown catch clause", reader.at - 1);
          if (clause < 2) reader.u32(); // the tag
          this.labels.push(reader.u32());
        }
        break;
      default:
        this.#refuse(0, op);
    }
    this.end = reader.at;
    return true;
  }

  #blockType(): void {
    const reader = this.#reader;
    const byte = reader.bytes[reader.at];
    if (byte === 0x40) {
      reader.at++;
      this.index = -1;
      this.index2 = 0x40;
    } else if (byte !== undefined && byte > 0x40 && byte < 0x80) {
      this.index = -1;
      this.index2 = readValueType(reader);
    } else {
      this.index = reader.s32();
      this.index2 = 0;
      if (this.index < 0) reader.fail("bad block type", this.start);
    }
  }

  #memarg(): void {
    const reader = this.#reader;
    if ((reader.u32() & 0x40) !== 0) reader.u32();
    reader.skipLeb(64);
  }

  #refuse(prefix: number, sub: number): never {
    const proposal = proposalOf(prefix, sub);
    if (proposal !== undefined)
      throw new WasmError("unsupported", `${proposal} can't be metered`, this.offset);
    const name = prefix === 0 ? sub.toString(16) : `${prefix.toString(16)} 0x${sub.toString(16)}`;
    throw new WasmError("malformed", `unknown instruction 0x${name}`, this.offset);
  }
}
