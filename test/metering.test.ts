import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Assembler,
  activeElements,
  exnref,
  funcref,
  i32,
  MeterHost,
  type MeterHostOptions,
  type Module,
  Opcode,
} from "../compiler/wasm/index.ts";
import { constant, metered, moduleOf, type Sketch } from "./support/wasm-modules.ts";

type Write = (code: Assembler) => Assembler;
type Run = (...args: number[]) => unknown;

/** Calls f0; `asked` is what had been used whenever a check found the slice at its end. */
function run(module: Module, args: number[] = [], fuelPerSlice = 1) {
  const asked: number[] = [];
  const host = new MeterHost({
    fuelPerSlice,
    onSlice: (used) => {
      asked.push(Number(used));
      return asked.length < 1_000 ? "go" : "trap";
    },
  });
  const { exports } = host.instantiate(metered(module), { env: { i0: () => {} } });
  host.run(() => (exports.f0 as Run)(...args));
  return { used: Number(host.fuelUsed), asked };
}

/** Code that costs so much. */
const units =
  (count: number): Write =>
  (code) => {
    for (let i = 0; i < count; i++) code.i32(1).op(Opcode.drop);
    return code;
  };
const times = (count: number, write: Write, code: Assembler): Assembler => {
  for (let i = 0; i < count; i++) write(code);
  return code;
};
const block = (code: Assembler): Assembler => code.raw([Opcode.block, 0x40]);
/** Subtracts 1 from parameter 0, which stays on the stack; not in the order that makes a loop a counted one. */
const decrement = (code: Assembler): Assembler => code.i32(-1).get(0).op(Opcode.i32Add).tee(0);
const i32Binary =
  (opcode: number): Write =>
  (code) =>
    code.i32(1).i32(1).op(opcode, Opcode.drop);
const i64Binary =
  (opcode: number): Write =>
  (code) =>
    code.i64(1n).i64(1n).op(opcode, Opcode.drop);
const f32Const = [0x43, 0, 0, 0, 0];
const v128Const = [0xfd, 0x0c, ...Array(16).fill(0)];
const tag = (): Partial<Module> => ({ tags: [0], types: [{ params: [], results: [] }] });
const inTable = (...functions: number[]): Partial<Module> => ({
  tables: [{ element: funcref, min: 8 }],
  elements: [
    activeElements(
      constant((code) => code.i32(0)),
      functions,
    ),
  ],
});
/** So much that a function does not leave it to its caller, which here is not metered. */
const own = 200;

describe("what an instruction costs", () => {
  const passive = { mode: "passive" as const, offset: new Uint8Array(0) };
  const memory = (): Partial<Module> => ({
    memories: [{ min: 1 }],
    data: [{ ...passive, bytes: new Uint8Array(8) }],
    dataCount: true,
  });
  const table = (): Partial<Module> => ({
    tables: [{ element: funcref, min: 8 }],
    elements: [{ ...passive, items: { functions: [1] } }],
  });
  const nothing: Sketch = { code: (code) => code };
  const costs: [
    name: string,
    cost: number,
    Write,
    rest?: (() => Partial<Module>) | undefined,
    callee?: Sketch,
  ][] = [
    ["structure", 0, (code) => block(code).op(Opcode.nop, Opcode.end)],
    ["plain", 3, i32Binary(Opcode.i32Add)],
    ...[0x6d, 0x6e, 0x6f, 0x70].map((op): [string, number, Write] => [`i32 ${op}`, 6, i32Binary(op)]),
    ...[0x7f, 0x80, 0x81, 0x82].map((op): [string, number, Write] => [`i64 ${op}`, 6, i64Binary(op)]),
    ["f32.div", 6, (code) => code.raw(f32Const).raw(f32Const).raw([0x95, Opcode.drop])],
    ["f32.sqrt", 5, (code) => code.raw(f32Const).raw([0x91, Opcode.drop])],
    ["f64.div", 6, (code) => code.f64(1).f64(1).raw([0xa3, Opcode.drop])],
    ["f64.sqrt", 5, (code) => code.f64(1).raw([0x9f, Opcode.drop])],
    ["f32x4.add", 3, (code) => code.raw(v128Const).raw(v128Const).raw([0xfd, 0xe4, 1, Opcode.drop])],
    ["f32x4.div", 6, (code) => code.raw(v128Const).raw(v128Const).raw([0xfd, 0xe7, 1, Opcode.drop])],
    ["f64x2.div", 6, (code) => code.raw(v128Const).raw(v128Const).raw([0xfd, 0xf3, 1, Opcode.drop])],
    ["f32x4.sqrt", 5, (code) => code.raw(v128Const).raw([0xfd, 0xe3, 1, Opcode.drop])],
    ["f64x2.sqrt", 5, (code) => code.raw(v128Const).raw([0xfd, 0xef, 1, Opcode.drop])],
    ["call", 4, (code) => code.call(2)],
    ["call with what the callee leaves", 4 + 128, (code) => code.call(2), undefined, { code: units(128) }],
    ["call of what charges itself", 4 + 129, (code) => code.call(2), undefined, { code: units(129) }],
    ["call of the host", 136, (code) => code.call(0)],
    ["call_indirect", 1 + 136, (code) => code.i32(0).raw([Opcode.callIndirect, 0, 0]), () => inTable(2)],
    ["table.get", 3, (code) => code.i32(0).raw([Opcode.tableGet, 0, Opcode.drop]), table],
    ["table.set", 4, (code) => code.i32(0).raw([0xd0, funcref, Opcode.tableSet, 0]), table],
    ["table.size", 1, (code) => code.raw([0xfc, 0x10, 0, Opcode.drop]), table],
    ["table.grow", 102, (code) => code.raw([0xd0, funcref]).i32(1).raw([0xfc, 0x0f, 0, Opcode.drop]), table],
    ["table.fill", 3 + 8 + 5, (code) => code.i32(0).raw([0xd0, funcref]).i32(5).raw([0xfc, 0x11, 0]), table],
    ["table.copy", 3 + 8 + 5, (code) => code.i32(0).i32(1).i32(5).raw([0xfc, 0x0e, 0, 0]), table],
    ["table.init", 3 + 8 + 1, (code) => code.i32(0).i32(0).i32(1).raw([0xfc, 0x0c, 0, 0]), table],
    ["elem.drop", 8, (code) => code.raw([0xfc, 0x0d, 0]), table],
    ["memory.size", 1, (code) => code.raw([Opcode.memorySize, 0, Opcode.drop]), memory],
    ["memory.grow", 101, (code) => code.i32(1).raw([Opcode.memoryGrow, 0, Opcode.drop]), memory],
    ["memory.fill", 3 + 8 + 63, (code) => code.i32(0).i32(1).i32(1_023).raw([0xfc, 0x0b, 0]), memory],
    ["large memory.fill", 3 + 8 + 100, (code) => code.i32(0).i32(1).i32(1_600).raw([0xfc, 0x0b, 0]), memory],
    [
      "memory.copy of a size that is not known",
      5 + 8 + 100,
      (code) =>
        code
          .i32(0)
          .i32(1)
          .i32(1_600)
          .raw([Opcode.localTee, 1, Opcode.localGet, 1])
          .op(Opcode.drop)
          .raw([0xfc, 0x0a, 0, 0]),
      memory,
    ],
    ["memory.init", 3 + 8, (code) => code.i32(0).i32(0).i32(8).raw([0xfc, 0x08, 0, 0]), memory],
    ["data.drop", 8, (code) => code.raw([0xfc, 0x09, 0]), memory],
    ["throw", 100, (code) => code.raw([Opcode.try, 0x40, Opcode.throw, 0, Opcode.catchAll, Opcode.end]), tag],
    [
      "rethrow",
      200,
      (code) =>
        code
          .raw([Opcode.try, 0x40, Opcode.try, 0x40, Opcode.throw, 0])
          .raw([Opcode.catchAll, Opcode.rethrow, 0, Opcode.end])
          .raw([Opcode.catchAll, Opcode.end]),
      tag,
    ],
    [
      "throw_ref",
      200,
      (code) =>
        block(code)
          .raw([Opcode.tryTable, 0x40, 1, 2, 0])
          .raw([Opcode.block, exnref, Opcode.tryTable, 0x40, 1, 3, 0, Opcode.throw, 0, Opcode.end])
          .raw([Opcode.unreachable, Opcode.end, Opcode.throwRef, Opcode.end, Opcode.end]),
      tag,
    ],
  ];
  for (const [name, cost, write, rest, callee = nothing] of costs) {
    test(name, () => {
      const main: Sketch = {
        params: [i32],
        locals: [i32],
        code: (code) => times(3, write, units(own)(code)),
      };
      const { used } = run(moduleOf([main, callee], rest?.(), [{}]));
      assert.equal(used - own, 3 * cost);
    });
  }

  test("tail calls", () => {
    const tail = (instruction: Write, rest?: Partial<Module>) =>
      run(moduleOf([{ code: (code) => instruction(units(own)(code)) }, { code: units(50) }], rest)).used -
      own;
    assert.equal(
      tail((code) => code.raw([Opcode.returnCall, 1])),
      4 + 50,
    );
    assert.equal(
      tail((code) => code.i32(0).raw([Opcode.returnCallIndirect, 0, 0]), inTable(1)),
      1 + 136,
    );
  });
});

describe("where paths part", () => {
  /** What f0 costs with each argument. */
  const paths = (write: Write, args: number[]) =>
    args.map((arg) => {
      const code: Write = (out) => write(units(own)(out));
      return run(moduleOf([{ params: [i32], code }]), [arg]).used - own;
    });

  test("if and else", () => {
    const either =
      (then: number, otherwise: number): Write =>
      (code) =>
        units(10)(units(otherwise)(units(then)(code.get(0).if()).op(Opcode.else)).end());
    assert.deepEqual(paths(either(100, 50), [0, 1]), [112, 112]);
    assert.deepEqual(paths(either(50, 100), [0, 1]), [112, 112]);
    assert.deepEqual(paths(either(3_000, 50), [0, 1]), [62, 3_012]);
    assert.deepEqual(paths(either(50, 3_000), [0, 1]), [3_012, 62]);
  });

  test("if without else", () => {
    const one =
      (then: number): Write =>
      (code) =>
        units(10)(units(then)(code.get(0).if()).end());
    assert.deepEqual(paths(one(100), [0, 1]), [112, 112]);
    assert.deepEqual(paths(one(3_000), [0, 1]), [12, 3_012]);
    const leaves =
      (behind: number): Write =>
      (code) =>
        units(behind)(code.get(0).if().op(Opcode.return).end());
    assert.deepEqual(paths(leaves(100), [0, 1]), [102, 102]);
    assert.deepEqual(paths(leaves(3_000), [0, 1]), [3_002, 2]);
  });

  test("br", () => {
    // block (block (if (br 1)) units) end units: the branch goes to behind the first units
    const out =
      (skipped: number, behind: number): Write =>
      (code) =>
        units(behind)(units(skipped)(block(code).get(0).if().branch(1).end()).end());
    assert.deepEqual(paths(out(100, 10), [0, 1]), [112, 112]);
    assert.deepEqual(paths(out(3_000, 10), [0, 1]), [3_023, 13]);
    // the branch pays for what is behind the label, which the code that it skips does not come to
    const only =
      (behind: number): Write =>
      (code) =>
        units(behind)(block(code).get(0).if().branch(1).end().op(Opcode.return).end());
    assert.deepEqual(paths(only(50), [0, 1]), [53, 53]);
    assert.deepEqual(paths(only(3_000), [0, 1]), [2, 3_003]);
  });

  test("br_if", () => {
    const skips =
      (skipped: number): Write =>
      (code) =>
        units(10)(units(skipped)(block(code).get(0).branchIf(0)).end());
    assert.deepEqual(paths(skips(100), [0, 1]), [112, 112]);
    assert.deepEqual(paths(skips(3_000), [0, 1]), [3_012, 12]);
    const only =
      (behind: number): Write =>
      (code) =>
        units(behind)(block(code).get(0).branchIf(0).op(Opcode.return).end());
    assert.deepEqual(paths(only(100), [0, 1]), [102, 102]);
    assert.deepEqual(paths(only(3_000), [0, 1]), [2, 3_002]);
  });

  test("br_table", () => {
    const choose =
      (second: number): Write =>
      (code) =>
        units(second)(
          units(20)(block(block(code)).get(0).raw([Opcode.brTable, 1, 0, 1]).end())
            .op(Opcode.return)
            .end(),
        );
    assert.deepEqual(paths(choose(100), [0, 1]), [102, 102]);
    assert.deepEqual(paths(choose(3_000), [0, 1]), [22, 3_022]);
  });

  test("ways out of a loop", () => {
    // block (loop (br_if 1) (br_if 0, twice at most) end return) end behind
    const loop =
      (left: number, behind: number): Write =>
      (code) => {
        block(code).loop().get(0).branchIf(1).i32(0).branchIf(0).end();
        return units(behind)(units(left)(code).op(Opcode.return).end());
      };
    assert.deepEqual(paths(loop(100, 10), [0, 1]), [104, 104]);
    assert.deepEqual(paths(loop(10, 100), [0, 1]), [104, 104]);
    assert.deepEqual(paths(loop(3_000, 10), [0, 1]), [3_014, 14]);
    assert.deepEqual(paths(loop(10, 3_000), [0, 1]), [14, 3_004]);
  });

  test("handlers", () => {
    const legacy: Write = (code) =>
      units(50)(
        code.raw([Opcode.try, 0x40]).get(0).if().raw([Opcode.throw, 0]).end().op(Opcode.catchAll),
      ).end();
    const table: Write = (code) =>
      units(50)(
        block(code)
          .raw([Opcode.tryTable, 0x40, 1, 2, 0])
          .get(0)
          .if()
          .raw([Opcode.throw, 0])
          .end()
          .end()
          .op(Opcode.return)
          .end(),
      );
    for (const write of [legacy, table]) {
      const used = [0, 1].map(
        (arg) =>
          run(moduleOf([{ params: [i32], code: (code) => write(units(own)(code)) }], tag()), [arg]).used,
      );
      assert.deepEqual(used, [own + 102, own + 152]);
    }
  });
});

describe("where the host is asked", () => {
  type Case = {
    name: string;
    functions: Sketch[];
    rest?: Partial<Module>;
    arg?: number;
    /** What had been used at each question. */
    asked: number[];
    /** What was used after the last one. */
    last?: number;
  };
  const every = (count: number, step: number, first = step): number[] =>
    Array.from({ length: count }, (_, i) => first + i * step);
  const counting = (write: Write): Sketch => ({ params: [i32], code: (code) => write(units(own)(code)) });
  /** Does it while the parameter, counted down, is not 0. */
  const unlessDone =
    (write: Write): Write =>
    (code) =>
      write(decrement(code).if()).end();
  const nothing: Sketch = { code: (code) => code };
  const empty = { params: [], results: [] };
  const taking = { params: [i32], results: [] };
  const inTypes = { ...inTable(1), types: [empty, taking] };
  /** Begins a loop whose turns are too long for a lease. */
  const loop = (code: Assembler): Assembler => units(100)(code.loop());
  const blockOut = (code: Assembler): Assembler =>
    decrement(loop(block(code)))
      .op(Opcode.i32Eqz)
      .branchIf(1);

  const again: Write = (code) => code.get(0).call(1);
  const onlyWays: [name: string, Write, asked: number[], last: number][] = [
    [
      "br",
      (code) => again(decrement(block(code)).if().branch(1).end().op(Opcode.return).end()),
      every(4, own + 11),
      own + 7,
    ],
    [
      "br_if",
      (code) => again(decrement(block(code)).branchIf(0).op(Opcode.return).end()),
      every(4, own + 10),
      own + 6,
    ],
    [
      "br_table",
      (code) =>
        again(
          decrement(block(block(code)))
            .raw([Opcode.brTable, 1, 1, 0])
            .end(),
        ).end(),
      every(4, own + 10),
      own + 6,
    ],
    [
      "a clause",
      unlessDone((code) =>
        again(
          block(code).raw([Opcode.tryTable, 0x40, 1, 2, 0, Opcode.throw, 0, Opcode.end, Opcode.return]).end(),
        ),
      ),
      every(4, own + 110),
      own + 105,
    ],
    [
      "else",
      (code) => again(decrement(code).op(Opcode.i32Eqz).if().op(Opcode.return, Opcode.else)).end(),
      every(4, own + 11),
      own + 7,
    ],
    [
      "if",
      (code) => again(decrement(code).if().op(Opcode.else, Opcode.return).end()),
      every(4, own + 10),
      own + 6,
    ],
  ];

  const cases: Case[] = [
    // loops
    {
      name: "br",
      functions: [counting((code) => blockOut(code).call(2).branch(0).end().end()), nothing],
      asked: every(4, 111, own + 222),
    },
    {
      name: "br_if",
      functions: [counting((code) => decrement(loop(code).call(2)).branchIf(0).end()), nothing],
      asked: every(4, 109, own + 218),
    },
    {
      name: "br_table",
      functions: [
        counting((code) => decrement(loop(code)).op(Opcode.i32Eqz).raw([Opcode.brTable, 1, 0, 1]).end()),
      ],
      asked: every(5, 106, own + 106),
    },
    {
      name: "a clause of try_table",
      functions: [
        counting((code) =>
          unlessDone((inner) => inner.raw([Opcode.throw, 0]))(
            code.loop().raw([Opcode.tryTable, 0x40, 1, 2, 0]),
          )
            .end()
            .end(),
        ),
      ],
      rest: tag(),
      asked: every(5, 105, own + 105),
    },
    {
      name: "a loop with a parameter",
      functions: [
        counting((code) =>
          decrement(units(100)(code.get(0).op(Opcode.loop).s32(1)).op(Opcode.drop))
            .get(0)
            .branchIf(0)
            .op(Opcode.drop)
            .end(),
        ),
      ],
      rest: { types: [empty, taking] },
      asked: every(5, 106, own + 107),
    },
    {
      name: "a loop with many branches back",
      functions: [
        counting((code) => decrement(loop(code)).branchIf(0).get(0).branchIf(0).get(0).branchIf(0).end()),
      ],
      asked: every(5, 109, own + 109),
    },
    {
      name: "loops in a loop",
      functions: [
        {
          params: [i32],
          locals: [i32],
          code: (code) =>
            decrement(
              units(own)(code)
                .loop()
                .i32(2)
                .set(1)
                .loop()
                .get(1)
                .i32(1)
                .op(Opcode.i32Sub)
                .tee(1)
                .branchIf(0)
                .end(),
            )
              .branchIf(0)
              .end(),
        },
      ],
      // the turns of the inner one are counted
      arg: 4,
      asked: every(3, 17, own + 12 + 17),
      last: 5,
    },
    {
      name: "a loop around one with a check at its header",
      functions: [
        counting((code) =>
          decrement(times(3, (out) => out.i32(0).branchIf(0), loop(loop(code))).end())
            .branchIf(0)
            .end(),
        ),
      ],
      arg: 3,
      asked: [211, 316, 422, 527, 633].map((cost) => own + cost),
    },
    {
      name: "a loop that a table leaves",
      functions: [
        counting((code) =>
          decrement(
            block(loop(block(code)))
              .get(0)
              .op(Opcode.i32Eqz)
              .raw([Opcode.brTable, 1, 0, 2, 0])
              .end(),
          )
            .op(Opcode.drop)
            .branch(0)
            .end()
            .end(),
        ),
      ],
      asked: every(5, 108, own + 216),
    },
    {
      name: "short turns",
      functions: [counting((code) => decrement(code.loop()).branchIf(0).end())],
      arg: 200,
      asked: every(4, 256, own + 5 + 256),
    },
    {
      name: "short turns, each from a header",
      functions: [
        counting((code) => decrement(code.loop()).op(Opcode.i32Eqz).raw([Opcode.brTable, 1, 0, 1]).end()),
      ],
      arg: 200,
      asked: every(5, 256, own + 256),
    },
    {
      name: "short loops one after the other",
      functions: [
        {
          params: [i32],
          code: (code) => times(20, (out) => decrement(out.i32(10).set(0).loop()).branchIf(0).end(), code),
        },
      ],
      asked: every(4, 256, 20 * 7 + 256),
    },
    {
      name: "short turns in which another function runs long",
      functions: [counting((code) => decrement(code.loop().call(2)).branchIf(0).end()), { code: units(129) }],
      asked: every(4, 9 + 129, own + 18 + 129),
      last: 129,
    },
    {
      name: "short turns with a way that is long",
      functions: [
        counting((code) =>
          decrement(units(1_100)(code.loop().i32(0).if()).end())
            .branchIf(0)
            .end(),
        ),
      ],
      asked: every(4, 7, own + 14),
    },

    // recursion
    {
      name: "a function that calls itself",
      functions: [counting(unlessDone((code) => code.get(0).call(1)))],
      asked: every(4, own + 10),
      last: own + 6,
    },
    {
      name: "a short function that calls itself",
      functions: [{ params: [i32], code: unlessDone((code) => code.get(0).call(1)) }],
      asked: every(4, 10),
    },
    ...onlyWays.map(([name, write, asked, last]) => ({
      name: `a call of itself that only ${name} leads to`,
      functions: [counting(write)],
      rest: tag(),
      asked,
      last,
    })),
    {
      name: "a call of itself behind a check that may be passed by",
      functions: [counting(unlessDone((code) => again(code.i32(0).if().call(0).end())))],
      asked: every(4, own + 12),
      last: own + 8,
    },
    {
      name: "functions in a ring",
      functions: [2, 3, 1].map((next) => counting(unlessDone((code) => code.get(0).call(next)))),
      arg: 8,
      asked: every(3, 3 * (own + 10), own + 10),
      last: own + 10,
    },
    {
      name: "functions that call each other whatever happens",
      functions: [
        counting(unlessDone((code) => code.get(0).call(2))),
        counting((code) => code.get(0).call(1)),
      ],
      asked: every(4, 2 * own + 15, own + 10),
      last: 2 * own + 11,
    },
    {
      name: "a tail call",
      functions: [counting(unlessDone((code) => code.get(0).raw([Opcode.returnCall, 1])))],
      asked: every(4, own + 10),
      last: own + 6,
    },
    {
      name: "a call through a table",
      functions: [counting(unlessDone((code) => code.get(0).i32(0).raw([Opcode.callIndirect, 1, 0])))],
      rest: inTypes,
      asked: every(4, own + 143),
      last: own + 143,
    },
    {
      name: "a tail call through a table",
      functions: [counting(unlessDone((code) => code.get(0).i32(0).raw([Opcode.returnCallIndirect, 1, 0])))],
      rest: inTypes,
      asked: every(4, own + 143),
      last: own + 143,
    },
    {
      name: "a call of the host",
      functions: [counting((code) => code.call(0))],
      asked: [own + 136],
    },
    {
      name: "a tail call of the host",
      functions: [counting((code) => code.raw([Opcode.returnCall, 0]))],
      asked: [own + 136],
    },

    // long ways without a cycle
    {
      name: "calls of a long function",
      functions: [{ code: (code) => times(3, (out) => out.call(2), code) }, { code: units(25_000) }],
      asked: every(3, 25_000),
    },
    {
      name: "many calls of a function that is not so long",
      functions: [{ code: (code) => times(30, (out) => out.call(2), code) }, { code: units(20_000) }],
      asked: every(5, 120_000),
    },
    {
      name: "calls behind that of a long function",
      functions: [
        { code: (code) => times(30, (out) => out.call(3), code.call(2)) },
        { code: units(25_000) },
        { code: units(10_000) },
      ],
      asked: [25_000, 155_000, 285_000, 325_000],
    },
    {
      name: "calls behind one that has run long since its check",
      functions: [
        { code: (code) => times(30, (out) => out.call(3), code.call(2)) },
        { code: (code) => units(20_000)(code.call(0)) },
        { code: units(10_000) },
      ],
      asked: [20_136, 140_136, 270_136, 320_136],
    },
    {
      name: "counted loops one after the other",
      functions: [
        {
          params: [i32],
          code: (code) =>
            times(
              40,
              (out) => out.i32(1_000).set(0).loop().get(0).i32(1).op(Opcode.i32Sub).tee(0).branchIf(0).end(),
              code,
            ),
        },
      ],
      asked: [280, 75_205, 150_130, 200_080],
    },
    {
      name: "a ladder of calls",
      functions: [
        { code: (code) => code.call(5) },
        { code: units(10) },
        ...[2, 3, 4].map((below): Sketch => ({ code: (code) => times(32, (out) => out.call(below), code) })),
      ],
      asked: every(5, 8 * 32 * 448, 32 * 132),
    },
    {
      name: "long calls that end in an exception",
      functions: [
        {
          code: (code) =>
            times(
              30,
              (out) =>
                out.raw([Opcode.try, 0x40]).call(2).raw([Opcode.unreachable, Opcode.catchAll, Opcode.end]),
              code,
            ),
        },
        { code: (code) => units(20_000)(code).raw([Opcode.throw, 0]) },
      ],
      rest: tag(),
      asked: [...every(29, 20_104), 30 * 20_104 - 4],
    },
    {
      name: "the way back from a recursion through exceptions",
      functions: [
        counting(
          unlessDone((code) =>
            code.raw([Opcode.try, 0x40]).get(0).call(1).raw([Opcode.throw, 0, Opcode.catchAll]).call(2).end(),
          ),
        ),
        { code: units(3_000) },
      ],
      rest: tag(),
      asked: [...every(4, own + 110), ...every(4, 3_004, 1_450)],
      last: 3_000,
    },
    {
      name: "the way back from a recursion",
      functions: [
        counting(unlessDone((code) => times(3, (out) => out.call(2), code.get(0).call(1)))),
        { code: units(3_000) },
      ],
      asked: [...every(4, own + 22), ...every(4, 9_000, 4_094).flatMap((total) => [total, total + 3_000])],
      last: 3_000,
    },

    // bulk
    {
      name: "a bulk instruction in chunks",
      functions: [{ params: [i32], code: (code) => code.i32(0).i32(1).get(0).raw([0xfc, 0x0b, 0]) }],
      rest: { memories: [{ min: 20 }] },
      arg: 1_000_000,
      asked: [62_500, 62_500, 62_500, 62_500],
    },
    {
      name: "a bulk instruction of a large constant size",
      functions: [{ code: (code) => code.i32(0).i32(1).i32(1_000_000).raw([0xfc, 0x0b, 0]) }],
      rest: { memories: [{ min: 20 }] },
      asked: [62_500, 62_500, 62_500, 62_500],
    },
    {
      name: "bulk instructions of tables",
      functions: [
        {
          params: [i32],
          code: (code) =>
            times(2, (out) => out.i32(0).raw([0xd0, funcref]).get(0).raw([0xfc, 0x11, 0]), code),
        },
      ],
      rest: { tables: [{ element: funcref, min: 2_000 }] },
      arg: 2_000,
      asked: [2_000, 4_000],
    },
  ];
  for (const { name, functions, rest, arg = 5, asked, last = 0 } of cases) {
    test(name, () => {
      const result = run(moduleOf(functions, rest, [{}]), [arg]);
      const expected = { used: (asked.at(-1) ?? 0) + last, asked };
      assert.deepEqual(result, expected);
    });
  }
});

describe("large bulk instructions", () => {
  const operations: Record<string, [number[], args: number[]]> = {
    "fill beyond the end": [
      [0xfc, 0x0b, 0],
      [0, 1, 2_000_000],
    ],
    "copy to beyond the end": [
      [0xfc, 0x0a, 0, 0],
      [700_000, 0, 1_000_000],
    ],
    "copy from beyond the end": [
      [0xfc, 0x0a, 0, 0],
      [0, 700_001, 1_000_000],
    ],
    "initialise from beyond the end": [
      [0xfc, 0x08, 0, 0],
      [0, 100_000, 600_000],
    ],
  };
  for (const [name, [operation, args]] of Object.entries(operations)) {
    test(`${name} without writing anything`, () => {
      const code: Write = (out) => out.get(0).get(1).get(2).raw(operation);
      const module = moduleOf([{ params: [i32, i32, i32], code }], {
        memories: [{ min: 20 }],
        exports: [{ name: "memory", kind: "memory", index: 0 }],
        data: [{ mode: "passive", offset: new Uint8Array(0), bytes: new Uint8Array(650_000) }],
        dataCount: true,
      });
      const { exports } = new MeterHost().instantiate(metered(module));
      const memory = Buffer.from((exports.memory as WebAssembly.Memory).buffer);
      memory.fill("abcdefg");
      const before = Buffer.from(memory);
      assert.throws(() => (exports.f0 as Run)(...args), /out of bounds/);
      assert.equal(memory.compare(before), 0);
    });
  }
});

describe("what the host answers", () => {
  const countdown: Sketch = {
    params: [i32],
    code: (code) => decrement(units(100)(code.loop())).branchIf(0).end().call(0),
  };
  const enter = (options: MeterHostOptions) => {
    let ended = 0;
    const host = new MeterHost({ fuelPerSlice: 100, ...options });
    const imports = { env: { i0: () => ended++ } };
    const { exports } = host.instantiate(metered(moduleOf([countdown], {}, [{}])), imports);
    const call = () => host.run(() => (exports.f0 as Run)(500));
    const suspended = () => host.run(() => WebAssembly.promising(exports.f0 as never)(500 as never));
    return { host, call, suspended, ended: () => ended };
  };

  test("go", () => {
    const { call, ended } = enter({ onSlice: () => "go" });
    call();
    assert.equal(ended(), 1);
  });

  test("trap, and so it stays", () => {
    const { host, call, ended } = enter({ onSlice: () => "trap" });
    for (let round = 0; round < 2; round++) assert.throws(call, /unreachable/);
    assert.equal(host.stopped, "host");
    assert.equal(host.failure, undefined);
    assert.equal(ended(), 0);
  });

  test("a guest that was stopped does nothing before its first check", () => {
    const code: Write = (out) => out.i32(0).i32(1).memory(Opcode.i32Store).call(1);
    const other: Write = (out) => units(own)(out).call(0);
    const exported = [{ name: "memory", kind: "memory" as const, index: 0 }];
    const module = moduleOf([{ code }, { code: other }], { memories: [{ min: 1 }], exports: exported });
    const host = new MeterHost({ onSlice: () => "trap", fuelPerSlice: 100 });
    const { exports } = host.instantiate(metered(module));
    const memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
    for (const written of [1, 0]) {
      memory[0] = 0;
      assert.throws(() => host.run(exports.f0 as Run), /unreachable/);
      assert.equal(memory[0], written);
    }
  });

  test("what a call of the host costs there is seen before the next one, a tail call too", () => {
    let called = 0;
    const code: Write = (out) => out.call(0).raw([Opcode.returnCall, 1]);
    const host = new MeterHost({ fuel: 5_000n });
    const imports = { env: { i0: () => host.charge(5_000n), i1: () => called++ } };
    const { exports } = host.instantiate(metered(moduleOf([{ code }], {}, [{}, {}])), imports);
    assert.throws(() => host.run(exports.f0 as Run), /unreachable/);
    assert.equal(called, 0);
  });

  test("slices end where fuel is left", () => {
    const asked: bigint[] = [];
    const onSlice = (used: bigint) => {
      asked.push(used);
      return "go" as const;
    };
    const { call, ended } = enter({ fuel: 100_000n, fuelPerSlice: 10_000, onSlice });
    call();
    assert.equal(ended(), 1);
    assert.deepEqual(asked, [10_006n, 20_086n, 30_166n, 40_246n, 50_326n]);
  });

  test("the end of the fuel", () => {
    const { host, call, ended } = enter({ fuel: 20_000n });
    for (let round = 0; round < 2; round++) assert.throws(call, /unreachable/);
    assert.equal(host.stopped, "fuel");
    assert.equal(ended(), 0);
    // what the second call charged before it was stopped counts, too
    assert.equal(host.fuelUsed, 241n + 189n * 105n + 241n);
  });

  test("yield", async () => {
    let yielded = 0;
    const onYield = async () => {
      yielded++;
      return "go" as const;
    };
    const { suspended, ended } = enter({ onSlice: () => "yield", onYield });
    await suspended();
    assert.equal(ended(), 1);
    assert.equal(yielded, 500);
  });

  test("trap after a yield", async () => {
    const { host, suspended, ended } = enter({ onSlice: () => "yield", onYield: async () => "trap" });
    await assert.rejects(suspended, /unreachable/);
    assert.equal(host.stopped, "host");
    assert.equal(ended(), 0);
  });

  test("the end of the fuel during a yield", async () => {
    const { host, suspended, ended } = enter({
      fuel: 1_000_000n,
      fuelPerSlice: 49_200,
      onSlice: () => "yield",
      onYield: async () => {
        host.charge(1_000_000n);
        return "go";
      },
    });
    await assert.rejects(suspended, /unreachable/);
    assert.equal(host.stopped, "fuel");
    assert.equal(host.fuelUsed, 1_000_000n + 241n + 467n * 105n, "it does not go on to its next check");
    assert.equal(ended(), 0);
  });
});
