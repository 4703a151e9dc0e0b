import type { Charges } from "./charges.ts";
import { portionFuel } from "./counted-loops.ts";
import { type Flow, LoopKind } from "./flow.ts";
import { Opcode } from "./instructions.ts";

/**
 * Fuel of a lease: what a function pays in advance for the turns of its loops, which then take from it in a local variable, without a look at
 * the global. When it is used up the host is asked and the next one paid for. What is left when the function returns stays paid.
 */
export const leaseFuel = 256;

/** Turns of its loop that an interpreter's lease is enough for. What is left of it is given back. */
const turnsOfInterpreter = 16;

/** Turns that a lease must be enough for. */
const fewestTurns = 4;

/** What may run in a loop besides its turns' own costs, on one lease. */
export const maxBesides = 512;

/** How a function pays for its short loops. */
export interface Leases {
  fuel: number;
  /** Those whose turns are taken from it. */
  loops: ReadonlySet<number>;
}

/**
 * Leases are for short loops, in whose turns nothing long runs that is charged elsewhere, and for the loops of interpreters. Beside an
 * interpreter's loop no other takes from the lease: that made the interpreter slower.
 *
 * @param unchecked What a point runs of other functions without a check.
 */
export function planLeases(flow: Flow, { turns, after }: Charges, unchecked: (at: number) => number): Leases {
  if (flow.interprets) {
    const loops = new Set([...turns.keys()].filter((at) => flow.dispatches(at)));
    const longest = Math.max(...[...loops].map((at) => turns.get(at)!));
    return { fuel: longest * turnsOfInterpreter, loops };
  }
  const loops = new Set<number>();
  sumLoops(
    flow,
    (at) => unchecked(at) + (after.get(at) ?? 0),
    (loop, besides) => {
      const most = Math.floor(leaseFuel / turns.get(loop)!);
      if (most >= fewestTurns && besides * most <= maxBesides) loops.add(loop);
    },
  );
  return { fuel: leaseFuel, loops };
}

/** Before charges are known: those that are not ruled out. */
export function leaseCandidates(flow: Flow, unchecked: (at: number) => number): Set<number> {
  const candidates = new Set<number>();
  sumLoops(flow, unchecked, (loop, besides) => {
    if (besides * fewestTurns <= maxBesides) candidates.add(loop);
  });
  return candidates;
}

/** Tells of each loop, but counted ones, the sum over the points in it. */
function sumLoops(
  flow: Flow,
  weigh: (at: number) => number,
  tell: (loop: number, sum: number) => void,
): void {
  const around: number[] = [];
  let sum = 0;
  for (let at = flow.first; at < flow.last; at++) {
    sum += weigh(at);
    if (flow.op[at] === Opcode.loop) {
      around.push(sum);
      sum = 0;
    } else if (flow.op[at] === Opcode.end && flow.closesLoop(at)) {
      const loop = flow.opener[at]!;
      if (flow.loop[loop] === LoopKind.counted) sum += portionFuel;
      else tell(loop, sum);
      sum += around.pop()!;
    }
  }
}
