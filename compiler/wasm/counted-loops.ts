import type { Assembler } from "./assembler.ts";
import { InstructionReader, Opcode } from "./instructions.ts";

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
  /** Where, behind the counter's new value, the condition begins. */
  conditionStart: number;
}

/** Which way the counter of a loop with this comparison goes; 0 for either. */
const directions = new Map<number, number>([
  [Opcode.i32Ne, 0],
  [Opcode.i32LtS, 1],
  [Opcode.i32LtU, 1],
  [Opcode.i32GtS, -1],
  [Opcode.i32GtU, -1],
]);

interface Instruction {
  op: number;
  index: number;
  start: number;
}

/**
 * Recognises the loop whose turn is the code from byte `from` to `to`, where the branch back stands, if there is no other way out and it
 * ends in `counter += step; if (counter ⟨compare⟩ limit) repeat`.
 */
export function countedLoop(code: Uint8Array, from: number, to: number): CountedLoop | undefined {
  const reader = new InstructionReader(code.subarray(from, to));
  /** What is written before the last instructions. */
  const written = new Set<number>();
  const ending: Instruction[] = [];
  while (reader.next()) {
    ending.push({ op: reader.op, index: reader.index, start: from + reader.start });
    if (ending.length <= longestEnding) continue;
    const { op, index } = ending.shift()!;
    if (op === Opcode.localSet || op === Opcode.localTee) written.add(index);
  }
  const last = ending.at(-1);
  let compare: number = Opcode.i32Ne;
  let limit: CountedLoop["limit"] = { constant: 0 };
  let conditionStart = to;
  if (last !== undefined && directions.has(last.op)) {
    compare = last.op;
    ending.pop();
    const against = ending.pop();
    if (against?.op === Opcode.localGet) limit = { local: against.index };
    else if (against?.op === Opcode.i32Const) limit = { constant: against.index };
    else return undefined;
    conditionStart = against.start;
  }
  const [get, value, add, tee] = ending.splice(-4);
  if (get?.op !== Opcode.localGet || value?.op !== Opcode.i32Const) return undefined;
  if (tee?.op !== Opcode.localTee || get.index !== tee.index) return undefined;
  if (add?.op !== Opcode.i32Add && add?.op !== Opcode.i32Sub) return undefined;
  const counter = get.index;
  const step = add.op === Opcode.i32Add ? value.index : -value.index;
  const size = Math.abs(step);
  if (size === 0 || size > maxStep || (size & (size - 1)) !== 0) return undefined;
  const direction = directions.get(compare)!;
  if (direction !== 0 && direction !== Math.sign(step)) return undefined;
  for (const { op, index } of ending) {
    if (op === Opcode.localSet || op === Opcode.localTee) written.add(index);
  }
  if (written.has(counter) || ("local" in limit && written.has(limit.local))) return undefined;
  if ("local" in limit && limit.local === counter) return undefined;
  return { counter, step, compare, limit, conditionStart };
}

/** Instructions of the longest ending: four for the counter, two for the condition. */
const longestEnding = 6;

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
