import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Assembler, i32, MeterHost, Opcode, writeModule } from "../compiler/wasm/index.ts";
import { metered, moduleOf } from "./support/wasm-modules.ts";

type Run = (...args: number[]) => number;

/** Enough that the function pays for itself. */
const prelude = (code: Assembler): Assembler => {
  for (let i = 0; i < 100; i++) code.i32(1).op(Opcode.drop);
  return code;
};

/** f0(counter, limit) counts its turns, and traps after very many. */
const turnsOf = (change: (code: Assembler) => Assembler, compare: number | undefined) =>
  moduleOf([
    {
      params: [i32, i32],
      results: [i32],
      locals: [i32],
      code: (code) => {
        prelude(code).loop().get(2).i32(1).op(Opcode.i32Add).set(2);
        code.get(2).i32(60_000).op(Opcode.i32GtU).if().op(Opcode.unreachable).end();
        change(code).tee(0);
        if (compare !== undefined) code.get(1).op(compare);
        return code.branchIf(0).end().get(2);
      },
    },
  ]);

const outcome = (run: () => number): number | string => {
  try {
    return run();
  } catch (error) {
    return (error as Error).message;
  }
};

describe("loops whose turns can be counted", () => {
  const edges = [0, 1, 2, 5, 64, 4_096, 50_000, -1, -7, -4_096, 0x7fff_ffff, -0x8000_0000, 0x7fff_0000];
  const comparisons = { ne: 0x47, lt_s: 0x48, lt_u: 0x49, gt_s: 0x4a, gt_u: 0x4b, "to zero": undefined };
  for (const [name, compare] of Object.entries(comparisons)) {
    test(`turn as often as they would, and cost the same as if they were not, but for a lease: ${name}`, () => {
      for (const step of [1, 2, 64, 4_096, -1, -8]) {
        const counted = turnsOf((code) => code.get(0).i32(step).op(Opcode.i32Add), compare);
        const other = turnsOf((code) => code.i32(step).get(0).op(Opcode.i32Add), compare);
        const plain = new WebAssembly.Instance(new WebAssembly.Module(writeModule(counted))).exports
          .f0 as Run;
        const hosts = [counted, other].map((module) => {
          const host = new MeterHost({ fuelPerSlice: 777 });
          return { host, run: host.instantiate(metered(module)).exports.f0 as Run };
        });
        for (const from of edges) {
          for (const to of edges) {
            const expected = outcome(() => plain(from, to));
            const used = hosts.map(({ host, run }) => {
              const before = host.fuelUsed;
              assert.equal(
                outcome(() => host.run(() => run(from, to))),
                expected,
                `${from} to ${to} by ${step}`,
              );
              return host.fuelUsed - before;
            });
            if (typeof expected !== "number") continue;
            const lease = used[1]! - used[0]!;
            assert.ok(lease >= 0n && lease < 256n, `${from} to ${to} by ${step}: ${used.join(", ")}`);
          }
        }
      }
    });
  }

  test("are not those that write to their counter or their limit on the way", () => {
    for (const [written, step] of [
      [0, 2],
      [1, -1],
    ] as const) {
      const change = (code: Assembler) =>
        code.get(written).i32(step).op(Opcode.i32Add).set(written).get(0).i32(1).op(Opcode.i32Add);
      const module = turnsOf(change, 0x48);
      const plain = new WebAssembly.Instance(new WebAssembly.Module(writeModule(module))).exports.f0 as Run;
      const host = new MeterHost();
      const { exports } = host.instantiate(metered(module));
      for (const to of edges) {
        const expected = outcome(() => plain(0, to));
        assert.equal(
          outcome(() => host.run(() => (exports.f0 as Run)(0, to))),
          expected,
          `${written}, ${to}`,
        );
      }
    }
  });

  test("are not those that may be left on the way", () => {
    for (const leave of [(code: Assembler) => code.branch(2), (code: Assembler) => code.op(Opcode.return)]) {
      const module = moduleOf([
        {
          params: [i32],
          code: (code) => {
            prelude(code).raw([Opcode.block, 0x40]).loop().get(0).i32(3).op(Opcode.i32Eq).if();
            leave(code).end().get(0).i32(1).op(Opcode.i32Add).tee(0).i32(50_000).op(Opcode.i32LtS);
            return code.branchIf(0).end().end();
          },
        },
      ]);
      const host = new MeterHost();
      const { exports } = host.instantiate(metered(module));
      host.run(() => (exports.f0 as Run)(0));
      assert.ok(host.fuelUsed < 500n, `${host.fuelUsed}`);
    }
  });

  test("are not those that call others", () => {
    let asked = 0;
    const host = new MeterHost({
      fuelPerSlice: 1,
      onSlice: () => {
        asked++;
        return "go";
      },
    });
    const calls = moduleOf([
      {
        params: [i32],
        code: (code) => code.loop().call(1).get(0).i32(1).op(Opcode.i32Sub).tee(0).branchIf(0).end(),
      },
      { code: prelude },
    ]);
    const { exports } = host.instantiate(metered(calls));
    host.run(() => (exports.f0 as Run)(1_000));
    assert.ok(asked > 100, `${asked}`);
  });

  test("may stand in a loop of the same form", () => {
    const nested = moduleOf([
      {
        params: [i32],
        results: [i32],
        locals: [i32, i32],
        code: (code) =>
          prelude(code)
            .loop()
            .i32(7)
            .set(1)
            .loop()
            .get(2)
            .i32(1)
            .op(Opcode.i32Add)
            .set(2)
            .get(1)
            .i32(1)
            .op(Opcode.i32Sub)
            .tee(1)
            .branchIf(0)
            .end()
            .get(0)
            .i32(1)
            .op(Opcode.i32Add)
            .tee(0)
            .i32(1_000)
            .op(Opcode.i32LtS)
            .branchIf(0)
            .end()
            .get(2),
      },
    ]);
    const host = new MeterHost({ fuel: 1_000_000n });
    const { exports } = host.instantiate(metered(nested));
    assert.equal(
      host.run(() => (exports.f0 as Run)(0)),
      7_000,
    );
  });

  test("turn as often as they would where a check falls on their branch back", () => {
    for (let length = 3_700; length < 4_400; length += 60) {
      const module = moduleOf([
        {
          params: [i32, i32],
          results: [i32],
          locals: [i32],
          code: (code) => {
            // behind a call that may be part of a cycle checks are close together
            code.get(2).if().get(0).get(1).call(0).op(Opcode.drop).end();
            code.loop().get(2).i32(1).op(Opcode.i32Add).set(2);
            for (let i = 0; i < length; i++) code.i32(1).op(Opcode.drop);
            code.get(0).i32(1).op(Opcode.i32Add).tee(0).get(1).op(Opcode.i32LtS).branchIf(0).end();
            return code.get(2);
          },
        },
      ]);
      const host = new MeterHost({ fuel: 1_000_000n });
      const { exports } = host.instantiate(metered(module));
      assert.equal(
        host.run(() => (exports.f0 as Run)(0, 5)),
        5,
        `${length}`,
      );
    }
  });

  test("ask the host in every portion of at most 8,192 units", () => {
    const asked: bigint[] = [];
    const host = new MeterHost({
      fuelPerSlice: 1,
      onSlice: (used) => {
        asked.push(used);
        return "go";
      },
    });
    const module = turnsOf((code) => code.get(0).i32(1).op(Opcode.i32Sub), undefined);
    const { exports } = host.instantiate(metered(module));
    assert.equal(
      host.run(() => (exports.f0 as Run)(50_000, 0)),
      50_000,
    );
    const gaps = asked.slice(1).map((used, i) => Number(used - asked[i]!));
    assert.ok(gaps.length > 50, `${gaps.length}`);
    assert.ok(Math.max(...gaps) <= 8_192 && Math.min(...gaps) > 4_096, `${gaps}`);
  });

  test("that never end are stopped", () => {
    const endless = moduleOf([
      { params: [i32], code: (code) => code.loop().get(0).i32(2).op(Opcode.i32Add).tee(0).branchIf(0).end() },
    ]);
    const host = new MeterHost({ fuel: 100_000n });
    const { exports } = host.instantiate(metered(endless));
    assert.throws(() => host.run(() => (exports.f0 as Run)(1)), /unreachable/);
    assert.equal(host.stopped, "fuel");
    assert.ok(host.fuelUsed < 110_000n);
  });
});

describe("the loops of interpreters", () => {
  /** f0(turns) or, for ever: dispatches by a table to one of 20 ways back. f1: calls it ten times for no turns. */
  const interpreter = (forever = false) =>
    moduleOf([
      {
        params: [i32],
        results: [i32],
        code: (code) => {
          prelude(code).loop();
          if (!forever) code.get(0).op(Opcode.i32Eqz).if().i32(7).op(Opcode.return).end();
          code.i32(-1).get(0).op(Opcode.i32Add).set(0);
          for (let i = 0; i < 20; i++) code.get(0).i32(i).op(Opcode.i32Eq).branchIf(0);
          return code.branch(0).end().op(Opcode.unreachable);
        },
      },
      {
        params: [i32],
        results: [i32],
        code: (code) => {
          for (let i = 0; i < 10; i++) code.i32(0).call(0).op(Opcode.drop);
          return code.i32(7);
        },
      },
    ]);
  const run = (turns: number, fuelPerSlice: number, name = "f0"): { used: bigint; asked: number } => {
    let asked = 0;
    const host = new MeterHost({
      fuelPerSlice,
      onSlice: () => {
        asked++;
        return "go";
      },
    });
    const { exports } = host.instantiate(metered(interpreter()));
    assert.equal(
      host.run(() => (exports[name] as Run)(turns)),
      7,
    );
    return { used: host.fuelUsed, asked };
  };

  test("cost the same for each turn, whatever the slices, and give back what they do not use", () => {
    const [none, one, many] = [0, 1, 1_001].map((turns) => run(turns, 1_000).used);
    const turn = one! - none!;
    assert.ok(turn > 60n && turn < 100n, `${turn}`);
    assert.equal(many, none! + 1_001n * turn);
    assert.equal(run(1_001, 1_000_000).used, many);
  });

  test("ask in every 16th turn", () => {
    const { asked } = run(1_600, 1);
    assert.ok(asked >= 100 && asked <= 103, `${asked}`);
  });

  test("ask before their first turn, and pay for 16 of them", () => {
    const { asked } = run(0, 1, "f1");
    assert.ok(asked >= 10 && asked <= 12, `${asked}`);
    const turn = run(1, 1_000).used - run(0, 1_000).used;
    const { used } = run(0, 1_000);
    // one of the 16 is used
    const host = new MeterHost({ fuel: used + 15n * turn - 1n });
    const { exports } = host.instantiate(metered(interpreter()));
    assert.throws(() => host.run(() => (exports.f0 as Run)(0)), /unreachable/);
    assert.equal(host.stopped, "fuel");
  });

  test("that never end are stopped", () => {
    const host = new MeterHost({ fuel: 100_000n });
    const { exports } = host.instantiate(metered(interpreter(true)));
    assert.throws(() => host.run(() => (exports.f0 as Run)(1)), /unreachable/);
    assert.equal(host.stopped, "fuel");
  });
});
