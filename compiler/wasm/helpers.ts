import { Assembler } from "./assembler.ts";
import { type BulkInstruction, chunked } from "./bulk.ts";
import { Opcode } from "./instructions.ts";
import type { Layout } from "./layout.ts";
import { leaseFuel } from "./leases.ts";
import { MeteredCode } from "./metered-code.ts";
import { type FunctionBody, type FunctionType, i32, i64, typeIndex } from "./module.ts";
import { GrowAnswer, SliceAnswer } from "./protocol.ts";

/** The functions that the pass adds to a module, each made when it is first needed. Methods return their indices. */
export class Helpers {
  /** Those that were made; the first has the index {@link Layout.firstHelper}. */
  readonly functions: FunctionBody[] = [];
  readonly #layout: Layout;
  readonly #known = new Map<string, number>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** One with this name; what it calls is made while it is. */
  add(name: string, type: FunctionType, make: () => Omit<FunctionBody, "type">): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const body = make();
    const index = this.#layout.firstHelper + this.functions.length;
    this.functions.push({ type: typeIndex(this.#layout.out, type), ...body });
    this.#known.set(name, index);
    return index;
  }

  /** Asks the host; traps when it says so, suspends first when it says so. */
  sliceEnd(): number {
    return this.add("slice end", { params: [], results: [] }, () => {
      const { imports } = this.#layout;
      const code = new Assembler().call(imports.slice).tee(0).i32(SliceAnswer.yield).op(Opcode.i32Eq);
      code.if().call(imports.yield).set(0).end();
      code.get(0).if().op(Opcode.unreachable).end().end();
      return { locals: [[1, i32]], code: code.finish(), position: 0 };
    });
  }

  /** Pays for a lease and asks the host; returns what is left of the lease with that. */
  lease(): number {
    return this.add("lease", { params: [i32], results: [i32] }, () => {
      const code = new MeteredCode(this.#layout.fuel, this);
      code.check(leaseFuel);
      code.get(0).i32(leaseFuel).op(Opcode.i32Add).end();
      return { locals: [], code: code.finish(), position: 0 };
    });
  }

  /** A size of bytes that is no larger than the largest that can succeed; a larger one will trap for itself. */
  clampBytes(): number {
    return this.#clamp(maxBytes);
  }

  /** The same for entries of a table, or pages of a memory. */
  clampEntries(): number {
    return this.#clamp(maxEntries);
  }

  #clamp(most: bigint): number {
    return this.add(`clamp to ${most}`, { params: [i64], results: [i64] }, () => {
      const code = new Assembler().get(0).i64(most).get(0).i64(most);
      code.op(Opcode.i64LtU, Opcode.select).end();
      return { locals: [], code: code.finish(), position: 0 };
    });
  }

  /** A bulk memory instruction in chunks. */
  chunked(bulk: BulkInstruction): number {
    const { code, operands } = bulk;
    return this.add(`bulk ${code.join()}`, { params: [...operands], results: [] }, () =>
      chunked({ ...bulk, code: code.slice() }, this.sliceEnd()),
    );
  }

  /** `memory.grow` by the host's leave: it grows the memory and sets the size that the guest sees, refuses, or says trap. */
  growMemory(memory: number): number {
    const type = this.#layout.indexType(memory);
    return this.add(`grow memory ${memory}`, { params: [type], results: [type] }, () => {
      const code = new Assembler().get(0);
      if (type === i64) code.call(this.clampEntries()).op(Opcode.i32WrapI64);
      code.i32(memory).call(this.#layout.imports.grow);
      trapWhereTold(code, 1);
      code.get(1);
      if (type === i64) code.op(Opcode.i64ExtendI32S);
      return { locals: [[1, i32]], code: code.end().finish(), position: 0 };
    });
  }

  /** `table.grow` by the host's leave. */
  growTable(table: number): number {
    const { element, index64 } = this.#layout.tables[table]!;
    const type = index64 ? i64 : i32;
    return this.add(`grow table ${table}`, { params: [element, type], results: [type] }, () => {
      const code = new Assembler().get(1);
      if (type !== i64) code.op(Opcode.i64ExtendI32U);
      code.call(this.clampEntries()).op(Opcode.i32WrapI64);
      code.i32(table).call(this.#layout.imports.growTable);
      trapWhereTold(code, 2);
      code.get(2).op(Opcode.if).byte(type);
      if (type === i64) code.i64(-1n);
      else code.i32(-1);
      code.op(Opcode.else).get(0).get(1).raw([0xfc, 0x0f]).u32(table).end().end();
      return { locals: [[1, i32]], code: code.finish(), position: 0 };
    });
  }
}

/** Keeps the host's answer in a local variable, and traps when that says so. */
function trapWhereTold(code: Assembler, local: number): void {
  code.tee(local).i32(GrowAnswer.trap).op(Opcode.i32Eq).if().op(Opcode.unreachable).end();
}

/** No memory is larger than 16 GiB. */
const maxBytes = 1n << 34n;

/** No table has more entries, and no memory more pages. */
const maxEntries = 1n << 30n;
