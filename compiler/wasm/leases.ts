import type { Charges } from "./charges.ts";
import { portionFuel } from "./counted-loops.ts";
import { type Flow, LoopKind } from "./flow.ts";
import { Opcode } from "./instructions.ts";

/**
 * Fuel of a lease: what a function pays in advance for the turns of its loops, which then take from it in a local variable, without a look at
 * the global. When it is used up the host is asked and the next one paid for. What is left when the function returns stays paid.
 */
export const leaseFuel = 256;

/** Turns that a lease must be enough for. */
const fewestTurns = 4;

/** What may run in a loop besides its turns' own costs, on one lease. */
export const maxBesides = 512;

/**
 * The loops whose turns are taken from a lease: short ones, in whose turns nothing long runs that is charged elsewhere.
 *
 * @param unchecked What a point runs of other functions without a check.
 */
export function leasedLoops(
  flow: Flow,
  { turns, after }: Charges,
  unchecked: (at: number) => number,
): Set<number> {
  const leased = new Set<number>();
  sumLoops(
    flow,
    (at) => unchecked(at) + (after.get(at) ?? 0),
    (loop, besides) => {
      const most = Math.floor(leaseFuel / turns.get(loop)!);
      if (most >= fewestTurns && besides * most <= maxBesides) leased.add(loop);
    },
  );
  return leased;
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
