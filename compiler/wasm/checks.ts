import { cutCycles, cyclicComponents } from "./call-graph.ts";
import { Cost, costOf } from "./costs.ts";
import { portionFuel } from "./counted-loops.ts";
import { type Flow, LoopKind } from "./flow.ts";
import { follow } from "./follow.ts";
import { Opcode } from "./instructions.ts";
import { leaseCandidates, leaseFuel, maxBesides } from "./leases.ts";

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

/** A function that may run longer than this before its first check has one at its entry. */
const maxHead = 24 * 1024;

/** What may have been run since the last check when a function is left. */
const maxTail = 24 * 1024;

/**
 * What may be run behind a call that can be part of a cycle until the next check or until the function is left. So much may pass
 * once for each frame on the stack when a deep recursion returns.
 */
const maxUncheckedReturn = 4 * 1024;

/** What a call that may reach any function counts for: most are short. */
const nominal = 256;

/** What a call runs without a check. */
interface Length {
  /** From the entry to the first check, or the end. */
  head: number;
  /** From the entry to the end, where there is a way without a check; else 0. */
  through: number;
  /** From the last check, or the entry, to the end; 0 where it does not return. */
  tail: number;
}

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
  readonly #lengths: Length[] = [];
  /** Of the function whose checks are placed: loops that may not ask in each turn. */
  #leased: ReadonlySet<number> = new Set();
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
    const { interprets } = flow;
    this.#leased = interprets ? new Set() : leaseCandidates(flow, (at) => this.unchecked(flow, at));
    const checks: Checks = {
      // an interpreter pays for its first lease there
      entry: interprets || this.#expectedChecks(flow, cut) >= 1,
      before: new Set(),
      cuts: new Set(),
    };
    if (!checks.entry) this.#cover(flow, cut, checks);
    // the host charges for its calls, so each comes after a look at what is left
    for (let at = flow.first; at < flow.last; at++) if (this.#callsHost(flow, at)) checks.before.add(at);
    this.#boundReturn(flow, checks.before, cut);
    const tail = this.#bound(flow, checks.before);
    const { head, through } = this.#beforeCheck(flow, checks.before);
    if (head > maxHead) checks.entry = true;
    this.#lengths[index] = checks.entry ? { head: 0, through: 0, tail } : { head, through, tail };
    return checks;
  }

  /** What a point runs of other functions without a check. */
  unchecked(flow: Flow, at: number): number {
    return this.#passing(flow, at).length.through;
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
        if (headsLoop(flow, at)) return checked;
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
   * @returns The most that passes between the last check, or the entry, and the exit.
   */
  #bound(flow: Flow, before: Set<number>): number {
    let tail = 0;
    follow(flow, {
      // not 0, which stands for code that no way leads to
      entry: 1,
      join: Math.max,
      caught: () => maxUnchecked,
      pass: (at, passed) => {
        if (passed === 0) return 0;
        const leaves = flow.leaves(at);
        const { cost, length } = this.#passing(flow, at);
        let sum = before.has(at) ? 1 : passed + flow.plain[at]!;
        if (sum > 1 && sum + cost + length.head > (leaves ? maxTail : maxUnchecked)) {
          before.add(at);
          sum = 1;
        }
        if (headsLoop(flow, at)) sum = 1;
        sum = Math.max(passesCheck(length) ? 0 : sum + cost + length.through, length.tail);
        if (leaves) tail = Math.max(tail, sum);
        return sum;
      },
    });
    return tail;
  }

  /** What passes from the entry to the first check. */
  #beforeCheck(flow: Flow, before: ReadonlySet<number>): Pick<Length, "head" | "through"> {
    let [head, through] = [0, 0];
    follow(flow, {
      entry: 1,
      join: Math.max,
      // there is a check behind the handler
      caught: () => 0,
      pass: (at, passed) => {
        if (passed === 0) return 0;
        const { cost, length } = this.#passing(flow, at);
        const sum = passed + flow.plain[at]!;
        head = Math.max(head, sum);
        if (before.has(at) || headsLoop(flow, at)) return 0;
        head = Math.max(head, sum + cost + length.head);
        if (passesCheck(length)) return 0;
        if (flow.leaves(at)) through = Math.max(through, sum + cost + length.through);
        return sum + cost + length.through;
      },
    });
    return { head, through };
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
        const cost = again ? nominal : passing.cost + passing.length.through;
        const sum = passed === 0 ? 1 : passed + flow.plain[at]!;
        // a check helps only behind a call that is too long for itself
        const tooMuch =
          sum > maxUncheckedReturn || (cost <= maxUncheckedReturn && sum + cost > maxUncheckedReturn);
        if (sum > 1 && tooMuch) before.add(at);
        const checked = before.has(at) || headsLoop(flow, at) || passesCheck(passing.length);
        return (checked ? 1 : sum) + cost;
      },
    });
  }

  /** What may be run in a loop before it asks. */
  #owed(flow: Flow, loop: number): number {
    if (flow.loop[loop] === LoopKind.counted) return portionFuel;
    return this.#leased.has(loop) ? leaseFuel + maxBesides : 0;
  }

  /** What a point costs, and what it calls runs without a check. */
  #passing(flow: Flow, at: number): { cost: number; length: Length } {
    const op = flow.op[at]!;
    switch (op) {
      case Opcode.call:
      case Opcode.returnCall:
        return { cost: Cost.call, length: this.#lengths[flow.index[at]! - this.#imported] ?? anyLength };
      case Opcode.callIndirect:
      case Opcode.returnCallIndirect:
        return { cost: Cost.call, length: anyLength };
      case Opcode.loop:
        return { cost: this.#owed(flow, at), length: noLength };
      default:
        return { cost: costOf(op), length: noLength };
    }
  }
}

const noLength: Length = { head: 0, through: 0, tail: 0 };

/** What a call that may reach any function counts for: most are short. */
const anyLength: Length = { head: nominal, through: nominal, tail: nominal };

/** Whether all ways through a call pass a check. */
const passesCheck = ({ through, tail }: Length): boolean => through === 0 && tail > 0;

/** Whether a point begins a loop that asks at its header. */
const headsLoop = (flow: Flow, at: number): boolean =>
  flow.op[at] === Opcode.loop && flow.loop[at] === LoopKind.header;
