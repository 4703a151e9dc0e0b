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

/** The innermost open loop. */
interface OpenLoop {
  opener: number;
  depth: number;
  exits: number;
  tight: boolean;
}

/**
 * One function's instructions as arrays, and how its control flow hangs together. The arrays are used again for the next function:
 * nothing may be kept from them.
 */
export class Flow {
  count = 0;
  op = new Uint16Array(256);
  start = new Int32Array(257);
  index = new Int32Array(256);
  /** The reader's second index; for a block without a type index its result type, 0x40 for none; for `br` and `br_if` how many values they take along. */
  index2 = new Int32Array(256);
  /** For `end` and `delegate`: the instruction that opened what they close, -1 for the function itself. */
  opener = new Int32Array(256);
  /** For `br` and `br_if`: the instruction that opened their target, -1 for the function itself. */
  target = new Int32Array(256);
  /** For openers: how many branches go to the label. */
  branches = new Int32Array(256);
  /** For openers: an exception may continue at the label. */
  caught = new Uint8Array(256);
  /** For loops: {@link LoopKind}. */
  loop = new Uint8Array(256);
  /** For `br_table` and `try_table`: their labels. */
  readonly labels = new Map<number, number[]>();
  /** For loops of the kind `counted`. */
  readonly counted = new Map<number, CountedLoop>();
  readonly #module: Module;
  readonly #limits: ModuleLimits;

  constructor(module: Module, limits: ModuleLimits) {
    this.#module = module;
    this.#limits = limits;
  }

  #grow(): void {
    const size = this.op.length * 2;
    const copy = <T extends Uint8Array | Uint16Array | Int32Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    this.op = copy(this.op, new Uint16Array(size));
    this.start = copy(this.start, new Int32Array(size + 1));
    this.index = copy(this.index, new Int32Array(size));
    this.index2 = copy(this.index2, new Int32Array(size));
    this.opener = copy(this.opener, new Int32Array(size));
    this.target = copy(this.target, new Int32Array(size));
    this.branches = copy(this.branches, new Int32Array(size));
    this.caught = copy(this.caught, new Uint8Array(size));
    this.loop = copy(this.loop, new Uint8Array(size));
  }

  #close({ opener, exits, tight }: OpenLoop, end: number): void {
    if (tight && exits === 0 && this.branches[opener] === 1 && this.index2[opener] === 0x40) {
      const counted = countedLoop(this, opener, end);
      if (counted) {
        this.counted.set(opener, counted);
        this.loop[opener] = LoopKind.counted;
        return;
      }
    }
    if (this.branches[opener]! > maxTurns) this.loop[opener] = LoopKind.header;
    else if (this.loop[opener] === LoopKind.turns && tight && exits <= maxTightExits) {
      this.loop[opener] = LoopKind.tight;
    }
  }

  /**
   * Takes in a function.
   *
   * @throws WasmError for what {@link InstructionReader} refuses, broken nesting, or more of it than the limits allow.
   */
  read(body: FunctionBody): this {
    const { types } = this.#module;
    const reader = new InstructionReader(body.code, body.position);
    const fail = (message: string): never => {
      throw new WasmError("malformed", message, reader.offset);
    };
    this.labels.clear();
    this.counted.clear();
    const open: Construct[] = [{ opener: -1, op: -1, arity: types[body.type]?.results.length ?? 0 }];
    let at = 0;
    const loops: OpenLoop[] = [];

    const branch = (depth: number, kind: "br" | "br_if" | "table" | "catch"): void => {
      const target = open.length - 1 - depth;
      if (target < 0) fail("branch out of the function");
      const { opener, op, arity } = open[target]!;
      const loop = loops[loops.length - 1];
      if (loop && target < loop.depth) {
        loop.exits++;
        if (kind !== "br" && (kind !== "br_if" || arity > 0)) loop.tight = false;
      }
      if (opener < 0) return;
      this.branches[opener]!++;
      if (kind === "catch") this.caught[opener] = 1;
      if (op === Opcode.loop && (kind === "table" || kind === "catch")) this.loop[opener] = LoopKind.header;
    };

    while (reader.next()) {
      if (at === this.op.length) this.#grow();
      const { op } = reader;
      this.op[at] = op;
      this.start[at] = reader.start;
      this.index[at] = reader.index;
      this.index2[at] = reader.index2;
      this.branches[at] = 0;
      this.caught[at] = 0;
      switch (op) {
        case Opcode.block:
        case Opcode.loop:
        case Opcode.if:
        case Opcode.try:
        case Opcode.tryTable: {
          checkLimit(this.#limits, "nesting", open.length, reader.offset);
          const type = reader.index < 0 ? undefined : types[reader.index];
          if (reader.index >= 0 && type === undefined) fail("unknown type of a block");
          const results = type?.results.length ?? (reader.index2 === 0x40 ? 0 : 1);
          const params = type?.params.length ?? 0;
          if (op === Opcode.tryTable) {
            this.labels.set(at, reader.labels);
            for (const label of reader.labels) branch(label, "catch");
          }
          this.loop[at] = op === Opcode.loop && params > 0 ? LoopKind.header : LoopKind.turns;
          if (op === Opcode.loop) {
            for (const loop of loops) loop.tight = false;
            loops.push({ opener: at, depth: open.length, exits: 0, tight: true });
          }
          open.push({ opener: at, op, arity: op === Opcode.loop ? params : results });
          break;
        }
        case Opcode.end:
        case Opcode.delegate: {
          const closed = open.pop();
          if (closed === undefined) return fail("an end too many");
          this.opener[at] = closed.opener;
          if (closed.op === Opcode.loop) this.#close(loops.pop()!, at);
          break;
        }
        case Opcode.else:
        case Opcode.catch:
        case Opcode.catchAll:
          if (open.length < 2) fail("an else or a catch outside");
          break;
        case Opcode.br:
        case Opcode.brIf: {
          branch(reader.index, op === Opcode.br ? "br" : "br_if");
          const target = open[open.length - 1 - reader.index]!;
          this.target[at] = target.opener;
          this.index2[at] = target.arity;
          break;
        }
        case Opcode.brTable:
          checkLimit(this.#limits, "branchTargets", reader.labels.length, reader.offset);
          this.labels.set(at, reader.labels);
          for (const label of reader.labels) branch(label, "table");
          break;
      }
      const loop = loops[loops.length - 1];
      if (loop) {
        if (leaving.has(op)) loop.tight = false;
        else if (op === Opcode.return) loop.exits++;
      }
      at++;
    }
    if (open.length !== 0 || this.op[at - 1] !== Opcode.end) fail("function without an end");
    this.count = at;
    this.start[at] = body.code.length;
    return this;
  }

  /** Whether an instruction opens a loop that so many branches lead back to that it must be an interpreter's. */
  dispatches(at: number): boolean {
    return (
      this.op[at] === Opcode.loop && this.loop[at] === LoopKind.header && this.branches[at]! > fewBranches
    );
  }

  /** Whether an `end` closes a loop. */
  closesLoop(at: number): boolean {
    const opener = this.opener[at]!;
    return opener >= 0 && this.op[opener] === Opcode.loop;
  }

  /** Whether the function is left at an instruction, if not by an exception. */
  leaves(at: number): boolean {
    const op = this.op[at]!;
    return (
      op === Opcode.return ||
      op === Opcode.returnCall ||
      op === Opcode.returnCallIndirect ||
      // a br_table's targets are not kept: it may leave, too
      op === Opcode.brTable ||
      ((op === Opcode.br || op === Opcode.brIf) && this.target[at] === -1) ||
      (op === Opcode.end && this.opener[at] === -1)
    );
  }
}

/** Where a loop's check stands. */
export const LoopKind = {
  /** Before each turn but the first, at the branches back: most loops that run once then need none. */
  turns: 0,
  /** At its header, for every turn: where the branches back are many, or come from a table or a catch clause. */
  header: 1,
  /** Like `turns`, in an innermost loop without calls, which counts its turns in a local variable. */
  tight: 2,
  /** For a portion of its turns at a time. */
  counted: 3,
} as const;

/** Instructions that may leave a function for other code, or ask the host: none stands in a tight loop. */
const leaving = new Set<number>([
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
]);

/** Most ways out of a tight loop: each needs code. */
const maxTightExits = 3;

/** Branches back to a loop that may each have a check; with more, one at its header is shorter. */
const maxTurns = 2;

/** Branches back to a loop that is no interpreter's. */
const fewBranches = 16;
