import type { Flow } from "./flow.ts";
import { Opcode } from "./instructions.ts";

/** A number that is followed along the ways through a function; 0 where no way leads. */
export interface Followed {
  /** At the function's entry. */
  entry: number;
  /** Behind point `at`. What came to the plain instructions before it is `value`. */
  pass(at: number, value: number): number;
  /** Where ways meet. */
  join(one: number, other: number): number;
  /**
   * For one of the ways that part at a branch; default: what came.
   *
   * @param leaves The way leads out of a loop, or the loop is left when the branch is not taken.
   */
  part?(value: number, leaves: boolean): number;
  /** Where an exception is caught, from what it was where the `try` began; default: the same. */
  caught?(value: number): number;
}

interface Label {
  op: number;
  /** From the branches to it; a loop's label stands at its beginning, where nothing new is learnt. */
  joined: number;
  /** For `if` without an `else` so far: how the other way begins. */
  otherwise: number;
  /** For `try`: how its handlers begin. */
  handler: number;
}

const none = -1;

/** Follows a number forwards over the code: each point is passed once, in order, unreachable ones with 0. */
export function follow(flow: Flow, followed: Followed): void {
  const join = followed.join.bind(followed);
  const part = followed.part?.bind(followed) ?? ((value: number) => value);
  const caught = followed.caught?.bind(followed) ?? ((value: number) => value);
  let value = followed.entry;
  const labels: Label[] = [{ op: -1, joined: 0, otherwise: none, handler: none }];
  const loops: number[] = [];
  const leaves = (depth: number): boolean => {
    const loop = loops[loops.length - 1];
    return loop !== undefined && labels.length - 1 - depth <= loop;
  };
  const branch = (depth: number, along: number): void => {
    const label = labels[labels.length - 1 - depth]!;
    if (label.op !== Opcode.loop) label.joined = join(label.joined, along);
  };

  for (let at = flow.first; at < flow.last; at++) {
    const op = flow.op[at]!;
    value = followed.pass(at, value);
    switch (op) {
      case Opcode.block:
      case Opcode.loop:
        if (op === Opcode.loop) loops.push(labels.length);
        labels.push({ op, joined: 0, otherwise: none, handler: none });
        break;
      case Opcode.try:
        labels.push({ op, joined: 0, otherwise: none, handler: caught(value) });
        break;
      case Opcode.tryTable:
        for (const depth of flow.labels.get(at)!) branch(depth, caught(value));
        labels.push({ op, joined: 0, otherwise: none, handler: none });
        break;
      case Opcode.if:
        value = part(value, false);
        labels.push({ op, joined: 0, otherwise: value, handler: none });
        break;
      case Opcode.else: {
        const label = labels[labels.length - 1]!;
        label.joined = join(label.joined, value);
        value = label.otherwise;
        label.otherwise = none;
        break;
      }
      case Opcode.catch:
      case Opcode.catchAll: {
        const label = labels[labels.length - 1]!;
        label.joined = join(label.joined, value);
        value = label.handler;
        break;
      }
      case Opcode.end:
      case Opcode.delegate: {
        const label = labels.pop()!;
        if (label.op === Opcode.loop) loops.pop();
        value = join(value, label.joined);
        if (label.otherwise !== none) value = join(value, label.otherwise);
        break;
      }
      case Opcode.br:
        branch(flow.index[at]!, value);
        value = 0;
        break;
      case Opcode.brIf: {
        const leaving = leaves(flow.index[at]!);
        branch(flow.index[at]!, part(value, leaving));
        value = part(value, leaving);
        break;
      }
      case Opcode.brTable: {
        for (const depth of new Set(flow.labels.get(at)!)) branch(depth, part(value, leaves(depth)));
        value = 0;
        break;
      }
      case Opcode.return:
      case Opcode.unreachable:
      case Opcode.throw:
      case Opcode.throwRef:
      case Opcode.rethrow:
      case Opcode.returnCall:
      case Opcode.returnCallIndirect:
        value = 0;
        break;
    }
  }
}
