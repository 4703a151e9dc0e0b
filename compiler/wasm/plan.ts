import { type Charges, planCharges } from "./charges.ts";
import { CheckPlan, type Checks } from "./checks.ts";
import { Cost, chargeGrain, maxLeftToCallers } from "./costs.ts";
import { WasmError } from "./errors.ts";
import type { Flow } from "./flow.ts";
import { Opcode } from "./instructions.ts";
import { type Leases, planLeases } from "./leases.ts";
import { importCount, type Module } from "./module.ts";

/** What a function asks and charges, and where. */
export interface FunctionPlan {
  checks: Checks;
  charges: Charges;
  leases: Leases;
  /** What its callers pay for it, from its entry on. */
  leftToCallers: number;
}

/** Bytes of code up to which a function is small. */
const maxSmall = 512;

/**
 * Where to ask and what to charge, for all functions of a module: told one after the other, callees before callers for the most part, so
 * that the plans need not all be kept.
 */
export function planModule(
  module: Module,
  flow: Flow,
  tell: (index: number, plan: FunctionPlan) => void,
): void {
  const { functions } = module;
  const imported = importCount(module, "function");
  /** What callers pay for a function; none where it is not planned yet: its calls stand behind a cut, and don't count there. */
  const leftToCallers: number[] = new Array(functions.length).fill(0);
  const order = new CheckPlan(flow, imported, calleesOf(flow, functions.length, imported));
  /** What a call costs the caller beyond the instruction: nothing where the callee charges itself. */
  const calleeCost = (callee: number): number =>
    callee < imported ? Cost.callAnywhere - Cost.call : leftToCallers[callee - imported]!;
  const chargesOf = (index: number, { cuts }: Checks): Charges => {
    flow.select(index);
    const charges = planCharges(flow, calleeCost, cuts, chargeGrain);
    if (charges.entry <= maxLeftToCallers || functions[index]!.code.length > maxSmall) return charges;
    // a small function with a short way through it leaves that to its callers, and charges only the long ones
    const fine = planCharges(flow, calleeCost, cuts, maxLeftToCallers / 2);
    return fine.entry <= maxLeftToCallers ? fine : charges;
  };
  const planOf = (index: number, checks: Checks, charges: Charges): FunctionPlan => ({
    checks,
    charges,
    leases: planLeases(flow.select(index), charges, (at) => order.unchecked(flow, at)),
    leftToCallers: leftToCallers[index]!,
  });
  const cut = new Map<number, Checks>();
  for (const index of order.order) {
    const checks = order.place(flow.select(index), index);
    const charges = chargesOf(index, checks);
    if (charges.entry <= maxLeftToCallers) leftToCallers[index] = charges.entry;
    if (order.cutCallees(index) === undefined) tell(index, planOf(index, checks, charges));
    else cut.set(index, checks);
  }
  // those that call what was not planned before them
  for (const [index, checks] of cut) tell(index, planOf(index, checks, chargesOf(index, checks)));
}

/** For each function, without imports, those that it calls directly. */
function calleesOf(flow: Flow, functions: number, imported: number): Set<number>[] {
  return Array.from({ length: functions }, (_, index) => {
    const called = new Set<number>();
    flow.select(index);
    for (let at = flow.first; at < flow.last; at++) {
      const op = flow.op[at];
      if (op !== Opcode.call && op !== Opcode.returnCall) continue;
      const callee = flow.index[at]! - imported;
      if (callee >= functions) throw new WasmError("malformed", "call of an unknown function");
      if (callee >= 0) called.add(callee);
    }
    return called;
  });
}
