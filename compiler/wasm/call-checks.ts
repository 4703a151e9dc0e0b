import { cutCycles } from "./call-graph.ts";
import { Flow } from "./flow.ts";
import { Opcode } from "./instructions.ts";
import type { ModuleLimits } from "./limits.ts";
import { importCount, type Module } from "./module.ts";

/** Which calls pass a check. Functions are numbered among the module's own, imports not counted. */
export interface CallChecks {
  /** Functions that check at their entry. */
  entries: ReadonlySet<number>;
  /** For a caller the callees before whose call it checks. */
  calls: ReadonlyMap<number, ReadonlySet<number>>;
  /** All functions, callees before callers where there is no check in between. */
  order: number[];
}

/**
 * Bytes of code that may run from one function's entry on without a check, calls included. Far more than an ordinary program's
 * functions come to; what it stops are ladders, in which each function calls the next one twice and the work doubles with each.
 */
const maxUncheckedBytes = 64 * 1024;

/**
 * Places checks so that every cycle of calls passes one. A call that may reach any function, through a table or through the host,
 * is always checked where it is made; the cycles that are left run over direct calls, and {@link cutCycles} cuts all of them.
 */
export function placeCallChecks(module: Module, limits: ModuleLimits): CallChecks {
  const imported = importCount(module, "function");
  const entries = new Set<number>();
  const flow = new Flow(module, limits);
  /** For each function its callees, with how often an execution is expected to call them. */
  const callees: Map<number, number>[] = [];
  const sites: number[][] = [];
  for (const body of module.functions) {
    const targets: number[] = [];
    callees.push(expectedCalls(flow.read(body), imported, targets));
    sites.push(targets);
  }
  const sizeOf = (index: number): number => module.functions[index]!.code.length;
  const cut = cutCycles(callees, sizeOf);
  for (const index of cut.vertices) entries.add(index);
  const isChecked = (caller: number, callee: number): boolean =>
    entries.has(callee) || (cut.edges.get(caller)?.has(callee) ?? false);

  // What is left has no cycle: each function's length is its own code and that of all its calls, callees first.
  const order: number[] = [];
  const length = new Map<number, number>();
  const opened = new Set<number>();
  const open: { index: number; next: number }[] = [];
  for (const root of module.functions.keys()) {
    if (!length.has(root)) open.push({ index: root, next: 0 });
    while (open.length > 0) {
      const frame = open[open.length - 1]!;
      const { index } = frame;
      const targets = sites[index]!;
      opened.add(index);
      if (frame.next < targets.length && !length.has(index)) {
        const target = targets[frame.next++]!;
        if (!isChecked(index, target) && !length.has(target) && !opened.has(target)) {
          open.push({ index: target, next: 0 });
        }
        continue;
      }
      open.pop();
      if (length.has(index)) continue;
      let total = sizeOf(index);
      for (const target of targets) if (!isChecked(index, target)) total += length.get(target) ?? 0;
      if (total > maxUncheckedBytes && !entries.has(index)) entries.add(index);
      length.set(index, total);
      order.push(index);
    }
  }
  return { entries, calls: cut.edges, order };
}

/** How often a loop is expected to turn: anything that tells inside from outside will do. */
const expectedTurns = 8;

/**
 * Direct calls of a function's code, each with how often one execution is expected to make it, both ways of a branch being as likely
 * (after Wu and Larus, Static branch frequency and program profile analysis, MICRO 1994, without their heuristics).
 */
function expectedCalls(flow: Flow, imported: number, sites: number[]): Map<number, number> {
  const calls = new Map<number, number>();
  /** Share of executions that reach an instruction, and what has branched to each open label. */
  let share = 1;
  let turns = 1;
  const labels: { joining: number; before: number; loop: boolean }[] = [
    { joining: 0, before: 1, loop: false },
  ];
  const branch = (depth: number, part: number): void => {
    const label = labels[labels.length - 1 - depth]!;
    if (!label.loop) label.joining += part;
  };
  for (let at = 0; at < flow.count; at++) {
    const op = flow.op[at]!;
    switch (op) {
      case Opcode.block:
      case Opcode.try:
      case Opcode.tryTable:
        labels.push({ joining: 0, before: share, loop: false });
        break;
      case Opcode.loop:
        labels.push({ joining: 0, before: share, loop: true });
        turns *= expectedTurns;
        break;
      case Opcode.if:
        labels.push({ joining: share / 2, before: share, loop: false });
        share /= 2;
        break;
      case Opcode.else: {
        const label = labels[labels.length - 1]!;
        label.joining += share - label.before / 2;
        share = label.before / 2;
        break;
      }
      case Opcode.catch:
      case Opcode.catchAll:
        labels[labels.length - 1]!.joining += share;
        share = 0;
        break;
      case Opcode.end:
      case Opcode.delegate: {
        const label = labels.pop()!;
        if (label.loop) {
          turns /= expectedTurns;
          share = label.before; // it ends some day
        } else share = Math.min(1, share + label.joining);
        break;
      }
      case Opcode.br:
        branch(flow.index[at]!, share);
        share = 0;
        break;
      case Opcode.brIf:
        branch(flow.index[at]!, share / 2);
        share /= 2;
        break;
      case Opcode.brTable: {
        const targets = flow.labels.get(at)!;
        for (const depth of targets) branch(depth, share / targets.length);
        share = 0;
        break;
      }
      case Opcode.return:
      case Opcode.unreachable:
      case Opcode.throw:
      case Opcode.throwRef:
      case Opcode.rethrow:
      case Opcode.returnCallIndirect:
        share = 0;
        break;
      case Opcode.call:
      case Opcode.returnCall: {
        const callee = flow.index[at]! - imported;
        if (callee >= 0) {
          sites.push(callee);
          calls.set(callee, (calls.get(callee) ?? 0) + share * turns);
        }
        if (op === Opcode.returnCall) share = 0;
        break;
      }
    }
  }
  return calls;
}
