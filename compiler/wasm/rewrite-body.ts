import { bulkChunkBytes, bulkOperands } from "./bulk.ts";
import { ByteStore } from "./bytes.ts";
import { bulkBytesPerFuelLog2 } from "./costs.ts";
import { type BranchHints, BranchHintWriter } from "./custom-sections.ts";
import { type Flow, LoopKind } from "./flow.ts";
import type { Helpers } from "./helpers.ts";
import { Opcode } from "./instructions.ts";
import { type Layout, tableChanges } from "./layout.ts";
import { LocalVariables } from "./local-variables.ts";
import { MeteredCode } from "./metered-code.ts";
import {
  type CustomSection,
  type FunctionBody,
  i32,
  i64,
  localsLength,
  typeIndex,
  type ValueType,
} from "./module.ts";
import type { FunctionPlan } from "./plan.ts";
import { Changed } from "./protocol.ts";

/** Rewrites the bodies of a module's functions, one after the other. */
export class BodyRewriter {
  readonly #layout: Layout;
  readonly #flow: Flow;
  readonly #helpers: Helpers;
  readonly #out: MeteredCode;
  readonly #store = new ByteStore();
  readonly #hints = new BranchHintWriter();
  // the function that is being rewritten
  #code: Uint8Array = new Uint8Array(0);
  #plan: FunctionPlan | undefined;
  #locals = new LocalVariables([], 0);
  /** Bytes of its code that are written, or replaced. */
  #copied = 0;
  /** It has an interpreter's loop, whose leases are long: it gives back the rest when it returns. */
  #interprets = false;

  constructor(layout: Layout, flow: Flow, helpers: Helpers) {
    this.#layout = layout;
    this.#flow = flow;
    this.#helpers = helpers;
    this.#out = new MeteredCode(layout.fuel, helpers);
  }

  /**
   * @param index The function's number, without imports.
   * @param plan What to ask and to charge; nothing when undefined.
   * @param ownHints Hints that the module has itself, by their position behind the beginning of the function's locals.
   */
  rewrite(index: number, plan: FunctionPlan | undefined, ownHints: BranchHints | undefined): FunctionBody {
    const body = this.#layout.module.functions[index]!;
    const type = this.#layout.module.types[body.type]!;
    const flow = this.#flow.select(index);
    const out = this.#out;
    out.clear();
    this.#code = body.code;
    this.#plan = plan;
    this.#locals = new LocalVariables(body.locals, type.params.length);
    this.#copied = 0;
    this.#interprets = plan !== undefined && flow.interprets;
    const shiftBefore = localsLength(body.locals);

    if (plan) {
      const units = Math.max(0, plan.charges.entry - plan.leftToCallers);
      if (this.#interprets) out.openLease(this.#locals.lease(), plan.leases.fuel, units);
      else out.charge(units);
      if (plan.checks.entry) out.settle();
    }
    if (this.#interprets) this.#block(type.results);
    for (let at = flow.first; at < flow.last; at++) {
      if (plan?.checks.before.has(at)) {
        this.#copyTo(flow.start[at]!);
        out.charge(plan.charges.before.get(at) ?? 0);
        out.settle();
      }
      const hint = ownHints?.get(shiftBefore + flow.start[at]!);
      if (hint !== undefined && !(flow.op[at] === Opcode.brIf && flow.counted.has(flow.opener[at]!))) {
        this.#copyTo(flow.start[at]!);
        out.hints.set(out.length, hint);
      }
      this.#instruction(at);
      this.#behind(at);
    }
    this.#copyTo(body.code.length);

    const locals = this.#locals.declaration();
    this.#hints.add(
      this.#layout.mapFunction(this.#layout.importedFunctions + index),
      out.hints,
      localsLength(locals),
    );
    return { ...body, locals, code: this.#store.keep(out.view()) };
  }

  /** The section with the hints for all functions that were rewritten. */
  hintSections(): CustomSection[] {
    return this.#hints.sections();
  }

  #copyTo(position: number): void {
    if (position > this.#copied) this.#out.raw(this.#code.subarray(this.#copied, position));
    this.#copied = position;
  }

  /** What is written next stands in place of a point. */
  #replace(at: number): MeteredCode {
    this.#copyTo(this.#flow.start[at]!);
    this.#copied = this.#flow.stop[at]!;
    return this.#out;
  }

  #copyBefore(at: number): MeteredCode {
    this.#copyTo(this.#flow.start[at]!);
    return this.#out;
  }

  #copyThrough(at: number): MeteredCode {
    this.#copyTo(this.#flow.stop[at]!);
    return this.#out;
  }

  /** Opens a block around a function's body, so that all ways out but `return` lead to its end. */
  #block(results: ValueType[]): void {
    const out = this.#out.op(Opcode.block);
    if (results.length === 0) out.byte(0x40);
    else if (results.length === 1) out.byte(results[0]!);
    else out.s32(typeIndex(this.#layout.out, { params: [], results }));
  }

  /** Writes what a point becomes; nothing is written of those that stay what they are. */
  #instruction(at: number): void {
    const index = this.#flow.index[at]!;
    switch (this.#flow.op[at]) {
      case Opcode.returnCall:
        this.#endLease(at);
        this.#replace(at).op(Opcode.returnCall).u32(this.#layout.mapFunction(index));
        break;
      case Opcode.call:
      case Opcode.refFunc:
        this.#replace(at).op(this.#flow.op[at]!).u32(this.#layout.mapFunction(index));
        break;
      case Opcode.returnCallIndirect:
        this.#endLease(at);
        break;
      case Opcode.return:
        this.#endLease(at);
        break;
      case Opcode.loop:
        if (this.#plan) this.#loop(at, this.#plan);
        break;
      case Opcode.end:
        if (this.#plan) this.#end(at, this.#plan);
        break;
      case Opcode.br:
      case Opcode.brIf:
        if (this.#plan) this.#branch(at, this.#plan);
        break;
      case Opcode.memorySize: {
        const own = index - this.#layout.importedMemories;
        if (own < 0) break;
        const out = this.#replace(at).globalGet(this.#layout.pages + own);
        if (this.#layout.indexType(index) === i64) out.op(Opcode.i64ExtendI32U);
        break;
      }
      case Opcode.memoryGrow:
        this.#replace(at).call(this.#helpers.growMemory(index));
        break;
      case Opcode.tableGrow:
        this.#replace(at).call(this.#helpers.growTable(index));
        break;
      case Opcode.memoryFill:
      case Opcode.memoryCopy:
      case Opcode.memoryInit:
        if (this.#plan && !this.#flow.size.has(at)) this.#bulk(at);
        break;
      case Opcode.tableFill:
      case Opcode.tableCopy:
      case Opcode.tableInit:
        if (this.#plan) this.#chargeEntries(at);
        break;
    }
  }

  /** What follows a point: the flags for what it changes, and the charge of the code behind it. */
  #behind(at: number): void {
    const op = this.#flow.op[at]!;
    const change = tableChanges.has(op)
      ? Changed.tables
      : op === Opcode.dataDrop || op === Opcode.elemDrop
        ? Changed.segments
        : 0;
    if (change > 0) {
      const changed = this.#layout.changed!;
      this.#copyThrough(at).globalGet(changed).i32(change).op(Opcode.i32Or).globalSet(changed);
    }
    const charge = this.#plan?.charges.after.get(at) ?? 0;
    if (charge > 0) this.#copyThrough(at).charge(charge);
  }

  #endLease(at: number): void {
    if (this.#interprets) this.#copyBefore(at).endLease(this.#locals.lease());
  }

  #loop(at: number, plan: FunctionPlan): void {
    const flow = this.#flow;
    if (flow.loop[at] === LoopKind.counted) {
      const { turns, last } = this.#locals.portion();
      const turn = plan.charges.turns.get(at)!;
      this.#copyBefore(at).portion(flow.counted.get(at)!, turn, turns, last);
    } else if (flow.loop[at] === LoopKind.header) {
      this.#copyThrough(at);
      this.#turn(at, plan);
    }
  }

  /** Pays for a turn of a loop, and asks the host or makes sure that it will be asked soon. */
  #turn(loop: number, { charges, leases }: FunctionPlan): void {
    const turn = charges.turns.get(loop)!;
    if (!leases.loops.has(loop)) this.#out.check(turn);
    else if (this.#interprets) this.#out.takeLong(this.#locals.lease(), leases.fuel, turn);
    else this.#out.take(this.#locals.lease(), turn);
  }

  #end(at: number, { charges }: FunctionPlan): void {
    const opener = this.#flow.opener[at]!;
    const counted = this.#flow.counted.get(opener);
    if (counted) this.#copyThrough(at).nextPortion(counted, charges.turns.get(opener)!);
    if (opener >= 0 || !this.#interprets) return;
    // the end of the block around the body
    this.#copyThrough(at).endLease(this.#locals.lease());
    this.#out.end();
  }

  #branch(at: number, plan: FunctionPlan): void {
    const flow = this.#flow;
    const target = flow.opener[at]!;
    if (flow.counted.has(target)) {
      // the counter's new value is on the stack
      this.#replace(at).get(this.#locals.portion().last).op(Opcode.i32Ne).branchIf(0);
      return;
    }
    if (target < 0 || flow.op[target] !== Opcode.loop || flow.loop[target] === LoopKind.header) return;
    if (flow.op[at] === Opcode.br) {
      this.#copyBefore(at);
      this.#turn(target, plan);
    } else {
      this.#replace(at).if();
      this.#turn(target, plan);
      this.#out.branch(flow.index[at]! + 1).end();
    }
  }

  /** A bulk memory instruction whose size only shows when it runs: charged by it, in chunks when it is large. */
  #bulk(at: number): void {
    const op = this.#flow.op[at]!;
    const first = this.#flow.index[at]!;
    const second = this.#flow.index2[at]!;
    const layout = this.#layout;
    const memory = op === Opcode.memoryInit ? second : first;
    const source = op === Opcode.memoryCopy ? second : memory;
    const operands = bulkOperands(op, layout.indexType(memory), layout.indexType(source));
    const wide = operands[2] === i64;
    const size = this.#locals.scratch(operands[2]);
    const code = this.#code.subarray(this.#flow.start[at]!, this.#flow.stop[at]!);
    const out = this.#replace(at);
    out.tee(size).chargeBy(() => {
      this.#pushSize(size, wide, () => this.#helpers.clampBytes());
      out.i64(BigInt(bulkBytesPerFuelLog2)).op(Opcode.i64ShrU);
    });
    out.settle();
    out.get(size);
    if (wide) out.i64(BigInt(bulkChunkBytes)).op(Opcode.i64GtU);
    else out.i32(bulkChunkBytes).op(Opcode.i32GtU);
    out.unlikelyIf(typeIndex(layout.out, { params: [...operands], results: [] }));
    const length = op === Opcode.memoryInit ? layout.module.data[first]!.bytes.length : source;
    out.call(this.#helpers.chunked({ code, op, operands, memory, source: length }));
    out.op(Opcode.else).raw(code).end();
  }

  /** A bulk table instruction pays one unit for each entry before it runs. */
  #chargeEntries(at: number): void {
    const wideTable = (table: number): boolean => this.#layout.tables[table]!.index64 === true;
    const op = this.#flow.op[at]!;
    const first = this.#flow.index[at]!;
    const wide =
      op === Opcode.tableFill
        ? wideTable(first)
        : op === Opcode.tableCopy && wideTable(first) && wideTable(this.#flow.index2[at]!);
    const size = this.#locals.scratch(wide ? i64 : i32);
    const out = this.#copyBefore(at);
    out.tee(size).chargeBy(() => this.#pushSize(size, wide, () => this.#helpers.clampEntries()));
    out.settle();
  }

  #pushSize(size: number, wide: boolean, clamp: () => number): void {
    this.#out.get(size);
    if (wide) this.#out.call(clamp());
    else this.#out.op(Opcode.i64ExtendI32U);
  }
}
