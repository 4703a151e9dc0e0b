import { costOf } from "./costs.ts";
import { type CountedLoop, countedLoop } from "./counted-loops.ts";
import { WasmError } from "./errors.ts";
import { InstructionReader, Opcode } from "./instructions.ts";
import { checkLimit, type ModuleLimits } from "./limits.ts";
import type { FunctionBody, Module } from "./module.ts";

/** What is known of a construct (block, loop, if, try) by the instruction that opens it. */
interface Construct {
  opener: number;
  op: number;
  /** Values that a branch to its label takes along. */
  arity: number;
}

/** What is limited in a whole module. */
type Counts = Record<"blocks" | "loops" | "calls" | "allBranchTargets", number>;

interface OpenLoop {
  opener: number;
  depth: number;
  /** No way leads out but the end, no loop is inside, and nothing that leaves the function for other code. */
  simple: boolean;
}

/**
 * The code of a module, decoded once: its *points*, which are the instructions that control flow or metering look at, and
 * what the plain ones between them cost. About one instruction in five is a point. All functions share the arrays; {@link select} says
 * whose points are looked at.
 */
export class Flow {
  /** The first point of the selected function, and the one behind its last. */
  first = 0;
  last = 0;
  op: Uint16Array;
  /** Where the instruction begins and ends, relative to its function's code; the branch back of a counted loop begins with its condition. */
  start: Int32Array;
  stop: Int32Array;
  /** Fuel of the plain instructions since the point before. */
  plain: Uint16Array;
  /** The reader's indices; for a bulk memory instruction see {@link size}. */
  index: Int32Array;
  /** For a block without a type index its result type, 0x40 for none; for `br` and `br_if` how many values they take along. */
  index2: Int32Array;
  /** For `end`, `delegate`, `br` and `br_if`: the point that opened what they close or branch to, -1 for the function itself. */
  opener: Int32Array;
  /** For openers: how many branches go to the label. */
  branches: Int32Array;
  /** For openers: an exception may continue at the label. */
  caught: Uint8Array;
  /** For loops: {@link LoopKind}. */
  loop: Uint8Array;
  /** For `br_table` and `try_table`: their labels. */
  readonly labels = new Map<number, number[]>();
  /** For loops of the kind `counted`. */
  readonly counted = new Map<number, CountedLoop>();
  /** For bulk memory instructions: their size, where the instruction before is a small constant. */
  readonly size = new Map<number, number>();
  readonly #module: Module;
  readonly #limits: ModuleLimits;
  /** For each function its first point, and the end of the last. */
  readonly #begins: number[] = [0];
  /** How many there are in all functions. */
  readonly #counts: Counts = { blocks: 0, loops: 0, calls: 0, allBranchTargets: 0 };

  /** @throws WasmError for what {@link InstructionReader} refuses, broken nesting, or more of it than the limits allow. */
  constructor(module: Module, limits: ModuleLimits) {
    this.#module = module;
    this.#limits = limits;
    const bytes = module.functions.reduce((sum, { code }) => sum + code.length, 0);
    const size = Math.max(64, Math.floor(bytes / bytesPerPoint));
    this.op = new Uint16Array(size);
    this.start = new Int32Array(size);
    this.stop = new Int32Array(size);
    this.plain = new Uint16Array(size);
    this.index = new Int32Array(size);
    this.index2 = new Int32Array(size);
    this.opener = new Int32Array(size);
    this.branches = new Int32Array(size);
    this.caught = new Uint8Array(size);
    this.loop = new Uint8Array(size);
    for (const body of module.functions) this.#begins.push(this.#read(body, this.#begins.at(-1)!));
  }

  /** Number of all points. */
  get count(): number {
    return this.#begins.at(-1)!;
  }

  /** Turns to one of the functions, by its number without imports. */
  select(index: number): this {
    this.first = this.#begins[index]!;
    this.last = this.#begins[index + 1]!;
    return this;
  }

  #grow(): void {
    const size = this.op.length * 2;
    const copy = <T extends Uint8Array | Uint16Array | Int32Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    this.op = copy(this.op, new Uint16Array(size));
    this.start = copy(this.start, new Int32Array(size));
    this.stop = copy(this.stop, new Int32Array(size));
    this.plain = copy(this.plain, new Uint16Array(size));
    this.index = copy(this.index, new Int32Array(size));
    this.index2 = copy(this.index2, new Int32Array(size));
    this.opener = copy(this.opener, new Int32Array(size));
    this.branches = copy(this.branches, new Int32Array(size));
    this.caught = copy(this.caught, new Uint8Array(size));
    this.loop = copy(this.loop, new Uint8Array(size));
  }

  /** Takes in a function from point `at` on; returns the one behind its last. */
  #read(body: FunctionBody, from: number): number {
    const { types } = this.#module;
    const reader = new InstructionReader(body.code, body.position);
    const fail = (message: string): never => {
      throw new WasmError("malformed", message, reader.offset);
    };
    const open: Construct[] = [{ opener: -1, op: -1, arity: types[body.type]?.results.length ?? 0 }];
    const loops: OpenLoop[] = [];
    let at = from;

    const branch = (depth: number, kind: "branch" | "table" | "catch"): void => {
      const target = open.length - 1 - depth;
      if (target < 0) fail("branch out of the function");
      const { opener, op } = open[target]!;
      const loop = loops[loops.length - 1];
      if (loop && target < loop.depth) loop.simple = false;
      if (opener < 0) return;
      this.branches[opener]!++;
      if (kind === "catch") this.caught[opener] = 1;
      if (op === Opcode.loop && kind !== "branch") this.loop[opener] = LoopKind.header;
    };

    const count = (name: keyof Counts, more = 1): void => {
      this.#counts[name] += more;
      checkLimit(this.#limits, name, this.#counts[name], reader.offset);
    };

    let plain = 0;
    let constant = -1;
    while (reader.next()) {
      const { op } = reader;
      const before = constant;
      constant = op === Opcode.i32Const || op === Opcode.i64Const ? reader.index : -1;
      if (!isPoint(op)) {
        plain += costOf(op);
        if (plain < maxPlain) continue;
        plain -= costOf(op);
      }
      if (at === this.op.length) this.#grow();
      this.op[at] = op;
      this.start[at] = reader.start;
      this.stop[at] = reader.end;
      this.plain[at] = plain;
      this.index[at] = reader.index;
      this.index2[at] = reader.index2;
      plain = 0;
      switch (op) {
        case Opcode.block:
        case Opcode.loop:
        case Opcode.if:
        case Opcode.try:
        case Opcode.tryTable: {
          checkLimit(this.#limits, "nesting", open.length, reader.offset);
          count("blocks");
          const type = reader.index < 0 ? undefined : types[reader.index];
          if (reader.index >= 0 && type === undefined) fail("unknown type of a block");
          const results = type?.results.length ?? (reader.index2 === 0x40 ? 0 : 1);
          const params = type?.params.length ?? 0;
          if (op === Opcode.tryTable) {
            this.labels.set(at, reader.labels);
            for (const label of reader.labels) branch(label, "catch");
          }
          if (op === Opcode.loop) {
            count("loops");
            if (params > 0) this.loop[at] = LoopKind.header;
            const around = loops[loops.length - 1];
            if (around) around.simple = false;
            loops.push({ opener: at, depth: open.length, simple: true });
          }
          open.push({ opener: at, op, arity: op === Opcode.loop ? params : results });
          break;
        }
        case Opcode.end:
        case Opcode.delegate: {
          const closed = open.pop();
          if (closed === undefined) return fail("an end too many");
          this.opener[at] = closed.opener;
          if (closed.op === Opcode.loop) this.#close(loops.pop()!, at, body);
          break;
        }
        case Opcode.else:
        case Opcode.catch:
        case Opcode.catchAll:
          if (open.length < 2) fail("an else or a catch outside");
          break;
        case Opcode.br:
        case Opcode.brIf: {
          branch(reader.index, "branch");
          const target = open[open.length - 1 - reader.index]!;
          this.opener[at] = target.opener;
          this.index2[at] = target.arity;
          break;
        }
        case Opcode.brTable:
          checkLimit(this.#limits, "branchTargets", reader.labels.length, reader.offset);
          count("allBranchTargets", reader.labels.length);
          this.labels.set(at, reader.labels);
          for (const label of reader.labels) branch(label, "table");
          break;
        case Opcode.call:
        case Opcode.returnCall:
          count("calls");
          break;
        case Opcode.memoryFill:
        case Opcode.memoryCopy:
        case Opcode.memoryInit:
          if (before >= 0 && before <= maxConstantSize) this.size.set(at, before);
          break;
      }
      const loop = loops[loops.length - 1];
      if (loop && (op === Opcode.return || leaves(op))) loop.simple = false;
      at++;
    }
    if (open.length !== 0 || at === from || this.op[at - 1] !== Opcode.end) fail("function without an end");
    return at;
  }

  #close({ opener, simple }: OpenLoop, end: number, body: FunctionBody): void {
    const counted = simple ? this.#counted(opener, end, body) : undefined;
    if (counted) {
      this.counted.set(opener, counted);
      this.loop[opener] = LoopKind.counted;
    } else if (this.branches[opener]! > maxTurns) this.loop[opener] = LoopKind.header;
  }

  #counted(opener: number, end: number, body: FunctionBody): CountedLoop | undefined {
    const back = end - 1;
    const last = this.op[back] === Opcode.brIf && this.opener[back] === opener;
    if (!last || this.stop[back] !== this.start[end] || this.branches[opener] !== 1) return undefined;
    if (this.index2[opener] !== 0x40) return undefined;
    const counted = countedLoop(body.code, this.stop[opener]!, this.start[back]!);
    if (counted) this.start[back] = counted.conditionStart;
    return counted;
  }

  /** Whether a point opens a loop that so many branches lead back to that it must be an interpreter's. */
  dispatches(at: number): boolean {
    return (
      this.op[at] === Opcode.loop && this.loop[at] === LoopKind.header && this.branches[at]! > fewBranches
    );
  }

  /** Whether the selected function has an interpreter's loop. */
  get interprets(): boolean {
    for (let at = this.first; at < this.last; at++) if (this.dispatches(at)) return true;
    return false;
  }

  /** Whether an `end` closes a loop. */
  closesLoop(at: number): boolean {
    const opener = this.opener[at]!;
    return opener >= 0 && this.op[opener] === Opcode.loop;
  }

  /** Whether the function is left at a point, if not by an exception. */
  leaves(at: number): boolean {
    const op = this.op[at]!;
    return (
      op === Opcode.return ||
      op === Opcode.returnCall ||
      op === Opcode.returnCallIndirect ||
      // a br_table's targets are not kept: it may leave, too
      op === Opcode.brTable ||
      ((op === Opcode.br || op === Opcode.brIf || op === Opcode.end) && this.opener[at] === -1)
    );
  }
}

/** Where a loop's check stands. */
export const LoopKind = {
  /** Before each turn but the first, at the branches back: most loops that run once then need none. */
  turns: 0,
  /** At its header, for every turn: where the branches back are many, or come from a table or a catch clause. */
  header: 1,
  /** For a portion of its turns at a time. */
  counted: 2,
} as const;

/** Bytes of code that there are for each point at least, in what compilers write: memory that is not used is not touched either. */
const bytesPerPoint = 8;

/** Fuel of plain instructions after which the next one is a point, so that there is one wherever a check may be wanted. */
const maxPlain = 256;

/** Largest size for which a bulk instruction is charged like any other. */
const maxConstantSize = 1024;

/** Branches back to a loop that may each have a check; with more, one at its header is shorter. */
const maxTurns = 2;

/** Branches back to a loop that is no interpreter's. */
const fewBranches = 16;

/** Opcodes by a number below 512: one byte, or the second byte behind the prefix 0xfc. None behind other prefixes is looked at. */
const table = (ops: readonly number[]): Uint8Array => {
  const made = new Uint8Array(512);
  for (const op of ops) made[place(op)] = 1;
  return made;
};
const place = (op: number): number => (op < 0x100 ? op : op >> 8 === 0xfc ? 0x100 | (op & 0xff) : 0x1ff);

/** Instructions that may leave a function for other code, or ask the host. */
const leaving = [
  Opcode.call,
  Opcode.callIndirect,
  Opcode.returnCall,
  Opcode.returnCallIndirect,
  Opcode.throw,
  Opcode.throwRef,
  Opcode.rethrow,
  Opcode.memoryGrow,
  Opcode.tableGrow,
  Opcode.memoryFill,
  Opcode.memoryCopy,
  Opcode.memoryInit,
  Opcode.tableFill,
  Opcode.tableCopy,
  Opcode.tableInit,
];
const leavingTable = table(leaving);
const leaves = (op: number): boolean => leavingTable[place(op)] === 1;

const points = table([
  ...leaving,
  Opcode.unreachable,
  Opcode.block,
  Opcode.loop,
  Opcode.if,
  Opcode.else,
  Opcode.try,
  Opcode.catch,
  Opcode.catchAll,
  Opcode.delegate,
  Opcode.tryTable,
  Opcode.end,
  Opcode.br,
  Opcode.brIf,
  Opcode.brTable,
  Opcode.return,
  Opcode.refFunc,
  Opcode.tableSet,
  Opcode.memorySize,
  Opcode.dataDrop,
  Opcode.elemDrop,
]);
const isPoint = (op: number): boolean => points[place(op)] === 1;
