import { cutCycles, cyclicComponents } from "./call-graph.ts";
import { Cost, costOf } from "./costs.ts";
import { portionFuel } from "./counted-loops.ts";
import { type Flow, LoopKind } from "./flow.ts";
import { follow } from "./follow.ts";
import { Opcode } from "./instructions.ts";

/** Where a function asks its host, besides its loops. */
export interface Checks {
  /** At its entry. */
  entry: boolean;
  /** Before these instructions. */
  before: Set<number>;
  /** Those of them before which a cycle of direct calls is cut. */
  cuts: Set<number>;
}

/**
 * What may be run, in units of fuel, on any way through one function, and the functions that it calls directly, between two checks.
 * It is time by which a deadline can be missed.
 */
const maxUnchecked = 128 * 1024;

/** A function that may run longer than this has a check at its entry. */
const maxUncheckedCall = 24 * 1024;

/**
 * What may be run behind a call that can be part of a cycle until the next check or until the function is left. So much may pass
 * once for each frame on the stack when a deep recursion returns.
 */
const maxUncheckedReturn = 4 * 1024;

/** What a call that may reach any function counts for: most are short. */
const nominal = 256;

/** What a tight loop owes at most before it asks: a trap in it leaves so much unpaid. */
export const maxTally = 1024;

/** What may be run in a loop before it asks, by its kind. */
const owed: Record<number, number> = { [LoopKind.tight]: maxTally, [LoopKind.counted]: portionFuel };

/** How often a loop is expected to turn: anything that tells inside from outside will do. */
const expectedTurns = 8;

/**
 * Places checks so that every cycle of calls passes one, and no way through the module is long without one.
 *
 * A function is taken out of the call graph by a check on every way from its entry to the calls that lead on along the
 * cycle: at the entry, or, where most executions do not come that far, before those calls. Calls that may reach any function,
 * through a table or the host, always count as such; which functions are taken out of the cycles of direct calls, that is
 * {@link cutCycles}.
 */
export class CheckPlan {
  readonly #imported: number;
  readonly #callees: readonly ReadonlySet<number>[];
  readonly #cut: Map<number, Set<number>>;
  /** Fuel that a call may run without a check; infinite when there is one at the entry. */
  readonly #length: number[] = [];
  /** All functions, without imports; callees before callers except where a cycle is cut. */
  readonly order: number[];

  /** @param callees For each function, without imports, the others that it calls directly. */
  constructor(flow: Flow, imported: number, callees: readonly ReadonlySet<number>[]) {
    this.#imported = imported;
    this.#callees = callees;
    const costs = new Map<number, number>();
    for (const component of cyclicComponents(callees)) {
      const members = new Set(component);
      for (const index of component) costs.set(index, this.#expectedChecks(flow.select(index), members));
    }
    this.#cut = cutCycles(callees, (index) => Math.min(1, costs.get(index)!) + 0.1);
    this.order = this.#calleesFirst();
  }

  /** The callees, without imports, before whose call a function must have passed a check. */
  cutCallees(index: number): ReadonlySet<number> | undefined {
    return this.#cut.get(index);
  }

  /** The checks of one function; to be asked for in {@link order}. */
  place(flow: Flow, index: number): Checks {
    const cut = this.#cut.get(index);
    const checks: Checks = {
      entry: this.#expectedChecks(flow, cut) >= 1,
      before: new Set(),
      cuts: new Set(),
    };
    if (!checks.entry) this.#cover(flow, cut, checks);
    // the host charges for its calls, so each comes after a look at what is left
    for (let at = flow.first; at < flow.last; at++) if (this.#callsHost(flow, at)) checks.before.add(at);
    this.#boundReturn(flow, checks.before, cut);
    const length = this.#bound(flow, checks.before, maxUnchecked);
    const long = length > maxUncheckedCall;
    if (long) {
      checks.entry = true;
      this.#bound(flow, checks.before, maxUncheckedReturn);
    }
    this.#length[index] = long ? Number.POSITIVE_INFINITY : length;
    return checks;
  }

  #callsHost(flow: Flow, at: number): boolean {
    const op = flow.op[at];
    return (op === Opcode.call || op === Opcode.returnCall) && flow.index[at]! < this.#imported;
  }

  /** Whether an instruction calls what may only be called after a check. */
  #needsCheck(flow: Flow, at: number, cut: ReadonlySet<number> | undefined): boolean {
    switch (flow.op[at]) {
      case Opcode.call:
      case Opcode.returnCall: {
        const callee = flow.index[at]! - this.#imported;
        return callee < 0 || (cut?.has(callee) ?? false);
      }
      case Opcode.callIndirect:
      case Opcode.returnCallIndirect:
        return true;
      default:
        return false;
    }
  }

  /**
   * How many checks one execution is expected to make if they stand before the calls, both ways of a branch being as likely (after Wu and
   * Larus, Static branch frequency and program profile analysis, MICRO 1994, without their heuristics).
   */
  #expectedChecks(flow: Flow, cut: ReadonlySet<number> | undefined): number {
    let expected = 0;
    let turns = 1;
    follow(flow, {
      entry: 1,
      join: (one, other) => Math.min(1, one + other),
      part: (share, leavesLoop) => (leavesLoop ? share : share / 2),
      caught: () => 0,
      pass: (at, share) => {
        const op = flow.op[at]!;
        if (op === Opcode.loop) {
          turns *= expectedTurns;
          if (flow.loop[at] === LoopKind.header) return 0;
        } else if (op === Opcode.end && flow.closesLoop(at)) turns /= expectedTurns;
        else if (this.#needsCheck(flow, at, cut)) {
          expected += share * turns;
          return 0;
        }
        return share;
      },
    });
    return expected;
  }

  /** Depth first along the calls that are not cut: no cycle is left there. */
  #calleesFirst(): number[] {
    const order: number[] = [];
    const seen = new Uint8Array(this.#callees.length);
    for (const root of this.#callees.keys()) {
      if (seen[root] === 1) continue;
      seen[root] = 1;
      const open = [{ index: root, left: this.#callees[root]!.keys() }];
      while (open.length > 0) {
        const { index, left } = open[open.length - 1]!;
        const { done, value: callee } = left.next();
        if (done) {
          order.push(index);
          open.pop();
        } else if (seen[callee] === 0 && !this.#cut.get(index)?.has(callee)) {
          seen[callee] = 1;
          open.push({ index: callee, left: this.#callees[callee]!.keys() });
        }
      }
    }
    return order;
  }

  /** Puts a check on every way to a call that needs one. */
  #cover(flow: Flow, cut: ReadonlySet<number> | undefined, { before, cuts }: Checks): void {
    const [checked, unchecked] = [1, 2];
    follow(flow, {
      entry: unchecked,
      join: Math.max,
      pass: (at, state) => {
        if (flow.op[at] === Opcode.loop && flow.loop[at] === LoopKind.header) return checked;
        if (state !== unchecked || !this.#needsCheck(flow, at, cut)) return state;
        before.add(at);
        if (cut !== undefined) cuts.add(at);
        return checked;
      },
    });
  }

  /**
   * Puts checks where too much would pass without one.
   *
   * @param atLeaving Most that may have passed since the last check when the function is left.
   * @returns The most that passes between two checks, or the entry, or the exit.
   */
  #bound(flow: Flow, before: Set<number>, atLeaving: number): number {
    let most = 0;
    follow(flow, {
      // not 0, which stands for code that no way leads to
      entry: 1,
      join: Math.max,
      caught: () => maxUnchecked,
      pass: (at, passed) => {
        if (passed === 0) return 0;
        const op = flow.op[at]!;
        const limit = flow.leaves(at) ? atLeaving : maxUnchecked;
        const { cost, checks } = this.#passing(flow, at);
        let sum = before.has(at) ? 1 : passed + flow.plain[at]!;
        if (sum > 1 && sum + cost > limit) {
          before.add(at);
          sum = 1;
        }
        if (op === Opcode.loop && flow.loop[at] === LoopKind.header) sum = 1;
        most = Math.max(most, sum + cost);
        return checks ? maxUncheckedReturn : sum + cost;
      },
    });
    return most;
  }

  /** Puts checks where too much would pass on the way back from a recursion. */
  #boundReturn(flow: Flow, before: Set<number>, cut: ReadonlySet<number> | undefined): void {
    follow(flow, {
      // nothing to be counted before the first call that can be part of a cycle
      entry: 0,
      join: Math.max,
      caught: () => maxUncheckedReturn,
      pass: (at, passed) => {
        const again = this.#needsCheck(flow, at, cut);
        if (passed === 0 && !again) return 0;
        const passing = this.#passing(flow, at);
        const cost = again ? nominal : passing.cost;
        const sum = passed === 0 ? 1 : passed + flow.plain[at]!;
        // a check helps only behind a call that is too long for itself
        const tooMuch =
          sum > maxUncheckedReturn || (cost <= maxUncheckedReturn && sum + cost > maxUncheckedReturn);
        if (sum > 1 && tooMuch) before.add(at);
        const header = flow.op[at] === Opcode.loop && flow.loop[at] === LoopKind.header;
        return (passing.checks || before.has(at) || header ? 1 : sum) + cost;
      },
    });
  }

  /** The most that one instruction runs without a check, and whether what it calls checks first. */
  #passing(flow: Flow, at: number): { cost: number; checks: boolean } {
    const op = flow.op[at]!;
    switch (op) {
      case Opcode.call:
      case Opcode.returnCall: {
        const length = this.#length[flow.index[at]! - this.#imported] ?? nominal;
        const checks = length > maxUncheckedCall;
        return { cost: Cost.call + (checks ? 0 : length), checks };
      }
      case Opcode.callIndirect:
      case Opcode.returnCallIndirect:
        return { cost: Cost.call + nominal, checks: false };
      case Opcode.loop:
        return { cost: owed[flow.loop[at]!] ?? 0, checks: false };
      default:
        return { cost: costOf(op), checks: false };
    }
  }
}
