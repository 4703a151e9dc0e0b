import { Opcode } from "./instructions.ts";

/** Bytes that a bulk memory instruction moves for one unit of fuel, as a power of two. */
export const bulkBytesPerFuelLog2 = 4;

/**
 * Fuel up to which a stretch of code may be charged together with others that are not always run with it. Code is never charged
 * less than it costs; where paths part or meet it may be charged this much more.
 */
export const chargeGrain = 1024;

/** Fuel up to which a function leaves its first stretch to its callers to pay. */
export const maxLeftToCallers = 128;

/** Fuel of the instruction classes that are not 0 or 1. The table in docs/METERING.md is this one. */
export const Cost = {
  /** Integer division and remainder, floating point division and square root. */
  division: 4,
  /** A direct call, on top of what the callee's own instructions cost. */
  call: 4,
  /** A call through a table or of the host: whatever it reaches may leave its first stretch to be paid here. */
  callAnywhere: 8 + maxLeftToCallers,
  /** Reading or writing a table or a reference. */
  table: 2,
  /** Bulk instructions, on top of one unit for each 16 bytes or each table entry. */
  bulk: 8,
  /** Throwing an exception. */
  throw: 100,
  /** Growing a memory or a table, on top of what the host charges. */
  grow: 100,
} as const;

const plain = new Uint16Array(256).fill(1);
for (const op of [0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x0b, 0x0f, 0x18, 0x19, 0x1a, 0x1f])
  plain[op] = 0;
for (const op of [0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82]) plain[op] = Cost.division;
for (const op of [0x91, 0x95, 0x9f, 0xa3]) plain[op] = Cost.division;
plain[Opcode.call] = plain[Opcode.returnCall] = Cost.call;
plain[Opcode.callIndirect] = plain[Opcode.returnCallIndirect] = Cost.callAnywhere;
plain[Opcode.tableGet] = plain[Opcode.tableSet] = Cost.table;
plain[Opcode.throw] = plain[Opcode.rethrow] = plain[Opcode.throwRef] = Cost.throw;
plain[Opcode.memoryGrow] = Cost.grow;

/** f32x4.sqrt, f32x4.div, f64x2.sqrt, f64x2.div. */
const simdDivisions = new Set([0xfde3, 0xfde7, 0xfdef, 0xfdf3]);

/**
 * Fuel of one instruction: what marks structure is free, nearly everything else takes one unit; see {@link Cost}.
 * Bulk instructions take more by their size.
 */
export function costOf(op: number): number {
  if (op < 0x100) return plain[op]!;
  if (op >= 0xfd00) return simdDivisions.has(op) ? Cost.division : 1;
  if (op === Opcode.tableGrow) return Cost.grow;
  if (op === Opcode.tableSize || op < 0xfc08) return 1;
  return Cost.bulk;
}
