import { bulkBytesPerFuelLog2, costOf } from "../../compiler/wasm/costs.ts";
import {
  Assembler,
  i32,
  i64,
  importCount,
  memoriesOf,
  Opcode,
  readModule,
  tablesOf,
  writeModule,
} from "../../compiler/wasm/index.ts";
import type { InstructionReader } from "../../compiler/wasm/instructions.ts";
import { rewriteCode } from "../../compiler/wasm/rewrite.ts";

/** Export with what has been executed, as mutable i64. */
export const costExport = "fuzz:cost";

/** A call of anything, without what is paid in advance for what it reaches: that is counted where it runs. */
const callAnywhere = 8;

/** Sizes above this are charged as this. */
const largestSize = 1n << 30n;

/** Adds up the cost of each instruction just before it: slow, and obviously right. */
export function countExactly(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const module = readModule(bytes);
  const memories = memoriesOf(module);
  const tables = tablesOf(module);
  const importedFunctions = importCount(module, "function");
  const cost = importCount(module, "global") + module.globals.length;
  module.globals.push({ type: i64, mutable: true, init: new Assembler().i64(0n).end().finish() });
  module.exports.push({ name: costExport, kind: "global", index: cost });

  /** Whether a bulk instruction takes its size as i64; undefined for all others. */
  const sizeIsWide = ({ op, index, index2 }: InstructionReader): boolean | undefined => {
    switch (op) {
      case Opcode.memoryFill:
        return memories[index]?.index64 === true;
      case Opcode.memoryCopy:
        return memories[index]?.index64 === true && memories[index2]?.index64 === true;
      case Opcode.tableFill:
        return tables[index]?.index64 === true;
      case Opcode.tableCopy:
        return tables[index]?.index64 === true && tables[index2]?.index64 === true;
      case Opcode.memoryInit:
      case Opcode.tableInit:
        return false;
      default:
        return undefined;
    }
  };

  for (const body of module.functions) {
    const narrow =
      module.types[body.type]!.params.length + body.locals.reduce((sum, [count]) => sum + count, 0);
    const wide = narrow + 1;
    body.locals.push([1, i32], [1, i64]);
    body.code = rewriteCode(body.code, 0, (instruction, out) => {
      const { op, index, start, end } = instruction;
      let price = costOf(op);
      const direct = op === Opcode.call || op === Opcode.returnCall;
      const indirect = op === Opcode.callIndirect || op === Opcode.returnCallIndirect;
      if (indirect || (direct && index < importedFunctions)) price = callAnywhere;
      if (price === 0) return false;
      out.globalGet(cost).i64(BigInt(price)).op(Opcode.i64Add).globalSet(cost);
      const isWide = sizeIsWide(instruction);
      if (isWide !== undefined) {
        out.tee(isWide ? wide : narrow);
        if (!isWide) out.get(narrow).op(Opcode.i64ExtendI32U).set(wide);
        const memory = op < Opcode.tableInit;
        out.globalGet(cost);
        out.get(wide).i64(largestSize).get(wide).i64(largestSize).op(Opcode.i64LtU, Opcode.select);
        if (memory) out.i64(BigInt(bulkBytesPerFuelLog2)).op(Opcode.i64ShrU);
        out.op(Opcode.i64Add).globalSet(cost);
      }
      out.raw(body.code.subarray(start, end));
      return true;
    });
  }
  return writeModule(module);
}
