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

/** Where to ask and what to charge, for all functions of a module. */
export function planModule(module: Module, flow: Flow): FunctionPlan[] {
  const { functions } = module;
  const imported = importCount(module, "function");
  const plans: FunctionPlan[] = new Array(functions.length);
  const order = new CheckPlan(flow, imported, calleesOf(flow, functions.length, imported));
  /** What a call costs the caller beyond the instruction: nothing where the callee charges itself. */
  const calleeCost = (callee: number): number => {
    const index = callee - imported;
    // callees that are not planned yet are called behind a cut, and don't count here
    return index < 0 ? Cost.callAnywhere - Cost.call : (plans[index]?.leftToCallers ?? 0);
  };
  const chargesOf = (index: number, { cuts }: Checks): Charges => {
    flow.select(index);
    const charges = planCharges(flow, calleeCost, cuts, chargeGrain);
    if (charges.entry <= maxLeftToCallers || functions[index]!.code.length > maxSmall) return charges;
    // a small function with a short way through it leaves that to its callers, and charges only the long ones
    const fine = planCharges(flow, calleeCost, cuts, maxLeftToCallers / 2);
    return fine.entry <= maxLeftToCallers ? fine : charges;
  };
  const cut: number[] = [];
  for (const index of order.order) {
    const checks = order.place(flow.select(index), index);
    const charges = chargesOf(index, checks);
    const leftToCallers = charges.entry <= maxLeftToCallers ? charges.entry : 0;
    const leases = planLeases(flow.select(index), charges, (at) => order.unchecked(flow, at));
    plans[index] = { checks, charges, leases, leftToCallers };
    if (order.cutCallees(index) !== undefined) cut.push(index);
  }
  for (const index of cut) {
    const plan = plans[index]!;
    plan.charges = chargesOf(index, plan.checks);
    plan.leases = planLeases(flow.select(index), plan.charges, (at) => order.unchecked(flow, at));
  }
  return plans;
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
