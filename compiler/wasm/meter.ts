import { Assembler } from "./assembler.ts";
import { bulkChunkBytes, bulkOperands, chunked } from "./bulk.ts";
import { type Charges, constantSize, planCharges } from "./charges.ts";
import { CheckPlan, type Checks, maxTally } from "./checks.ts";
import { bulkBytesPerFuelLog2, Cost, chargeGrain, maxLeftToCallers } from "./costs.ts";
import { countTurns, portionFuel, pushCondition, setLast } from "./counted-loops.ts";
import { type BranchHints, branchHints, keptSections, readBranchHints } from "./custom-sections.ts";
import { WasmError } from "./errors.ts";
import { Flow, LoopKind } from "./flow.ts";
import { Opcode } from "./instructions.ts";
import { defaultLimits, type ModuleLimits, noLimits } from "./limits.ts";
import {
  emptyModule,
  exnref,
  type FunctionBody,
  type FunctionType,
  f32,
  f64,
  type Global,
  i32,
  i64,
  importCount,
  type Limits,
  localsLength,
  type Module,
  memoriesOf,
  readModule,
  tablesOf,
  typeIndex,
  type ValueType,
  v128,
  writeModule,
} from "./module.ts";
import { Changed, GrowAnswer, isReserved, MeterExport, meterModule, SliceAnswer } from "./protocol.ts";
import { rewriteCode } from "./rewrite.ts";

/**
 * `fuel`: every instruction is paid for, every cycle asks whether it may go on. `none`: growth and resetting only, for code that is
 * bounded otherwise.
 */
export type MeterMode = "fuel" | "none";

export interface MeterOptions {
  /** Default: `fuel`. */
  mode?: MeterMode;
}

/**
 * Adds interruption and accounting to a module; docs/METERING.md has the algorithm and why it holds.
 *
 * The code charges its instructions to a global before it runs them, and where the global falls below zero asks its host: at least
 * once on every cycle of its control flow and of its calls. Bulk instructions pay by size before they run, and large ones run in
 * chunks. `memory.grow` and `table.grow` go to the host. All that an instance needs to be set back is exported.
 *
 * @throws WasmError `malformed` for code that hangs together badly, `unsupported` for names that begin with `thimble:`.
 */
export function meter(module: Module, options: MeterOptions = {}): Module {
  return new Metering(module, options.mode ?? "fuel", noLimits).run();
}

/**
 * {@link meter} from bytes to bytes, for modules from anywhere.
 *
 * @param options.limits What the module may have at most; default {@link defaultLimits}.
 * @throws WasmError `malformed`, `unsupported` or `limit_exceeded`, with the offset where it is known.
 */
export function meterBytes(
  bytes: Uint8Array,
  { mode = "fuel", limits }: MeterOptions & { limits?: Partial<ModuleLimits> } = {},
): Uint8Array<ArrayBuffer> {
  const bounds = { ...defaultLimits, ...limits };
  const module = readModule(bytes, bounds);
  const metered = new Metering(module, mode, bounds);
  // the passes take a module's indices as they are
  if (!WebAssembly.validate(new Uint8Array(bytes))) {
    throw new WasmError("malformed", "the module is not valid");
  }
  return writeModule(metered.run());
}

/** Instructions after which a table is no longer what it was. */
const tableChanges = new Set<number>([
  Opcode.tableSet,
  Opcode.tableFill,
  Opcode.tableCopy,
  Opcode.tableInit,
  Opcode.tableGrow,
]);

class Metering {
  readonly #module: Module;
  readonly #mode: MeterMode;
  readonly #out: Module;
  readonly #flow: Flow;
  readonly #importedFunctions: number;
  readonly #addedImports: number;
  readonly #memories: Limits[];
  readonly #importedMemories: number;
  readonly #fuel: number;
  readonly #pages: number;
  readonly #changed: number;
  readonly #changesState: boolean;
  readonly #callees: Set<number>[];
  readonly #hints = new Map<number, BranchHints>();
  readonly #helpers = new Map<string, number>();
  readonly #checks: Checks[] = [];
  readonly #charges: Charges[] = [];
  /** What the callers of each function pay for it. */
  readonly #leftToCallers: number[] = [];

  constructor(module: Module, mode: MeterMode, limits: ModuleLimits) {
    refuseReservedNames(module);
    this.#module = module;
    this.#mode = mode;
    this.#flow = new Flow(module, limits);
    this.#out = { ...emptyModule(), ...module, types: [...module.types] };
    this.#importedFunctions = importCount(module, "function");
    this.#memories = memoriesOf(module);
    this.#importedMemories = this.#memories.length - module.memories.length;
    const { ops, callees } = this.#scan();
    this.#callees = callees;
    this.#changesState =
      [...tableChanges].some((op) => ops.has(op)) || ops.has(Opcode.dataDrop) || ops.has(Opcode.elemDrop);

    const importOf = (name: string, params: ValueType[]): Module["imports"][number] => ({
      module: meterModule,
      name,
      kind: "function",
      type: typeIndex(this.#out, { params, results: [i32] }),
    });
    const added = [
      importOf("slice", []),
      importOf("yield", []),
      importOf("grow", [i32, i32]),
      ...(ops.has(Opcode.tableGrow) ? [importOf("growTable", [i32, i32])] : []),
    ];
    this.#addedImports = added.length;
    this.#out.imports = [...module.imports, ...added];

    const counter: Global = { type: i64, mutable: true, init: new Assembler().i64(0n).end().finish() };
    const global = (value: number): Global => ({
      type: i32,
      mutable: true,
      init: new Assembler().i32(value).end().finish(),
    });
    this.#fuel = importCount(module, "global") + module.globals.length;
    this.#pages = this.#fuel + 1;
    this.#changed = this.#pages + module.memories.length;
    this.#out.globals = [
      ...module.globals,
      counter,
      ...module.memories.map(({ min }) => global(min)),
      ...(this.#changesState ? [global(0)] : []),
    ];
  }

  run(): Module {
    const { functions } = this.#module;
    const out = this.#out;
    out.functions = [];
    if (this.#mode === "fuel") this.#plan();
    const own = readBranchHints(this.#module);
    // the helpers' indices follow those of the module's functions, which are written first
    out.functions = functions.map(() => ({ type: 0, locals: [], code: new Uint8Array(0), position: 0 }));
    for (const [index, body] of functions.entries()) {
      this.#flow.read(body);
      out.functions[index] = this.#rewrite(body, index, own.get(this.#importedFunctions + index));
    }
    this.#mapIndices();
    this.#export();
    out.customs = keptSections(this.#module, this.#mapFunction);
    if (this.#hints.size > 0) out.customs.push(branchHints(this.#hints));
    return out;
  }

  /**
   * All instructions that occur, prefixed ones as `prefix << 8 | sub`, and for each function those that it calls. Checks nesting and
   * limits on the way.
   */
  #scan(): { ops: Set<number>; callees: Set<number>[] } {
    const ops = new Set<number>();
    const callees = this.#module.functions.map((body) => {
      const called = new Set<number>();
      const { count, op, index } = this.#flow.read(body);
      for (let at = 0; at < count; at++) {
        const code = op[at]!;
        ops.add(code);
        if (code !== Opcode.call && code !== Opcode.returnCall) continue;
        const own = index[at]! - this.#importedFunctions;
        if (own >= this.#module.functions.length)
          throw new WasmError("malformed", "call of an unknown function");
        if (own >= 0) called.add(own);
      }
      return called;
    });
    return { ops, callees };
  }

  /** Where to ask and what to charge, for all functions. */
  #plan(): void {
    const { functions } = this.#module;
    const plan = new CheckPlan(this.#module, this.#callees, (index) => this.#flow.read(functions[index]!));
    const planOf = (index: number): Charges => {
      const withGrain = (grain: number): Charges =>
        planCharges(this.#flow, (callee) => this.#calleeCost(callee), this.#checks[index]!.cuts, grain);
      const charges = withGrain(chargeGrain);
      if (charges.entry <= maxLeftToCallers || this.#flow.count > maxFine) return charges;
      // a small function with a short way through it leaves that to its callers, and charges only the long ones
      const fine = withGrain(maxLeftToCallers / 2);
      return fine.entry <= maxLeftToCallers ? fine : charges;
    };
    const cut: number[] = [];
    for (const index of plan.order) {
      this.#flow.read(functions[index]!);
      this.#checks[index] = plan.place(this.#flow, index);
      // callees that are not planned yet are called behind a cut, and don't count here
      const charges = planOf(index);
      this.#charges[index] = charges;
      this.#leftToCallers[index] = charges.entry <= maxLeftToCallers ? charges.entry : 0;
      if (plan.cutCallees(index) !== undefined) cut.push(index);
    }
    for (const index of cut) {
      this.#flow.read(functions[index]!);
      this.#charges[index] = planOf(index);
    }
  }

  readonly #mapFunction = (index: number): number =>
    index < this.#importedFunctions ? index : index + this.#addedImports;

  /** What a call costs the caller beyond the instruction: nothing where the callee charges itself. */
  #calleeCost(callee: number): number {
    const index = callee - this.#importedFunctions;
    return index < 0 ? Cost.callAnywhere - Cost.call : (this.#leftToCallers[index] ?? 0);
  }

  /** What a function charges at its entry. */
  #ownCharge(index: number): number {
    return Math.max(0, this.#charges[index]!.entry - this.#leftToCallers[index]!);
  }

  #charge(code: Assembler, units: number): void {
    if (units > 0) code.globalGet(this.#fuel).i64(BigInt(units)).op(Opcode.i64Sub).globalSet(this.#fuel);
  }

  /** Asks the host when the slice has ended. */
  #settle(code: Assembler, hints: BranchHints): void {
    code.globalGet(this.#fuel).i64(0n).op(Opcode.i64LtS);
    this.#unlikelyIf(code, hints);
    code.call(this.#sliceEnd()).end();
  }

  #check(code: Assembler, units: number, hints: BranchHints): void {
    this.#charge(code, Math.max(1, units));
    this.#settle(code, hints);
  }

  /** Adds a turn to what the loop owes; when that has become much, pays and asks the host. */
  #tally(code: Assembler, tally: number, units: number, hints: BranchHints): void {
    code.get(tally).i32(units).op(Opcode.i32Add).tee(tally).i32(maxTally).op(Opcode.i32GeU);
    this.#unlikelyIf(code, hints);
    this.#payTally(code, tally);
    this.#settle(code, hints);
    code.end();
  }

  #payTally(code: Assembler, tally: number): void {
    code.globalGet(this.#fuel).get(tally).op(Opcode.i64ExtendI32U, Opcode.i64Sub).globalSet(this.#fuel);
    code.i32(0).set(tally);
  }

  /** Whether the function has an interpreter's loop. */
  #dispatches(): boolean {
    for (let at = 0; at < this.#flow.count; at++) if (this.#flow.dispatches(at)) return true;
    return false;
  }

  /** Opens a block around a function's body, so that all ways out but `return` lead to its end. */
  #block(code: Assembler, results: ValueType[]): void {
    code.op(Opcode.block);
    if (results.length === 0) code.byte(0x40);
    else if (results.length === 1) code.byte(results[0]!);
    else code.s32(typeIndex(this.#out, { params: [], results }));
  }

  /**
   * Takes a turn from a lease that is paid for in advance, held in a local variable: a store less in each turn. The first turn of an
   * execution takes a lease, and asks the host. An exception that leaves the function leaves the rest of the lease paid.
   */
  #takeFromLease(code: Assembler, lease: number, turn: number, hints: BranchHints): void {
    code.get(lease).i32(turn).op(Opcode.i32Sub).tee(lease).i32(0).op(Opcode.i32LtS);
    this.#unlikelyIf(code, hints);
    this.#charge(code, turn * turnsPerLease);
    code
      .get(lease)
      .i32(turn * turnsPerLease)
      .op(Opcode.i32Add)
      .set(lease);
    this.#settle(code, hints);
    code.end();
  }

  /** Gives back what is left of a lease. */
  #endLease(code: Assembler, lease: number): void {
    code.globalGet(this.#fuel).get(lease).op(Opcode.i64ExtendI32S, Opcode.i64Add).globalSet(this.#fuel);
  }

  /** Before a counted loop: pays for some turns, besides the first, which is paid. The loop that begins here makes them. */
  #portion(code: Assembler, at: number, charges: Charges, turns: number, last: number): void {
    const loop = this.#flow.counted.get(at)!;
    const turn = charges.turns.get(at)!;
    countTurns(code.loop(), loop, turns, Math.max(1, Math.floor(portionFuel / turn)));
    setLast(code, loop, turns, last);
    code.globalGet(this.#fuel).get(turns).i32(1).op(Opcode.i32Sub, Opcode.i64ExtendI32U).i64(BigInt(turn));
    code.op(Opcode.i64Mul, Opcode.i64Sub).globalSet(this.#fuel);
  }

  /** Behind a counted loop: pays for a turn, asks the host and begins again, unless it has come to its end. */
  #nextPortion(code: Assembler, at: number, charges: Charges, hints: BranchHints): void {
    pushCondition(code, this.#flow.counted.get(at)!);
    this.#unlikelyIf(code, hints);
    this.#check(code, charges.turns.get(at)!, hints);
    code.branch(1).end().end();
  }

  #unlikelyIf(code: Assembler, hints: BranchHints): void {
    hints.set(code.length, 0);
    code.if();
  }

  #rewrite(body: FunctionBody, index: number, ownHints: BranchHints | undefined): FunctionBody {
    const flow = this.#flow;
    const charges = this.#charges[index];
    const fuel = this.#mode === "fuel";
    const out = new Assembler();
    const hints: BranchHints = new Map();
    const oldLocals = localsLength(body.locals);
    const locals = body.locals.reduce((sum, [count]) => sum + count, 0);
    const firstScratch = locals + this.#module.types[body.type]!.params.length;
    const scratch: ValueType[] = [];
    const newLocal = (type: ValueType): number => firstScratch + scratch.push(type) - 1;
    /** For values that are used at once, one of each type. */
    const shared = new Map<ValueType, number>();
    const scratchLocal = (type: ValueType): number => {
      const local = shared.get(type) ?? newLocal(type);
      shared.set(type, local);
      return local;
    };
    let tally = -1;
    const tallyLocal = (): number => {
      if (tally < 0) tally = newLocal(i32);
      return tally;
    };
    /** The tight loop that is open. */
    let tight = -1;
    /** For counted loops: the turns of a portion, and the counter's value after them. */
    let [turns, last] = [-1, -1];
    /** What is left of a lease, in functions with an interpreter's loop. */
    const lease = fuel && this.#dispatches() ? newLocal(i32) : -1;
    let copied = 0;
    const copyTo = (position: number): void => {
      if (position > copied) out.raw(body.code.subarray(copied, position));
      copied = position;
    };

    const checks = this.#checks[index];
    if (charges && checks) {
      this.#charge(out, this.#ownCharge(index));
      if (checks.entry) this.#settle(out, hints);
    }
    if (lease >= 0) this.#block(out, this.#module.types[body.type]!.results);
    for (let at = 0; at < flow.count; at++) {
      const op = flow.op[at]!;
      const start = flow.start[at]!;
      const end = flow.start[at + 1]!;
      if (checks?.before.has(at)) {
        copyTo(start);
        this.#charge(out, charges!.before.get(at) ?? 0);
        this.#settle(out, hints);
      }
      const hint = ownHints?.get(oldLocals + start);
      if (hint !== undefined && !(op === Opcode.brIf && flow.counted.has(flow.target[at]!))) {
        copyTo(start);
        hints.set(out.length, hint);
      }
      switch (op) {
        case Opcode.call:
        case Opcode.returnCall:
        case Opcode.refFunc: {
          const callee = flow.index[at]!;
          copyTo(start);
          if (op === Opcode.returnCall && lease >= 0) this.#endLease(out, lease);
          out.byte(op).u32(this.#mapFunction(callee));
          copied = end;
          break;
        }
        case Opcode.returnCallIndirect:
          copyTo(start);
          if (lease >= 0) this.#endLease(out, lease);
          break;
        case Opcode.end:
          if (lease >= 0 && flow.opener[at] === -1) {
            copyTo(end);
            this.#endLease(out, lease);
            out.end();
            break;
          }
          if (fuel && flow.counted.has(flow.opener[at]!)) {
            copyTo(end);
            this.#nextPortion(out, flow.opener[at]!, charges!, hints);
            break;
          }
          if (tight < 0 || flow.opener[at] !== tight) break;
          copyTo(end);
          this.#payTally(out, tallyLocal());
          tight = -1;
          break;
        case Opcode.return:
          copyTo(start);
          if (tight >= 0) this.#payTally(out, tallyLocal());
          if (lease >= 0) this.#endLease(out, lease);
          break;
        case Opcode.loop:
          if (!fuel) break;
          if (flow.loop[at] === LoopKind.counted) {
            copyTo(start);
            if (turns < 0) [turns, last] = [newLocal(i32), newLocal(i32)];
            this.#portion(out, at, charges!, turns, last);
          }
          if (flow.loop[at] === LoopKind.tight && charges!.turns.get(at)! <= maxTallied) tight = at;
          if (flow.loop[at] === LoopKind.header) {
            copyTo(end);
            const turn = charges!.turns.get(at)!;
            if (flow.dispatches(at)) this.#takeFromLease(out, lease, turn, hints);
            else this.#check(out, turn, hints);
          }
          break;
        case Opcode.br:
        case Opcode.brIf: {
          if (!fuel) break;
          const target = flow.target[at]!;
          const counted = flow.counted.get(target);
          if (counted) {
            // the counter's new value is on the stack
            copyTo(flow.start[counted.conditionAt]!);
            out.get(last).op(Opcode.i32Ne).branchIf(0);
            copied = end;
            break;
          }
          const back =
            target >= 0 && flow.op[target] === Opcode.loop && flow.loop[target] !== LoopKind.header;
          const leaves = tight >= 0 && target < tight;
          if (!back && !leaves) break;
          copyTo(start);
          if (op === Opcode.brIf) out.if();
          if (leaves) this.#payTally(out, tallyLocal());
          if (back) {
            const turn = charges!.turns.get(target)!;
            if (target === tight) this.#tally(out, tallyLocal(), turn, hints);
            else this.#check(out, turn, hints);
          }
          if (op === Opcode.brIf) {
            out.branch(flow.index[at]! + 1).end();
            copied = end;
          }
          break;
        }
        case Opcode.memorySize: {
          const memory = flow.index[at]!;
          if (memory < this.#importedMemories) break;
          copyTo(start);
          out.globalGet(this.#pages + memory - this.#importedMemories);
          if (this.#memories[memory]!.index64) out.op(Opcode.i64ExtendI32U);
          copied = end;
          break;
        }
        case Opcode.memoryGrow:
          copyTo(start);
          out.call(this.#growMemory(flow.index[at]!));
          copied = end;
          break;
        case Opcode.tableGrow:
          copyTo(start);
          out.call(this.#growTable(flow.index[at]!));
          copied = end;
          break;
        case Opcode.memoryFill:
        case Opcode.memoryCopy:
        case Opcode.memoryInit:
          if (!fuel || constantSize(flow, at) !== undefined) break;
          copyTo(start);
          this.#bulk(out, op, at, body.code.subarray(start, end), scratchLocal, hints);
          copied = end;
          break;
        case Opcode.tableFill:
        case Opcode.tableCopy:
        case Opcode.tableInit:
          if (!fuel) break;
          copyTo(start);
          this.#chargeTableSize(out, at, scratchLocal, hints);
          break;
      }
      const change = tableChanges.has(op)
        ? Changed.tables
        : op === Opcode.dataDrop || op === Opcode.elemDrop
          ? Changed.segments
          : 0;
      const charge = charges?.after.get(at) ?? 0;
      if (change === 0 && charge === 0) continue;
      copyTo(end);
      if (change > 0) {
        out.globalGet(this.#changed).i32(change).op(Opcode.i32Or).globalSet(this.#changed);
      }
      this.#charge(out, charge);
    }
    copyTo(body.code.length);

    const newLocals: FunctionBody["locals"] = [
      ...body.locals,
      ...scratch.map((type): [number, number] => [1, type]),
    ];
    if (hints.size > 0) {
      const shift = localsLength(newLocals);
      const shifted = new Map([...hints].map(([position, hint]) => [position + shift, hint]));
      this.#hints.set(this.#mapFunction(this.#importedFunctions + index), shifted);
    }
    return { ...body, locals: newLocals, code: out.finish() };
  }

  /** A bulk memory instruction whose size only shows when it runs: charged by it, in chunks when it is large. */
  #bulk(
    out: Assembler,
    op: number,
    at: number,
    instruction: Uint8Array,
    scratchLocal: (type: ValueType) => number,
    hints: BranchHints,
  ): void {
    const first = this.#flow.index[at]!;
    const second = this.#flow.index2[at]!;
    const memory = op === Opcode.memoryInit ? second : first;
    const source = op === Opcode.memoryCopy ? second : memory;
    const operands = bulkOperands(op, this.#indexType(memory), this.#indexType(source));
    const wide = operands[2] === i64;
    const size = scratchLocal(operands[2]);
    out.tee(size).globalGet(this.#fuel).get(size);
    if (wide) out.call(this.#clampSize(maxChargedBytes));
    else out.op(Opcode.i64ExtendI32U);
    out.i64(BigInt(bulkBytesPerFuelLog2)).op(Opcode.i64ShrU, Opcode.i64Sub).globalSet(this.#fuel);
    this.#settle(out, hints);
    out.get(size);
    if (wide) out.i64(BigInt(bulkChunkBytes)).op(Opcode.i64GtU);
    else out.i32(bulkChunkBytes).op(Opcode.i32GtU);
    const type = typeIndex(this.#out, { params: [...operands], results: [] });
    hints.set(out.length, 0);
    out.op(Opcode.if).s32(type);
    const segment = op === Opcode.memoryInit ? this.#module.data[first]!.bytes.length : source;
    const bulk = { code: instruction.slice(), op, operands, memory, source: segment };
    out.call(
      this.#helper(`bulk ${[...instruction].join()}`, { params: operands, results: [] }, () =>
        chunked(bulk, this.#sliceEnd()),
      ),
    );
    out.op(Opcode.else).raw(instruction).end();
  }

  /** A bulk table instruction pays one unit for each entry; the instruction itself follows. */
  #chargeTableSize(
    out: Assembler,
    at: number,
    scratchLocal: (type: ValueType) => number,
    hints: BranchHints,
  ): void {
    const op = this.#flow.op[at]!;
    const tables = tablesOf(this.#module);
    const wide =
      op === Opcode.tableFill
        ? tables[this.#flow.index[at]!]!.index64
        : op === Opcode.tableCopy &&
          tables[this.#flow.index[at]!]!.index64 &&
          tables[this.#flow.index2[at]!]!.index64;
    const size = scratchLocal(wide ? i64 : i32);
    out.tee(size).globalGet(this.#fuel).get(size);
    if (wide) out.call(this.#clampSize(maxChargedEntries));
    else out.op(Opcode.i64ExtendI32U);
    out.op(Opcode.i64Sub).globalSet(this.#fuel);
    this.#settle(out, hints);
  }

  #indexType(memory: number): ValueType {
    return this.#memories[memory]?.index64 ? i64 : i32;
  }

  /** Index of a function that the pass adds, made when it is first needed. */
  #helper(name: string, type: FunctionType, make: () => Omit<FunctionBody, "type">): number {
    const known = this.#helpers.get(name);
    if (known !== undefined) return known;
    const index = this.#importedFunctions + this.#addedImports + this.#out.functions.length;
    this.#helpers.set(name, index);
    const place = this.#out.functions.push({ type: 0, locals: [], code: new Uint8Array(0), position: 0 }) - 1;
    this.#out.functions[place] = { type: typeIndex(this.#out, type), ...make() };
    return index;
  }

  /** Asks the host; traps when it says so, suspends first when it says so. */
  #sliceEnd(): number {
    return this.#helper("slice end", { params: [], results: [] }, () => {
      const slice = this.#importedFunctions;
      const code = new Assembler().call(slice).tee(0).i32(SliceAnswer.yield).op(Opcode.i32Eq);
      code
        .if()
        .call(slice + 1)
        .set(0)
        .end();
      code.get(0).if().op(Opcode.unreachable).end().end();
      return { locals: [[1, i32]], code: code.finish(), position: 0 };
    });
  }

  /** A size that is no larger than the largest that can succeed; a larger one will trap for itself. */
  #clampSize(most: bigint): number {
    return this.#helper(`clamp size to ${most}`, { params: [i64], results: [i64] }, () => {
      const code = new Assembler().get(0).i64(most).get(0).i64(most);
      code.op(Opcode.i64LtU, Opcode.select).end();
      return { locals: [], code: code.finish(), position: 0 };
    });
  }

  /** `memory.grow` by the host's leave: it grows the memory and sets the size that the guest sees, refuses, or says trap. */
  #growMemory(memory: number): number {
    const type = this.#indexType(memory);
    return this.#helper(`grow memory ${memory}`, { params: [type], results: [type] }, () => {
      const code = new Assembler().get(0);
      if (type === i64) code.call(this.#clampSize(maxChargedEntries)).op(Opcode.i32WrapI64);
      code.i32(memory).call(this.#importedFunctions + 2);
      this.#answerGrowth(code, 1);
      code.get(1);
      if (type === i64) code.op(Opcode.i64ExtendI32S);
      return { locals: [[1, i32]], code: code.end().finish(), position: 0 };
    });
  }

  /** `table.grow` by the host's leave. */
  #growTable(table: number): number {
    const { element, index64 } = tablesOf(this.#module)[table]!;
    const type = index64 ? i64 : i32;
    return this.#helper(`grow table ${table}`, { params: [element, type], results: [type] }, () => {
      const code = new Assembler().get(1);
      if (type !== i64) code.op(Opcode.i64ExtendI32U);
      code
        .call(this.#clampSize(maxChargedEntries))
        .op(Opcode.i32WrapI64)
        .i32(table)
        .call(this.#importedFunctions + 3);
      this.#answerGrowth(code, 2);
      code.get(2).op(Opcode.if).byte(type);
      if (type === i64) code.i64(-1n);
      else code.i32(-1);
      code.op(Opcode.else).get(0).get(1).raw([0xfc, 0x0f]).u32(table).end().end();
      return { locals: [[1, i32]], code: code.finish(), position: 0 };
    });
  }

  #answerGrowth(code: Assembler, local: number): void {
    code.tee(local).i32(GrowAnswer.trap).op(Opcode.i32Eq).if().op(Opcode.unreachable).end();
  }

  /** Indices outside the code. */
  #mapIndices(): void {
    const module = this.#module;
    const out = this.#out;
    const mapReferences = (expression: Uint8Array): Uint8Array =>
      rewriteCode(expression, 0, ({ op, index }, code) => {
        if (op !== Opcode.refFunc) return false;
        code.byte(op).u32(this.#mapFunction(index));
        return true;
      });
    out.elements = module.elements.map((segment) => ({
      ...segment,
      offset: mapReferences(segment.offset),
      items:
        "functions" in segment.items
          ? { functions: segment.items.functions.map(this.#mapFunction) }
          : { ...segment.items, expressions: segment.items.expressions.map(mapReferences) },
    }));
    out.globals = out.globals.map((global) => ({ ...global, init: mapReferences(global.init) }));
    // the host can't reach the fuel before the instance exists: it starts the module itself
    delete out.start;
  }

  #export(): void {
    const module = this.#module;
    const out = this.#out;
    const add = (kind: "table" | "memory" | "global" | "function", name: string, index: number): void => {
      out.exports.push({ name, kind, index });
    };
    out.exports = module.exports.map((entry) =>
      entry.kind === "function" ? { ...entry, index: this.#mapFunction(entry.index) } : entry,
    );
    if (module.start !== undefined) add("function", MeterExport.start, this.#mapFunction(module.start));
    if (this.#mode === "fuel") add("global", MeterExport.fuel, this.#fuel);
    module.memories.forEach((_, i) => {
      const index = this.#importedMemories + i;
      add("global", `${MeterExport.pages}${index}`, this.#pages + i);
      add("memory", `${MeterExport.memory}${index}`, index);
    });
    if (this.#changesState) add("global", MeterExport.changed, this.#changed);
    const importedTables = importCount(module, "table");
    module.tables.forEach((_, i) => {
      add("table", `${MeterExport.table}${importedTables + i}`, importedTables + i);
    });
    const opaque: number[] = [];
    const importedGlobals = importCount(module, "global");
    module.globals.forEach(({ mutable, type }, i) => {
      if (!mutable) return;
      const readable = type !== v128 && type !== exnref;
      if (readable) add("global", `${MeterExport.global}${importedGlobals + i}`, importedGlobals + i);
      // the bits of a NaN don't survive JavaScript
      if (!readable || type === f32 || type === f64) opaque.push(i);
    });
    if (opaque.length === 0) return;
    const save = new Assembler();
    const restore = new Assembler();
    for (const i of opaque) {
      const shadow = importedGlobals + out.globals.push(module.globals[i]!) - 1;
      save.globalGet(importedGlobals + i).globalSet(shadow);
      restore.globalGet(shadow).globalSet(importedGlobals + i);
    }
    for (const [name, code] of [
      [MeterExport.save, save],
      [MeterExport.restore, restore],
    ] as const) {
      const body = { locals: [], code: code.end().finish(), position: 0 };
      add(
        "function",
        name,
        this.#helper(name, { params: [], results: [] }, () => body),
      );
    }
  }
}

/** Turns of an interpreter's loop that are paid for at once. */
const turnsPerLease = 16;

/** Instructions up to which a function is small. */
const maxFine = 200;

/** No memory is larger than 16 GiB. */
const maxChargedBytes = 1n << 34n;

/** No table has more entries, and no memory more pages. */
const maxChargedEntries = 1n << 30n;

/** Turns of a loop that cost no more than this are tallied in a local variable; a longer turn hides what its charge costs. */
const maxTallied = 64;

/** Names by which host and metered code know each other may not come from the module itself. */
function refuseReservedNames({ imports, exports }: Module): void {
  const refuse = (name: string): never => {
    throw new WasmError("unsupported", `the name ${name} is reserved for metering`);
  };
  for (const entry of imports) if (entry.module === meterModule) refuse(meterModule);
  for (const { name } of exports) if (isReserved(name)) refuse(name);
}
