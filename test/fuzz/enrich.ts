import {
  type Assembler,
  exnref,
  funcref,
  i32,
  i64,
  importCount,
  type Module,
  memoriesOf,
  Opcode,
  tablesOf,
  type ValueType,
} from "../../compiler/wasm/index.ts";
import { rewriteCode } from "../../compiler/wasm/rewrite.ts";

/** A number below `limit`. */
type Below = (limit: number) => number;

const page = 65_536;

/**
 * Puts in what the generator never makes: more memories and tables, with the instructions on them, large bulk instructions,
 * loops that count, and ways through the code that differ much in what they cost.
 */
export function enrich(module: Module, next: () => number): void {
  const below: Below = (limit) => next() % limit;
  module.memories.push({ min: 1 + below(12), index64: below(2) === 0 });
  module.tables.push({ element: funcref, min: 10, index64: below(2) === 0 });
  const first = importCount(module, "function");
  const functions = module.functions.slice(0, 8).map((_, i) => first + i);
  const elements =
    module.elements.push({ mode: "passive", offset: new Uint8Array(0), items: { functions } }) - 1;
  const bytes = new Uint8Array(below(8) === 0 ? 5 * page : 100).map((_, i) => i * 7);
  const data = module.data.push({ mode: "passive", offset: new Uint8Array(0), bytes }) - 1;
  module.dataCount = true;
  const snippets = new Snippets(module, below, { elements, data, dataBytes: bytes.length });

  for (const body of module.functions) {
    const { params } = module.types[body.type]!;
    const counter = body.locals.reduce((sum, [count]) => sum + count, params.length);
    body.locals.push([1, i32]);
    const rare = 4 + below(60);
    body.code = rewriteCode(body.code, body.position, ({ start, end }, out) => {
      if (below(rare) !== 0) return false;
      snippets.write(out, counter);
      out.raw(body.code.subarray(start, end));
      return true;
    });
  }
}

/** Pieces of code that leave the stack as it was. */
class Snippets {
  readonly #below: Below;
  readonly #memories: { min: number; type: ValueType }[];
  readonly #tables: { index: number; element: ValueType; min: number; type: ValueType }[];
  readonly #segments: { elements: number; data: number; dataBytes: number };

  constructor(module: Module, below: Below, segments: { elements: number; data: number; dataBytes: number }) {
    this.#below = below;
    this.#segments = segments;
    this.#memories = memoriesOf(module).map(({ min, index64 }) => ({ min, type: index64 ? i64 : i32 }));
    this.#tables = tablesOf(module).map(({ element, min, index64 }, index) => ({
      ...{ index, element, min },
      type: index64 ? i64 : i32,
    }));
  }

  write(code: Assembler, counter: number): void {
    const kinds = [
      this.#memory,
      this.#bulk,
      this.#overlap,
      this.#table,
      this.#loop,
      this.#ways,
      this.#ways,
    ] as const;
    kinds[this.#below(kinds.length)]!.call(this, code, counter);
  }

  #number(code: Assembler, type: ValueType, value: number): void {
    if (type === i64) code.i64(BigInt(value));
    else code.i32(value);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }

  #padding(code: Assembler, cost: number): void {
    for (; cost > 0; cost--) code.i32(0).op(Opcode.drop);
  }

  #memory(code: Assembler): void {
    const index = this.#below(this.#memories.length);
    if (this.#below(2) === 0) {
      this.#number(code, this.#memories[index]!.type, this.#below(16) === 0 ? 100_000 : this.#below(3));
      code.op(Opcode.memoryGrow);
    } else code.op(Opcode.memorySize);
    code.u32(index).op(Opcode.drop);
  }

  #bulk(code: Assembler): void {
    const below = this.#below;
    const to = below(this.#memories.length);
    const from = below(2) === 0 ? to : below(this.#memories.length);
    const size = below(8) === 0 ? below(12 * page) : below(4_000);
    const { type, min } = this.#memories[to]!;
    const sourceType = this.#memories[from]!.type;
    const place = (pages: number): number =>
      below(16) === 0 ? below(pages * page) : below(Math.max(1, pages * page - size));
    this.#number(code, type, place(min));
    switch (below(4)) {
      case 0:
        code.i32(below(256));
        this.#number(code, type, size);
        code.raw([0xfc, 0x0b]).u32(to);
        break;
      case 1:
        code.i32(below(20)).i32(Math.min(size, this.#segments.dataBytes - below(20)));
        code.raw([0xfc, 0x08]).u32(this.#segments.data).u32(to);
        break;
      default:
        this.#number(code, sourceType, place(this.#memories[from]!.min));
        this.#number(code, type === i64 && sourceType === i64 ? i64 : i32, size);
        code.raw([0xfc, 0x0a]).u32(to).u32(from);
    }
    if (below(200) === 0) code.raw([0xfc, 0x09]).u32(this.#segments.data);
  }

  /** A copy that is longer than it moves its bytes, often too long to be done at once. */
  #overlap(code: Assembler): void {
    const memory = this.#below(this.#memories.length);
    const { type, min } = this.#memories[memory]!;
    const half = min * (page / 2);
    const places = [this.#below(half), this.#below(1_000)];
    if (this.#below(3) === 0) places.reverse();
    for (const place of places) this.#number(code, type, place);
    this.#number(code, type, half - this.#below(1_000));
    code.raw([0xfc, 0x0a]).u32(memory).u32(memory);
  }

  #table(code: Assembler): void {
    const below = this.#below;
    const { index, element, min, type } = this.#pick(this.#tables);
    const nothing = (): Assembler => code.raw([0xd0, element === exnref ? exnref : element]);
    const size = (): number => below(Math.max(1, min >> 1));
    switch (below(5)) {
      case 0:
        code.raw([0xfc, 0x10]).u32(index).op(Opcode.drop);
        break;
      case 1:
        nothing();
        this.#number(code, type, below(16) === 0 ? 10_000 : below(20));
        code.raw([0xfc, 0x0f]).u32(index).op(Opcode.drop);
        break;
      case 2:
        this.#number(code, type, size());
        nothing();
        this.#number(code, type, size());
        code.raw([0xfc, 0x11]).u32(index);
        break;
      case 3: {
        const other = this.#pick(this.#tables.filter((table) => table.element === element));
        this.#number(code, type, size());
        this.#number(code, other.type, below(Math.max(1, other.min >> 1)));
        this.#number(code, type === i64 && other.type === i64 ? i64 : i32, below(6));
        code.raw([0xfc, 0x0e]).u32(index).u32(other.index);
        break;
      }
      default: {
        const own = this.#tables.at(-1)!;
        this.#number(code, own.type, below(4));
        code.i32(below(3)).i32(below(4)).raw([0xfc, 0x0c]).u32(this.#segments.elements).u32(own.index);
        if (below(20) === 0) code.raw([0xfc, 0x0d]).u32(this.#segments.elements);
      }
    }
  }

  /** A loop that runs some times, often without anything but arithmetic in it. */
  #loop(code: Assembler, counter: number): void {
    const below = this.#below;
    code.i32(below(below(4) === 0 ? 3_000 : 20)).set(counter);
    const leaves = below(2) === 0;
    if (leaves) code.op(Opcode.block).byte(0x40);
    code.loop();
    this.#padding(code, below(4) === 0 ? below(150) : below(10));
    if (leaves) code.get(counter).i32(below(100)).op(Opcode.i32Eq).branchIf(1);
    code.get(counter).i32(1).op(Opcode.i32Sub).tee(counter).i32(0);
    code.op(0x4a /* i32.gt_s */).branchIf(0);
    this.#padding(code, below(10));
    code.end();
    if (leaves) code.end();
  }

  /** Blocks, of which some way leaves some; what is in them may cost more than is charged together. */
  #ways(code: Assembler, counter: number): void {
    const below = this.#below;
    const depth = 1 + below(4);
    const cost = (): number => (below(3) === 0 ? below(700) : below(20));
    for (let i = 0; i < depth; i++) code.op(Opcode.block).byte(0x40);
    code.get(counter).i32(depth).op(0x70 /* i32.rem_u */);
    if (below(2) === 0) {
      code.op(Opcode.brTable).u32(depth - 1);
      for (let i = 0; i < depth; i++) code.u32(below(depth));
    } else {
      code.if();
      this.#padding(code, cost());
      if (below(2) === 0) code.branch(1 + below(depth));
      if (below(2) === 0) {
        code.op(Opcode.else);
        this.#padding(code, cost());
      }
      code.end();
    }
    for (let i = 0; i < depth; i++) {
      code.end();
      this.#padding(code, cost());
      if (i < depth - 1 && below(3) === 0) code.get(counter).branchIf(below(depth - 1 - i));
    }
    code.get(counter).i32(1).op(Opcode.i32Add).set(counter);
  }
}
