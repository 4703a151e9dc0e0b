import { bulkBytesPerFuelLog2, costOf } from "./costs.ts";
import { type Flow, LoopKind } from "./flow.ts";
import { Opcode } from "./instructions.ts";

/** What to charge where, by the point. */
export interface Charges {
  /** From the function's entry on. */
  entry: number;
  /** After an instruction: code that only some paths reach. */
  after: ReadonlyMap<number, number>;
  /** Before an instruction: where a cycle of calls is cut. */
  before: ReadonlyMap<number, number>;
  /** One turn of a loop. */
  turns: ReadonlyMap<number, number>;
}

interface Frame {
  opener: number;
  /** What is charged in advance for the code behind the label. */
  label: number;
  /** The same for the `else` branch, and where it begins. */
  otherwise: number;
  elseAt: number;
  /** For a loop: the most and the least that a way out of it leads to; the most is paid before the loop. */
  exit: number;
  leastExit: number;
}

/** Shared by all functions without any: most have none. */
const nothing: ReadonlyMap<number, number> = new Map();

/** Rounds in which labels that need a charge of their own are looked for; after them, all have one. */
const maxRounds = 6;

/**
 * Distributes the cost of a function's instructions over charges: backwards over the code, the cost of the longest way
 * from here to the next charge. Ways that part are charged together, by the longest, where they differ by no more than
 * the grain; else the longer one has a charge of its own, or the label where it begins. A turn of a loop is charged before it
 * begins; what a function without a charge of its own costs is charged by its callers.
 *
 * @param calleeCost What a call costs its caller beyond the instruction itself.
 * @param grain Fuel that may be charged in vain where ways part.
 * @param cuts Instructions before which what follows is charged, whatever it is.
 */
export function planCharges(
  flow: Flow,
  calleeCost: (callee: number) => number,
  cuts: ReadonlySet<number>,
  grain: number,
): Charges {
  const charged = new Set<number>();
  for (let round = 1; ; round++) {
    const before = charged.size;
    const charges = planRound(flow, calleeCost, cuts, grain, charged, round > maxRounds);
    if (charged.size === before || round > maxRounds) return charges;
  }
}

/**
 * @param charged Openers of the constructs whose label has a charge of its own; those that turn out to need one are added.
 * @param all Charge at every label that more than one way leads to.
 */
function planRound(
  flow: Flow,
  calleeCost: (callee: number) => number,
  cuts: ReadonlySet<number>,
  grain: number,
  charged: Set<number>,
  all: boolean,
): Charges {
  const after = new Map<number, number>();
  const before = new Map<number, number>();
  const turns = new Map<number, number>();
  const frames: Frame[] = [];
  /** Places of the loops among them. */
  const loops: number[] = [];
  let cost = 0;

  /** Charges what follows point `at` there, but for what every way has to pay. */
  const cut = (at: number, common = 0): void => {
    after.set(at, cost - common);
    cost = common;
  };
  /** A label's own charge is wanted where a way to it could be much shorter without what follows the label. */
  const chargeLabel = (opener: number): void => {
    charged.add(opener);
  };
  const leave = (loop: Frame, label: number): void => {
    loop.exit = Math.max(loop.exit, label);
    loop.leastExit = Math.min(loop.leastExit, label);
  };
  const outermostLoop = (from: number): Frame | undefined => {
    let [low, high] = [0, loops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (loops[middle]! < from) low = middle + 1;
      else high = middle;
    }
    return low < loops.length ? frames[loops[low]!] : undefined;
  };
  /** What a branch has to pay for the code behind the label. */
  const behind = (depth: number): number => {
    const target = frames.length - 1 - depth;
    const { label } = frames[target]!;
    // a way out of a loop is paid before the loop, once, and not at each of its turns
    const loop = outermostLoop(target + 1);
    if (!loop) return label;
    leave(loop, label);
    if (label - loop.leastExit > grain) chargeLabel(frames[target]!.opener);
    return 0;
  };
  const openerOf = (depth: number): number => frames[frames.length - 1 - depth]!.opener;
  const end = (own: number): void => {
    cost = own;
    const loop = outermostLoop(0);
    if (loop) leave(loop, 0);
  };

  for (let at = flow.last - 1; at >= flow.first; at--) {
    const op = flow.op[at]!;
    const own = costOf(op);
    switch (op) {
      case Opcode.end:
      case Opcode.delegate: {
        const opener = flow.opener[at]!;
        const opened = opener < 0 ? -1 : flow.op[opener]!;
        const frame: Frame = {
          opener,
          label: 0,
          otherwise: -1,
          elseAt: -1,
          exit: 0,
          leastExit: Number.POSITIVE_INFINITY,
        };
        const joins =
          opener >= 0 && (flow.branches[opener]! > 0 || opened === Opcode.if || opened === Opcode.try);
        if (cost > 0 && opener >= 0) {
          if (flow.caught[opener] === 1 || charged.has(opener) || (all && joins)) cut(at);
        }
        if (opened === Opcode.loop) {
          loops.push(frames.length);
          leave(frame, cost);
          cost = 0;
        } else frame.label = cost;
        frames.push(frame);
        break;
      }
      case Opcode.else: {
        const frame = frames[frames.length - 1]!;
        frame.otherwise = cost;
        frame.elseAt = at;
        cost = frame.label;
        break;
      }
      case Opcode.catch:
      case Opcode.catchAll:
        if (cost > 0) cut(at);
        cost = frames[frames.length - 1]!.label;
        break;
      case Opcode.if: {
        const { otherwise, elseAt, label, opener } = frames.pop()!;
        const other = elseAt < 0 ? label : otherwise;
        if (cost - other > grain) cut(at, other);
        else if (other - cost > grain) {
          if (elseAt < 0) chargeLabel(opener);
          else after.set(elseAt, other - cost);
        }
        cost =
          own + (elseAt < 0 ? Math.max(cost, other) : other - cost > grain ? cost : Math.max(cost, other));
        break;
      }
      case Opcode.block:
      case Opcode.try:
      case Opcode.tryTable:
        frames.pop();
        break;
      case Opcode.loop: {
        const { exit, leastExit, opener } = frames.pop()!;
        loops.pop();
        if (exit - leastExit > grain) chargeLabel(opener);
        const turn = Math.max(1, cost);
        turns.set(at, turn);
        cost = flow.loop[at] === LoopKind.header ? exit : turn + exit;
        break;
      }
      case Opcode.br:
        cost = own + behind(flow.index[at]!);
        break;
      case Opcode.brIf: {
        const taken = behind(flow.index[at]!);
        if (cost - taken > grain) cut(at, taken);
        else if (taken - cost > grain) chargeLabel(openerOf(flow.index[at]!));
        cost = own + Math.max(cost, taken);
        break;
      }
      case Opcode.brTable: {
        const depths = flow.labels.get(at)!;
        const costs = depths.map(behind);
        const most = Math.max(...costs);
        if (most - Math.min(...costs) > grain) {
          for (const [i, label] of costs.entries()) if (label > grain) chargeLabel(openerOf(depths[i]!));
        }
        cost = own + most;
        break;
      }
      case Opcode.return:
      case Opcode.unreachable:
      case Opcode.throw:
      case Opcode.throwRef:
      case Opcode.rethrow:
      case Opcode.returnCallIndirect:
        end(own);
        break;
      case Opcode.returnCall:
        end(own + calleeCost(flow.index[at]!));
        break;
      case Opcode.call:
        cost += own + calleeCost(flow.index[at]!);
        break;
      case Opcode.memoryFill:
      case Opcode.memoryCopy:
      case Opcode.memoryInit:
        cost += own + ((flow.size.get(at) ?? 0) >>> bulkBytesPerFuelLog2);
        break;
      default:
        cost += own;
    }
    if (cuts.has(at)) {
      before.set(at, cost);
      cost = 0;
    }
    cost += flow.plain[at]!;
  }
  const kept = (charges: Map<number, number>) => (charges.size > 0 ? charges : nothing);
  return { entry: cost, after: kept(after), before: kept(before), turns: kept(turns) };
}
