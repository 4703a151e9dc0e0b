import type { Assembler } from "./assembler.ts";
import type { Flow } from "./flow.ts";
import { Opcode } from "./instructions.ts";

/**
 * A loop whose number of turns shows before it begins: a variable goes up or down by a constant, and is compared with something that
 * stays the same. Its turns are paid for in portions, between which the host is asked, and nothing is added to a turn
 * (strip mining; the portions are those of Loveman, Program improvement by source-to-source transformation, JACM 1977).
 */
export interface CountedLoop {
  counter: number;
  /** What is added to the counter in each turn: plus or minus a power of two. */
  step: number;
  /** Goes on while `counter ⟨compare⟩ limit`. */
  compare: number;
  limit: { local: number } | { constant: number };
  /** The instruction behind the counter's, where the condition begins, and the branch back. */
  conditionAt: number;
  branchAt: number;
}

/** Instructions that write a local variable. */
const writes = (flow: Flow, at: number, local: number): boolean =>
  (flow.op[at] === Opcode.localSet || flow.op[at] === Opcode.localTee) && flow.index[at] === local;

/** Which way the counter of a loop with this comparison goes; 0 for either. */
const directions = new Map<number, number>([
  [Opcode.i32Ne, 0],
  [Opcode.i32LtS, 1],
  [Opcode.i32LtU, 1],
  [Opcode.i32GtS, -1],
  [Opcode.i32GtU, -1],
]);

/**
 * Recognises the loop that instructions `opener` to `end` make: one without other ways out, which ends in
 * `counter += step; if (counter ⟨compare⟩ limit) repeat`.
 */
export function countedLoop(flow: Flow, opener: number, end: number): CountedLoop | undefined {
  const { op, index } = flow;
  const branchAt = end - 1;
  if (op[branchAt] !== Opcode.brIf || flow.target[branchAt] !== opener) return undefined;
  let conditionAt = branchAt;
  let compare: number = Opcode.i32Ne;
  let limit: CountedLoop["limit"] = { constant: 0 };
  if (directions.has(op[branchAt - 1]!)) {
    compare = op[branchAt - 1]!;
    conditionAt = branchAt - 2;
    if (op[conditionAt] === Opcode.localGet) limit = { local: index[conditionAt]! };
    else if (op[conditionAt] === Opcode.i32Const) limit = { constant: index[conditionAt]! };
    else return undefined;
  }
  const [get, value, add, tee] = [
    conditionAt - 4,
    conditionAt - 3,
    conditionAt - 2,
    conditionAt - 1,
  ] as const;
  if (get <= opener || op[get] !== Opcode.localGet || op[value] !== Opcode.i32Const) return undefined;
  if (op[tee] !== Opcode.localTee || index[get] !== index[tee]) return undefined;
  if (op[add] !== Opcode.i32Add && op[add] !== Opcode.i32Sub) return undefined;
  const counter = index[get]!;
  const step = op[add] === Opcode.i32Add ? index[value]! : -index[value]!;
  const size = Math.abs(step);
  if (size === 0 || size > maxStep || (size & (size - 1)) !== 0) return undefined;
  const direction = directions.get(compare)!;
  if (direction !== 0 && direction !== Math.sign(step)) return undefined;
  for (let at = opener; at < tee; at++) {
    if (writes(flow, at, counter) || ("local" in limit && writes(flow, at, limit.local))) return undefined;
  }
  if ("local" in limit && limit.local === counter) return undefined;
  return { counter, step, compare, limit, conditionAt, branchAt };
}

/** A portion's turns times this stay below 2^32. */
const maxStep = 4096;

/** Fuel of a portion at most. */
export const portionFuel = 8 * 1024;

const pushLimit = (code: Assembler, { limit }: CountedLoop): Assembler =>
  "local" in limit ? code.get(limit.local) : code.i32(limit.constant);

/** Pushes whether the loop goes on. */
export function pushCondition(code: Assembler, loop: CountedLoop): void {
  pushLimit(code.get(loop.counter), loop).op(loop.compare);
}

/**
 * Sets `turns` to how many turns the loop can make before its condition has to be looked at: at least one, at most `most`. In all but the
 * last of them the condition holds.
 */
export function countTurns(code: Assembler, loop: CountedLoop, turns: number, most: number): void {
  const { counter, step, compare } = loop;
  const shift = Math.log2(Math.abs(step));
  const distance = (): Assembler => {
    if (step > 0) pushLimit(code, loop).get(counter);
    else pushLimit(code.get(counter), loop);
    return code.op(Opcode.i32Sub);
  };
  if (compare === Opcode.i32Ne) {
    // what is not met by whole steps is met only after the counter has wrapped around, which takes more turns than `most`
    distance();
    if (shift > 0) code.i32(shift).op(Opcode.i32Rotr);
    // 0 turns stands for 2^32
    code.i32(1).op(Opcode.i32Sub).set(turns);
  } else {
    // from where the condition does not hold any more there is one turn
    distance().i32(1).op(Opcode.i32Sub);
    if (shift > 0) code.i32(shift).op(Opcode.i32ShrU);
    code.i32(0);
    pushCondition(code, loop);
    code.op(Opcode.select).set(turns);
  }
  code
    .get(turns)
    .i32(most - 1)
    .get(turns)
    .i32(most - 1)
    .op(Opcode.i32LtU, Opcode.select);
  code.i32(1).op(Opcode.i32Add).set(turns);
}

/** Sets `last` to the counter's value after so many turns. */
export function setLast(code: Assembler, { counter, step }: CountedLoop, turns: number, last: number): void {
  const shift = Math.log2(Math.abs(step));
  code.get(counter).get(turns);
  if (shift > 0) code.i32(shift).op(Opcode.i32Shl);
  code.op(step > 0 ? Opcode.i32Add : Opcode.i32Sub).set(last);
}
