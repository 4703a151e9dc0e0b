import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type Assembler,
  activeElements,
  emptyModule,
  exnref,
  externref,
  f32,
  f64,
  funcref,
  i32,
  i64,
  MeterHost,
  MeterHostError,
  type MeterHostOptions,
  type Module,
  meterBytes,
  Opcode,
  v128,
  writeModule,
} from "../compiler/wasm/index.ts";
import { constant, metered, moduleOf, type Sketch } from "./support/wasm-modules.ts";

type Call = (...args: unknown[]) => unknown;

function start(module: Module, options?: MeterHostOptions, imports?: Record<string, Call>) {
  const host = new MeterHost(options);
  const { exports } = host.instantiate(metered(module), imports ? { env: imports } : {});
  const call = (name: string, ...args: unknown[]) => host.run(() => (exports[name] as Call)(...args));
  return { host, exports, call };
}

const spin = (code: Assembler) => code.loop().branch(0).end();

/** Counts its parameter down in a loop, and calls itself with half of it. */
const busy: Sketch = {
  params: [i32],
  locals: [i32],
  code: (code) =>
    code
      .get(0)
      .set(1)
      .loop()
      .get(1)
      .if()
      .get(1)
      .i32(1)
      .op(Opcode.i32Sub)
      .set(1)
      .branch(1)
      .end()
      .end()
      .get(0)
      .if()
      .get(0)
      .i32(1)
      .op(Opcode.i32ShrU)
      .call(0)
      .end(),
};

describe("counting fuel", () => {
  const slices = [1, 2, 3, 7, 100, 4_096, 200_000, 100_000_000];

  test("totals do not depend on the length of slices", () => {
    const fill: Sketch = {
      params: [i32],
      code: (code) => code.i32(0).i32(7).get(0).raw([0xfc, 0x0b, 0x00]),
    };
    const totals = slices.map((fuelPerSlice) => {
      const { host, call } = start(moduleOf([busy, fill], { memories: [{ min: 16 }] }), { fuelPerSlice });
      return [10, 1_000, 20_000].map((n) => {
        call("f0", n);
        call("f1", n * 40);
        return host.fuelUsed;
      });
    });
    assert.ok(totals[0]![2]! > 100_000n);
    for (const total of totals) assert.deepEqual(total, totals[0]);
  });

  test("a guest is stopped at the same total whatever the slices, and just behind its limit", () => {
    for (const fuel of [0n, 1n, 9_999n, 123_456n]) {
      const totals = slices.map((fuelPerSlice) => {
        const { host, call } = start(moduleOf([{ code: spin }]), { fuel, fuelPerSlice });
        assert.throws(() => call("f0"), /unreachable/);
        assert.equal(host.stopped, "fuel");
        return host.fuelUsed;
      });
      assert.ok(totals[0]! > fuel && totals[0]! < fuel + 10_000n, `${fuel}: ${totals[0]}`);
      assert.deepEqual(new Set(totals), new Set([totals[0]]));
    }
  });

  test("the total is exact while the guest runs", () => {
    const seen = slices.map((fuelPerSlice) => {
      const module = moduleOf(
        [
          { ...busy, code: (code) => code.get(0).call(2).call(0).get(0).call(2).call(0) },
          { params: [i32], locals: [i32], code: (code) => busy.code(code).call(0) },
        ],
        {},
        [{}],
      );
      // `busy` calls function 0, which is the import here: it only counts down
      module.functions[1]!.code = constant((code) =>
        code.loop().get(0).i32(1).op(Opcode.i32Sub).tee(0).branchIf(0).end(),
      );
      const totals: bigint[] = [];
      const { host, call } = start(module, { fuelPerSlice }, { i0: () => totals.push(host.fuelUsed) });
      call("f0", 500);
      return [...totals, host.fuelUsed];
    });
    assert.equal(seen[0]!.length, 3);
    assert.ok(seen[0]![0]! > 1_000n && seen[0]![1]! > seen[0]![0]! + 1_000n);
    for (const totals of seen) assert.deepEqual(totals, seen[0]);
  });

  test("exports called without run are counted too", () => {
    const { host, exports } = start(moduleOf([busy]));
    const other = start(moduleOf([busy]));
    (exports.f0 as Call)(1_000);
    (exports.f0 as Call)(1_000);
    other.call("f0", 1_000);
    other.call("f0", 1_000);
    assert.equal(host.fuelUsed, other.host.fuelUsed);
  });

  test("the total stays at 2^63 - 1", () => {
    const { host, call } = start(moduleOf([busy]));
    host.charge(2n ** 63n - 2_000n);
    call("f0", 10);
    const near = host.fuelUsed;
    assert.ok(near > 2n ** 63n - 2_000n && near < 2n ** 63n - 1n);
    call("f0", 10_000);
    assert.equal(host.fuelUsed, 2n ** 63n - 1n);
    host.charge(2n ** 70n);
    call("f0", 10_000);
    assert.equal(host.fuelUsed, 2n ** 63n - 1n);
    const limited = start(moduleOf([busy]), { fuel: 2n ** 63n - 2n });
    limited.host.charge(2n ** 63n - 2n);
    assert.throws(() => limited.call("f0", 10_000), /unreachable/);
    assert.equal(limited.host.fuelUsed, 2n ** 63n - 1n);
  });

  test("what the host charges counts for the limit at once", () => {
    for (const fuelPerSlice of slices) {
      let after = 0;
      const module = moduleOf([{ code: (code) => code.call(0).call(1).call(1) }], {}, [{}, {}]);
      const { host, call } = start(
        module,
        { fuel: 5_000n, fuelPerSlice },
        { i0: () => host.charge(5_000n), i1: () => after++ },
      );
      assert.throws(() => call("f0"), /unreachable/);
      assert.equal(host.stopped, "fuel");
      assert.equal(after, 0);
    }
  });

  test("a slice that the host ends is asked about at the next check, and counts what was used of it", () => {
    const run = (ends: boolean) => {
      let asked = 0;
      const module = moduleOf([{ code: (code) => code.call(0).call(0).call(0) }], {}, [{}]);
      const { host, call } = start(
        module,
        {
          onSlice: () => {
            asked++;
            return "go";
          },
        },
        { i0: () => ends && host.endSlice() },
      );
      call("f0");
      return { asked, fuelUsed: host.fuelUsed };
    };
    const [left, ended] = [run(false), run(true)];
    // the second and the third call follow a check
    assert.equal(ended.asked - left.asked, 2);
    assert.equal(ended.fuelUsed, left.fuelUsed);
  });

  test("onSlice hears of every slice, and can stop the guest for good", () => {
    const heard: bigint[] = [];
    const { host, call } = start(moduleOf([busy, { code: spin }]), {
      fuelPerSlice: 1_000,
      onSlice: (used) => (heard.push(used) < 5 ? "go" : "trap"),
    });
    assert.throws(() => call("f1"), /unreachable/);
    assert.equal(heard.length, 5);
    assert.ok(heard.every((used, i) => used > BigInt(i + 1) * 1_000n));
    assert.equal(host.stopped, "host");
    assert.throws(() => call("f0", 100), /unreachable/);
    assert.equal(heard.length, 5, "it is not asked again");
  });

  test("what onSlice throws stops the guest, which can't catch it", () => {
    const failure = new Error("no more");
    const guarded = moduleOf([{ code: (code) => spin(code.raw(legacyTry)).raw(catchAll).end() }]);
    const { host, call } = start(guarded, {
      onSlice: () => {
        throw failure;
      },
    });
    assert.throws(() => call("f0"), /unreachable/);
    assert.equal(host.stopped, "host");
    assert.equal(host.failure, failure);
  });

  test("the whole of QuickJS can be hosted", async () => {
    const bytes = await readFile(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm")));
    const module = new WebAssembly.Module(meterBytes(bytes));
    const imports: Record<string, Record<string, Call>> = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      imports[from] = { ...imports[from], [name]: () => 0 };
    }
    const host = new MeterHost({ fuel: 10_000_000n });
    const { exports } = host.instantiate(module, imports);
    host.run(() => (exports._initialize as Call)());
    assert.equal(host.stopped, undefined);
  });
});

const legacyTry = [Opcode.try, 0x40];
const catchAll = [Opcode.catchAll];

describe("nothing in the guest gets around being stopped", () => {
  const tag = (): Partial<Module> => ({ tags: [0], types: [{ params: [], results: [] }] });
  const again = (inside: (code: Assembler) => Assembler) => (code: Assembler) =>
    inside(code.loop()).branch(0).end();
  const cases: Record<string, () => Module> = {
    catch_all: () => moduleOf([{ code: again((code) => spin(code.raw(legacyTry)).raw(catchAll).end()) }]),
    "catch_all in recursion": () =>
      moduleOf([
        { params: [i32], code: (code) => spin(code.raw(legacyTry)).raw(catchAll).end() },
        {
          params: [i32],
          code: again((code) => code.raw(legacyTry).i32(1).call(0).raw(catchAll).end()),
        },
      ]),
    try_table: () =>
      // block (try_table (catch_all 0) …) end
      moduleOf([
        {
          code: again((code) =>
            spin(code.raw([0x02, 0x40, Opcode.tryTable, 0x40, 1, 2, 0]))
              .end()
              .end(),
          ),
        },
      ]),
    "try_table whose clause is the loop": () =>
      moduleOf(
        [
          {
            code: (code) =>
              code.loop().raw([Opcode.tryTable, 0x40, 1, 2, 0, Opcode.throw, 0]).end().branch(0).end(),
          },
        ],
        tag(),
      ),
    delegate: () =>
      moduleOf([
        {
          code: again((code) =>
            spin(code.raw(legacyTry).raw(legacyTry)).raw([Opcode.delegate, 0]).raw(catchAll).end(),
          ),
        },
      ]),
    "delegate of a throw": () =>
      moduleOf(
        [
          {
            code: again((code) =>
              code
                .raw(legacyTry)
                .raw(legacyTry)
                .raw([Opcode.throw, 0, Opcode.delegate, 0])
                .raw(catchAll)
                .end(),
            ),
          },
        ],
        tag(),
      ),
    rethrow: () =>
      moduleOf(
        [
          {
            code: again((code) =>
              code
                .raw(legacyTry)
                .raw(legacyTry)
                .raw([Opcode.throw, 0, Opcode.catch, 0, Opcode.rethrow, 0])
                .end()
                .raw(catchAll)
                .end(),
            ),
          },
        ],
        tag(),
      ),
    "a tail call of itself": () => moduleOf([{ code: (code) => code.raw([Opcode.returnCall, 0]) }]),
    "tail calls in a ring": () =>
      moduleOf([
        { code: (code) => code.raw([Opcode.returnCall, 1]) },
        { code: (code) => code.raw([Opcode.returnCall, 2]) },
        { code: (code) => code.raw([Opcode.returnCall, 0]) },
      ]),
    "a tail call through a table": () =>
      moduleOf([{ code: (code) => code.i32(0).raw([Opcode.returnCallIndirect, 0, 0]) }], {
        tables: [{ element: funcref, min: 1 }],
        elements: [
          activeElements(
            constant((code) => code.i32(0)),
            [0],
          ),
        ],
      }),
    "a throw through many frames": () =>
      moduleOf(
        [
          { code: (code) => code.raw([Opcode.throw, 0]) },
          { code: again((code) => code.raw(legacyTry).call(0).raw(catchAll).end()) },
        ],
        tag(),
      ),
  };
  for (const [name, make] of Object.entries(cases)) {
    test(name, () => {
      const module = make();
      const last = `f${module.functions.length - 1}`;
      const totals = [50, 1_000, 1_000_000].map((fuelPerSlice) => {
        const { host, call } = start(module, { fuel: 20_000n, fuelPerSlice });
        assert.throws(() => call(last, 0), WebAssembly.RuntimeError);
        assert.equal(host.stopped, "fuel");
        assert.ok(host.fuelUsed > 20_000n && host.fuelUsed < 30_000n, `${host.fuelUsed}`);
        assert.throws(() => call(last, 0), WebAssembly.RuntimeError);
        return host.fuelUsed;
      });
      assert.deepEqual(new Set(totals), new Set([totals[0]]));
    });
  }

  test("a start function runs under the limits, and its fuel counts", () => {
    const endless = moduleOf([{ code: spin }], { start: 0 });
    const host = new MeterHost({ fuel: 5_000n });
    assert.throws(() => host.instantiate(metered(endless)), /unreachable/);
    assert.equal(host.stopped, "fuel");

    const setsUp = moduleOf(
      [{ code: (code) => code.i32(700).call(1).i32(8).i32(42).memory(Opcode.i32Store) }, busy],
      {
        start: 0,
        memories: [{ min: 1 }],
        exports: [{ name: "memory", kind: "memory", index: 0 }],
      },
    );
    setsUp.functions[1]!.code = constant((code) =>
      code.loop().get(0).i32(1).op(Opcode.i32Sub).tee(0).branchIf(0).end(),
    );
    const { host: other, exports } = start(setsUp);
    assert.ok(other.fuelUsed > 1_000n);
    assert.equal(new Uint32Array((exports.memory as WebAssembly.Memory).buffer)[2], 42);
  });

  test("a start function that is imported is called by the host", () => {
    let calls = 0;
    const module = moduleOf([], { start: 0 }, [{}]);
    start(module, {}, { i0: () => calls++ });
    assert.equal(calls, 1);
  });

  test("a host that swallows the trap of a nested call does not save the guest", () => {
    // f0 calls the import, which calls f1, which spins; then f0 spins itself
    for (const fuelPerSlice of [100, 1_000_000]) {
      let swallowed = 0;
      const module = moduleOf([{ code: again((code) => code.call(0)) }, { code: spin }], {}, [{}]);
      const { host, call } = start(
        module,
        { fuel: 10_000n, fuelPerSlice },
        {
          i0: () => {
            assert.throws(() => call("f1"), /unreachable/);
            swallowed++;
          },
        },
      );
      assert.throws(() => call("f0"), /unreachable/);
      assert.equal(host.stopped, "fuel");
      assert.ok(swallowed <= 2);
    }
  });

  test("nested calls are counted once, whatever the slices", () => {
    const totals = [1, 10, 1_000, 1_000_000].map((fuelPerSlice) => {
      const module = moduleOf(
        [
          { params: [i32], code: (code) => code.get(0).call(0).get(0).call(2) },
          {
            params: [i32],
            code: (code) => code.loop().get(0).i32(1).op(Opcode.i32Sub).tee(0).branchIf(0).end(),
          },
        ],
        {},
        [{ params: [i32] }],
      );
      const { host, call } = start(module, { fuelPerSlice }, { i0: (n) => call("f1", n) });
      call("f0", 300);
      call("f0", 300);
      return host.fuelUsed;
    });
    assert.deepEqual(new Set(totals), new Set([totals[0]]));
  });
});

describe("yielding", () => {
  test("others run while a guest waits, and totals stay exact", async () => {
    const turns: string[] = [];
    let left = 0;
    const make = (name: string, fuelPerSlice: number) =>
      start(moduleOf([busy]), {
        fuelPerSlice,
        onSlice: () => "yield",
        onYield: async () => {
          turns.push(name);
          left++;
          await new Promise((resolve) => setImmediate(resolve));
          return "go";
        },
      });
    const plain = start(moduleOf([busy]));
    plain.call("f0", 5_000);
    const [a, b] = [make("a", 5_000), make("b", 5_000)];
    const enter = ({ host, exports }: typeof a) =>
      host.run(() => WebAssembly.promising(exports.f0 as never)(5_000 as never));
    const both = [enter(a), enter(b)];
    assert.throws(() => a.host.snapshot(), { code: "running" });
    await Promise.all(both);
    assert.ok(left > 4);
    assert.match(turns.join(""), /abab/);
    assert.equal(a.host.fuelUsed, plain.host.fuelUsed);
    assert.equal(b.host.fuelUsed, plain.host.fuelUsed);
    a.host.snapshot();
  });

  for (const [name, onYield] of Object.entries<() => Promise<"trap" | "go">>({
    "says trap": async () => "trap",
    rejects: async () => {
      throw new Error("gone");
    },
  })) {
    test(`a guest is stopped when onYield ${name}`, async () => {
      const guarded = moduleOf([{ code: (code) => spin(code.raw(legacyTry)).raw(catchAll).end() }]);
      const { host, exports } = start(guarded, { onSlice: () => "yield", onYield });
      await assert.rejects(
        host.run(() => WebAssembly.promising(exports.f0 as never)()),
        /unreachable/,
      );
      assert.equal(host.stopped, "host");
      assert.equal((host.failure as Error | undefined)?.message, name === "rejects" ? "gone" : undefined);
    });
  }

  test("fuel ends a guest that yields", async () => {
    const { host, exports } = start(moduleOf([{ code: spin }]), {
      fuel: 50_000n,
      fuelPerSlice: 10_000,
      onSlice: () => "yield",
    });
    await assert.rejects(
      host.run(() => WebAssembly.promising(exports.f0 as never)()),
      /unreachable/,
    );
    assert.equal(host.stopped, "fuel");
  });

  test("a guest that can't be suspended is still stopped by its limits", () => {
    const caught = moduleOf([
      {
        code: (code) => spin(code.loop().raw(legacyTry)).raw(catchAll).end().branch(0).end(),
      },
    ]);
    const { host, call } = start(caught, { fuel: 50_000n, fuelPerSlice: 1_000, onSlice: () => "yield" });
    assert.throws(() => call("f0"));
    assert.ok(host.fuelUsed < 100_000n);
  });
});

const grow = (memory = 0): Sketch => ({
  params: [i32],
  results: [i32],
  code: (code) => code.get(0).raw([Opcode.memoryGrow, memory]),
});
const size: Sketch = { results: [i32], code: (code) => code.raw([Opcode.memorySize, 0]) };
const growTable: Sketch = {
  params: [i32],
  results: [i32],
  code: (code) => code.raw([0xd0, funcref]).get(0).raw([0xfc, 0x0f, 0]),
};

describe("memories and tables", () => {
  test("a memory grows to its limit and no further", () => {
    const { host, call } = start(moduleOf([grow(), size], { memories: [{ min: 1 }] }), { memoryPages: 4 });
    assert.equal(call("f0", 2), 1);
    assert.equal(call("f0", 0), 3);
    assert.equal(call("f0", 1), 3);
    assert.equal(call("f1"), 4);
    assert.equal(host.stopped, undefined);
    assert.throws(() => call("f0", 1), /unreachable/);
    assert.equal(host.stopped, "memory");
  });

  test("growth by as much as an i32 can say is beyond every limit", () => {
    const { host, call } = start(moduleOf([grow()], { memories: [{ min: 1 }] }));
    assert.throws(() => call("f0", -1), /unreachable/);
    assert.equal(host.stopped, "memory");
  });

  test("a memory's own maximum is refused, not a reason to stop", () => {
    const { host, call } = start(moduleOf([grow(), size], { memories: [{ min: 1, max: 2 }] }));
    assert.equal(call("f0", 2), -1);
    assert.equal(call("f0", 1), 1);
    assert.equal(call("f1"), 2);
    assert.equal(host.stopped, undefined);
  });

  test("several memories share the limit, imported ones too", () => {
    const module = moduleOf([grow(0), grow(1)], {
      imports: [{ module: "env", name: "memory", kind: "memory", memory: { min: 1 } }],
      memories: [{ min: 1 }],
    });
    const host = new MeterHost({ memoryPages: 4 });
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { exports } = host.instantiate(metered(module), { env: { memory } });
    assert.equal((exports.f0 as Call)(1), 1);
    assert.equal(memory.buffer.byteLength, 2 * 65_536);
    assert.equal((exports.f1 as Call)(1), 1);
    assert.throws(() => (exports.f0 as Call)(1), /unreachable/);
    assert.equal(host.stopped, "memory");
  });

  test("a memory that another instance grows is larger for its owner", () => {
    const owner = start(
      moduleOf([grow(0), size], {
        memories: [{ min: 1 }],
        exports: [{ name: "m", kind: "memory", index: 0 }],
      }),
    );
    const other = moduleOf([grow(0), size], {
      imports: [{ module: "env", name: "memory", kind: "memory", memory: { min: 1 } }],
    });
    const host = new MeterHost();
    const { exports } = host.instantiate(metered(other), { env: { memory: owner.exports.m! } });
    assert.equal((exports.f0 as Call)(2), 1);
    assert.equal(owner.call("f1"), 3);
    assert.equal(owner.call("f0", 1), 3);
    assert.equal((exports.f1 as Call)(), 4);
  });

  test("a start function can be left to the caller", () => {
    const endless = moduleOf([{ code: spin }], { start: 0 });
    const host = new MeterHost({ fuel: 1_000n });
    const { start: begin } = host.prepare(metered(endless));
    assert.equal(host.fuelUsed, 0n);
    assert.throws(() => host.run(begin!), /unreachable/);
    assert.equal(host.stopped, "fuel");
    assert.equal(new MeterHost().prepare(metered(moduleOf([]))).start, undefined);
  });

  test("a memory of 64 bits grows", () => {
    const wide: Sketch = {
      params: [i64],
      results: [i64],
      code: (code) => code.get(0).raw([Opcode.memoryGrow, 0]),
    };
    const { host, call } = start(moduleOf([wide], { memories: [{ min: 1, index64: true }] }), {
      memoryPages: 4,
    });
    assert.equal(call("f0", 2n), 1n);
    assert.equal(call("f0", 1n), 3n);
    assert.throws(() => call("f0", 2n ** 63n), /unreachable/);
    assert.equal(host.stopped, "memory");
  });

  test("a table grows to its limit and no further", () => {
    const { host, call } = start(moduleOf([growTable], { tables: [{ element: funcref, min: 2 }] }), {
      tableEntries: 10,
    });
    assert.equal(call("f0", 8), 2);
    assert.throws(() => call("f0", 1), /unreachable/);
    assert.equal(host.stopped, "table");
    const own = start(moduleOf([growTable], { tables: [{ element: funcref, min: 2, max: 3 }] }));
    assert.equal(own.call("f0", 2), -1);
    assert.equal(own.call("f0", 1), 2);
  });

  test("what begins too large is refused before the start function runs", () => {
    let started = 0;
    const large = (rest: Partial<Module>) => metered(moduleOf([], { ...rest, start: 0 }, [{}]));
    const env = { env: { i0: () => started++ } };
    const refused = (rest: Partial<Module>, message: RegExp) =>
      assert.throws(
        () => new MeterHost({ memoryPages: 4, tableEntries: 10 }).instantiate(large(rest), env),
        (error) =>
          error instanceof MeterHostError && error.code === "limit_exceeded" && message.test(error.message),
      );
    refused({ memories: [{ min: 5 }] }, /memoryPages is 5 .*limit is 4/);
    refused({ memories: [{ min: 2 }, { min: 3 }] }, /memoryPages is 5 .*limit is 4/);
    refused({ tables: [{ element: funcref, min: 11 }] }, /tableEntries is 11 .*limit is 10/);
    assert.equal(started, 0);
  });
});

describe("resetting", () => {
  test("memory, its size, and a tail that had grown", () => {
    const module = moduleOf(
      [
        grow(),
        size,
        { params: [i32], results: [i32], code: (code) => code.get(0).memory(Opcode.i32Load) },
        { params: [i32, i32], code: (code) => code.get(0).get(1).memory(Opcode.i32Store) },
      ],
      {
        memories: [{ min: 1 }],
        data: [
          { mode: "active", offset: constant((code) => code.i32(16)), bytes: new Uint8Array([1, 2, 3]) },
        ],
      },
    );
    const { host, call } = start(module);
    call("f3", 100, 7);
    host.snapshot();
    const { fuelUsed } = host;
    const once = (): bigint => {
      assert.equal(host.reset(), true);
      assert.equal(host.fuelUsed, fuelUsed);
      assert.deepEqual(
        [call("f1"), call("f2", 16), call("f2", 100), call("f2", 60_000)],
        [1, 0x030201, 7, 0],
      );
      assert.equal(call("f0", 2), 1);
      assert.equal(call("f2", 70_000), 0);
      for (const at of [16, 100, 60_000, 70_000]) call("f3", at, -1);
      return host.fuelUsed;
    };
    const first = once();
    assert.equal(once(), first);
    assert.equal(once(), first);
  });

  test("a stopped guest can be used again", () => {
    const { host, call } = start(moduleOf([{ code: spin }]), { fuel: 10_000n });
    host.snapshot();
    for (let round = 0; round < 3; round++) {
      assert.throws(() => call("f0"), /unreachable/);
      assert.equal(host.stopped, "fuel");
      assert.throws(() => host.snapshot(), { code: "stopped" });
      assert.equal(host.reset(), true);
      assert.equal(host.stopped, undefined);
      assert.equal(host.fuelUsed, 0n);
    }
  });

  test("globals of every type, to the bit", () => {
    // a signalling NaN of f32, a NaN of f64 with a payload
    const nan32 = [0x43, 0x01, 0x00, 0xa0, 0x7f];
    const nan64 = [0x44, 0x01, 0, 0, 0, 0, 0, 0xf4, 0xff];
    const vector = (byte: number) => [0xfd, 0x0c, ...Array(16).fill(byte)];
    const types = [i32, i64, f32, f64, v128, funcref, externref];
    const initial: number[][] = [[0x41, 1], [0x42, 2], nan32, nan64, vector(5), [0xd2, 0], [0xd0, externref]];
    const other: number[][] = [
      [0x41, 9],
      [0x42, 9],
      [0x43, 0, 0, 0, 0],
      [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
      vector(9),
      [0xd0, funcref],
      [Opcode.localGet, 0],
    ];
    const module = moduleOf(
      [
        {
          params: [externref],
          code: (code) => other.reduce((out, value, i) => out.raw(value).globalSet(i), code),
        },
        {
          // writes the bits of those that memory can hold
          code: (code) => {
            code.i32(0).globalGet(0).raw([0x36, 2, 0]);
            code.i32(8).globalGet(1).raw([0x37, 3, 0]);
            code.i32(16).globalGet(2).raw([0x38, 2, 0]);
            code.i32(24).globalGet(3).raw([0x39, 3, 0]);
            return code.i32(32).globalGet(4).raw([0xfd, 0x0b, 4, 0]);
          },
        },
        { results: [i32], code: (code) => code.globalGet(5).raw([0xd1]) },
        { results: [externref], code: (code) => code.globalGet(6) },
        { params: [externref], code: (code) => code.get(0).globalSet(6) },
      ],
      {
        memories: [{ min: 1 }],
        exports: [{ name: "memory", kind: "memory", index: 0 }],
        globals: types.map((type, i) => ({
          type,
          mutable: true,
          init: constant((code) => code.raw(initial[i]!)),
        })),
      },
    );
    const { host, exports, call } = start(module);
    const state = () => {
      call("f1");
      const bytes = Buffer.from((exports.memory as WebAssembly.Memory).buffer, 0, 48).toString("hex");
      return [bytes, call("f2"), call("f3")];
    };
    const mine = { some: "object" };
    call("f4", mine);
    const before = state();
    assert.deepEqual(before.slice(1), [0, mine]);
    host.snapshot();
    call("f0", {});
    assert.notDeepEqual(state(), before);
    assert.equal(host.reset(), true);
    assert.deepEqual(state(), before);
    assert.equal(call("f3"), mine);
  });

  const tableModule = () =>
    moduleOf(
      [
        { results: [i32], code: (code) => code.i32(11) },
        { results: [i32], code: (code) => code.i32(22) },
        {
          params: [i32],
          results: [i32],
          code: (code) => code.get(0).raw([Opcode.callIndirect, 0, 0]),
        },
        { code: (code) => code.i32(0).raw([Opcode.refFunc, 1]).raw([Opcode.tableSet, 0]) },
        growTable,
        { code: (code) => code.raw([0xfc, 0x09, 0]) },
        { code: (code) => code.raw([0xfc, 0x0d, 1]) },
      ],
      {
        tables: [{ element: funcref, min: 3 }],
        memories: [{ min: 1 }],
        elements: [
          activeElements(
            constant((code) => code.i32(0)),
            [0, 1],
          ),
          { mode: "passive", offset: new Uint8Array(0), items: { functions: [1] } },
        ],
        dataCount: true,
        data: [{ mode: "passive", offset: new Uint8Array(0), bytes: new Uint8Array(3) }],
      },
    );

  test("tables", () => {
    const { host, call } = start(tableModule());
    host.snapshot();
    for (let round = 0; round < 2; round++) {
      assert.equal(call("f2", 0), 11);
      call("f3");
      assert.equal(call("f2", 0), 22);
      assert.equal(host.reset(), true);
    }
    assert.equal(call("f2", 0), 11);
    call("f4", 5);
    call("f3");
    assert.equal(host.reset(), false);
    assert.equal(call("f2", 0), 22, "nothing was changed");
  });

  test("a table that had grown before is set back to that length", () => {
    const { host, call } = start(tableModule());
    call("f4", 2);
    host.snapshot();
    call("f3");
    assert.equal(host.reset(), true);
    assert.equal(call("f4", 0), 5);
    assert.equal(call("f2", 0), 11);
  });

  test("tables of 64-bit indices", () => {
    const module = moduleOf(
      [
        { code: (code) => code.i64(0n).raw([0xd2, 0, Opcode.tableSet, 0]) },
        { results: [i32], code: (code) => code.i64(0n).raw([Opcode.tableGet, 0, 0xd1]) },
      ],
      { tables: [{ element: funcref, min: 2, index64: true }] },
    );
    const { host, call } = start(module);
    host.snapshot();
    call("f0");
    assert.equal(call("f1"), 0);
    assert.equal(host.reset(), true);
    assert.equal(call("f1"), 1);
  });

  test("exceptions in globals come back, in a table that was changed they can't", () => {
    const none = [0xd0, exnref];
    const module = moduleOf(
      [
        { code: (code) => code.raw(none).globalSet(0) },
        { code: (code) => code.i32(0).raw([...none, Opcode.tableSet, 0]) },
      ],
      {
        tables: [{ element: exnref, min: 2 }],
        globals: [{ type: exnref, mutable: true, init: constant((code) => code.raw(none)) }],
      },
    );
    const { host, call } = start(module);
    host.snapshot();
    call("f0");
    assert.equal(host.reset(), true);
    call("f1");
    assert.equal(host.reset(), false);
  });

  test("dropped segments can't come back, unless they were dropped before", () => {
    for (const drop of ["f5", "f6"]) {
      const { host, call } = start(tableModule());
      host.snapshot();
      call(drop);
      assert.equal(host.reset(), false);
      assert.equal(host.reset(), false);
      const other = start(tableModule());
      other.call(drop);
      other.host.snapshot();
      assert.equal(other.host.reset(), true);
    }
  });
});

describe("a host's own use", () => {
  const empty = () => metered(moduleOf([]));

  test("options out of range are quoted", () => {
    const wrong: [MeterHostOptions, RegExp][] = [
      [{ fuel: -1n }, /fuel .*not -1n/],
      [{ fuel: 2n ** 63n }, /fuel .*not 9223372036854775808n/],
      [{ fuel: 5 as never }, /fuel .*not 5/],
      [{ fuelPerSlice: 0 }, /fuelPerSlice .*not 0/],
      [{ fuelPerSlice: 100_000_001 }, /fuelPerSlice .*not 100000001/],
      [{ fuelPerSlice: 1.5 }, /fuelPerSlice .*not 1.5/],
      [{ fuelPerSlice: "9" as never }, /fuelPerSlice .*not "9"/],
      [{ memoryPages: -1 }, /memoryPages .*not -1/],
      [{ memoryPages: Number.NaN }, /memoryPages .*not NaN/],
      [{ tableEntries: 2 ** 33 }, /tableEntries .*not 8589934592/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(
        () => new MeterHost(options),
        (error) => error instanceof RangeError && message.test(error.message),
        String(message),
      );
    }
    assert.throws(() => new MeterHost().charge(-1n), RangeError);
  });

  test("one instance, of a metered module; snapshot before reset", () => {
    const host = new MeterHost();
    const plain = new WebAssembly.Module(writeModule(emptyModule()));
    assert.throws(() => host.snapshot(), { code: "not_ready" });
    assert.throws(() => host.reset(), { code: "not_ready" });
    assert.throws(() => host.instantiate(plain), { code: "not_metered" });
    host.instantiate(empty());
    assert.throws(() => host.instantiate(empty()), { code: "already_instantiated" });
    assert.throws(() => host.reset(), { code: "not_ready" });
  });

  test("a missing import leaves the host to be tried again", () => {
    const module = metered(moduleOf([], {}, [{}]));
    const host = new MeterHost();
    assert.throws(() => host.instantiate(module), TypeError);
    assert.throws(() => host.instantiate(module, { env: {} }), WebAssembly.LinkError);
    host.instantiate(module, { env: { i0: () => {} } });
  });

  test("a module metered with mode none runs, grows within limits and is reset", () => {
    const module = moduleOf([grow(), size, busy], { memories: [{ min: 1 }] });
    module.functions[2]!.code = constant((code) => code);
    const host = new MeterHost({ memoryPages: 3 });
    const bytes = meterBytes(writeModule(module), { mode: "none" });
    for (const options of [{ fuel: 10n }, { onSlice: () => "go" }] satisfies MeterHostOptions[]) {
      assert.throws(() => new MeterHost(options).instantiate(new WebAssembly.Module(bytes)), {
        code: "not_metered",
      });
    }
    const { exports } = host.instantiate(new WebAssembly.Module(bytes));
    host.snapshot();
    assert.equal((exports.f0 as Call)(2), 1);
    assert.equal(host.reset(), true);
    assert.equal((exports.f1 as Call)(), 1);
    assert.throws(() => (exports.f0 as Call)(3), /unreachable/);
    assert.equal(host.stopped, "memory");
    assert.equal(host.fuelUsed, 0n);
  });

  test("reset and snapshot are refused while the guest runs", () => {
    const errors: unknown[] = [];
    const { host, call } = start(
      moduleOf([{ code: (code) => code.call(0) }], {}, [{}]),
      {},
      {
        i0: () => {
          for (const act of [() => host.reset(), () => host.snapshot()]) {
            try {
              act();
            } catch (error) {
              errors.push((error as MeterHostError).code);
            }
          }
        },
      },
    );
    host.snapshot();
    call("f0");
    assert.deepEqual(errors, ["running", "running"]);
  });
});
