import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { cutCycles } from "../compiler/wasm/call-graph.ts";
import {
  Assembler,
  activeElements,
  emptyModule,
  type FunctionBody,
  GrowAnswer,
  i32,
  MeterExport,
  type Module,
  meter,
  meterBytes,
  meterModule,
  Opcode,
  readModule,
  SliceAnswer,
  typeIndex,
  WasmError,
  writeModule,
} from "../compiler/wasm/index.ts";

const fileOf = (name: string) => readFile(fileURLToPath(import.meta.resolve(name)));
const realModules = [
  "quickjs-wasi/quickjs.wasm",
  "quickjs-wasi/url.so",
  "quickjs-wasi/crypto.so",
  "quickjs-wasi/headers.so",
];

describe("reading and writing modules", () => {
  for (const name of realModules) {
    test(`${name} reads back what was written`, async () => {
      const module = readModule(await fileOf(name));
      const written = writeModule(module);
      assert.ok(WebAssembly.validate(written));
      assert.equal(Buffer.compare(writeModule(readModule(written)), written), 0);
    });
  }

  test("a module that is cut off anywhere is an error with an offset, or a shorter valid one", async () => {
    const bytes = await fileOf("quickjs-wasi/structured-clone.so");
    for (let length = 0; length < bytes.length; length += 7) {
      try {
        meterBytes(bytes.subarray(0, length));
      } catch (error) {
        assert.ok(error instanceof WasmError, `${length}: ${error}`);
      }
    }
  });

  test("damaged modules never give anything but an error or a module", async () => {
    const original = await fileOf("quickjs-wasi/headers.so");
    let random = 12345;
    const next = (below: number) => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    let refused = 0;
    for (let round = 0; round < 3_000; round++) {
      const bytes = new Uint8Array(original);
      for (let flips = 1 + next(4); flips > 0; flips--) bytes[next(bytes.length)] = next(256);
      try {
        assert.ok(WebAssembly.validate(meterBytes(bytes)), `round ${round}`);
      } catch (error) {
        assert.ok(error instanceof WasmError, `round ${round}: ${(error as Error).stack}`);
        refused++;
      }
    }
    assert.ok(refused > 300, `${refused}`);
  });

  const refused: Record<string, [bytes: number[], what: RegExp]> = {
    "atomic instructions": [[0xfe, 0x00], /threads/],
    "garbage collection": [[0xfb, 0x00], /garbage collection/],
    "relaxed SIMD": [[0xfd, 0x80, 0x02], /relaxed SIMD/],
    "a call through a typed reference": [[0x14, 0x00], /typed function references/],
    "wide arithmetic": [[0xfc, 0x13], /wide arithmetic/],
    "stack switching": [[0xe0, 0x00], /stack switching/],
    "an unknown opcode": [[0xc9], /unknown instruction 0xc9/],
  };
  for (const [name, [code, what]] of Object.entries(refused)) {
    test(`${name} is refused by name and offset`, () => {
      const module = moduleOf([{ params: 0, results: 0, code: new Assembler().raw(code).end() }]);
      assert.throws(
        () => meter(readModule(writeModule(module))),
        (error) => error instanceof WasmError && what.test(error.message) && (error.offset ?? 0) > 8,
      );
    });
  }
});

interface Sketch {
  params: number;
  results: number;
  code: Assembler;
  locals?: number;
}

/** A module with these functions, exported as f0, f1, …, a memory, and all of them in a table. */
function moduleOf(functions: Sketch[], { table = false } = {}): Module {
  const module = emptyModule();
  module.memories = [{ min: 1 }];
  module.functions = functions.map(
    ({ params, results, code, locals = 0 }): FunctionBody => ({
      type: typeIndex(module, { params: Array(params).fill(i32), results: Array(results).fill(i32) }),
      locals: locals > 0 ? [[locals, i32]] : [],
      code: code.finish(),
      position: 0,
    }),
  );
  module.exports = functions.map((_, index) => ({ name: `f${index}`, kind: "function" as const, index }));
  module.exports.push({ name: "memory", kind: "memory", index: 0 });
  if (table) {
    module.tables = [{ element: 0x70, min: functions.length }];
    module.elements = [
      activeElements(
        new Assembler().i32(0).end().finish(),
        functions.map((_, i) => i),
      ),
    ];
  }
  return module;
}

/** A metered instance whose host stops it after `budget` units. */
function metered(module: Module, budget: number, slice = 100) {
  let used = 0;
  let stopped = false;
  const imports = {
    [meterModule]: {
      slice: () => {
        used += slice - Number(fuel.value);
        fuel.value = BigInt(slice);
        stopped = used >= budget;
        return stopped ? SliceAnswer.trap : SliceAnswer.go;
      },
      yield: () => SliceAnswer.trap,
      grow: (delta: number) => {
        const pages = exports[`${MeterExport.pages}0`] as WebAssembly.Global<"i32">;
        if (pages.value + delta > 4) return GrowAnswer.trap;
        (exports.memory as WebAssembly.Memory).grow(delta);
        pages.value += delta;
        return pages.value - delta;
      },
    },
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(writeModule(meter(module))), imports);
  const fuel = exports[MeterExport.fuel] as WebAssembly.Global<"i64">;
  fuel.value = BigInt(slice);
  return {
    call: (name: string, ...args: number[]) => (exports[name] as (...args: number[]) => number)(...args),
    used: () => used + slice - Number(fuel.value),
    stopped: () => stopped,
  };
}

describe("metering", () => {
  const spinning: Record<string, () => Module> = {
    "a loop": () => moduleOf([{ params: 0, results: 0, code: new Assembler().loop().branch(0).end().end() }]),
    "a loop closed by br_if": () =>
      moduleOf([{ params: 0, results: 0, code: new Assembler().loop().i32(1).branchIf(0).end().end() }]),
    "a loop closed by br_table": () =>
      moduleOf([
        {
          params: 0,
          results: 0,
          code: new Assembler().loop().i32(7).raw([0x0e, 0x01, 0x00, 0x00]).end().end(),
        },
      ]),
    recursion: () => moduleOf([{ params: 0, results: 0, code: new Assembler().call(0).end() }]),
    "mutual recursion": () =>
      moduleOf([
        { params: 0, results: 0, code: new Assembler().call(1).end() },
        { params: 0, results: 0, code: new Assembler().call(2).end() },
        { params: 0, results: 0, code: new Assembler().call(0).end() },
      ]),
    "recursion through the table": () =>
      moduleOf([{ params: 0, results: 0, code: new Assembler().i32(0).raw([0x11, 0x00, 0x00]).end() }], {
        table: true,
      }),
  };
  for (const [name, make] of Object.entries(spinning)) {
    test(`stops ${name}, with an exact total`, () => {
      const instance = metered(make(), 1_000);
      assert.throws(() => instance.call("f0"), /unreachable/);
      assert.ok(instance.stopped());
      assert.ok(instance.used() >= 1_000 && instance.used() <= 6_000, `${instance.used()}`);
    });
  }

  test("stops a ladder of calls that doubles its work with each level, though it has no cycle", () => {
    const ladder = moduleOf([
      { params: 0, results: 0, code: new Assembler().end() },
      ...Array.from({ length: 60 }, (_, level) => ({
        params: 0,
        results: 0,
        code: new Assembler().call(level).call(level).end(),
      })),
    ]);
    const instance = metered(ladder, 1_000);
    assert.throws(() => instance.call("f60"), /unreachable/);
    assert.ok(instance.stopped());
  });

  /** Counts down its argument; the function's result is the argument's copy. */
  const countdown = () =>
    moduleOf([
      {
        params: 1,
        results: 1,
        locals: 1,
        code: new Assembler()
          .get(0)
          .set(1)
          .loop()
          .get(0)
          .i32(1)
          .op(Opcode.i32Sub)
          .tee(0)
          .branchIf(0)
          .end()
          .get(1)
          .end(),
      },
    ]);

  test("charges the same whatever the slices", () => {
    const totals = [1, 3, 100, 1_000_000].map((slice) => {
      const instance = metered(countdown(), Number.POSITIVE_INFINITY, slice);
      assert.equal(instance.call("f0", 5_000), 5_000);
      return instance.used();
    });
    assert.deepEqual(new Set(totals), new Set([4_999 * 5]));
  });

  test("charges bulk operations by their size, before they run, without wrapping around", () => {
    const fill = () =>
      moduleOf([
        { params: 1, results: 0, code: new Assembler().i32(0).i32(1).get(0).raw([0xfc, 0x0b, 0x00]).end() },
      ]);
    const small = metered(fill(), Number.POSITIVE_INFINITY);
    small.call("f0", 64 * 1024);
    assert.equal(small.used(), 4_096);
    for (const size of [0xffff_ffff, 0x8000_0000, 0x7fff_ffff]) {
      const instance = metered(fill(), 1_000);
      assert.throws(
        () => instance.call("f0", size),
        /unreachable/,
        "stopped before it could fail for its size",
      );
      assert.equal(instance.used() - Math.floor(size / 16), 0);
    }
  });

  test("large bulk operations run in chunks between which the host is asked, and do what the instructions do", () => {
    const bulk = (operation: number[]) => {
      const module = moduleOf([
        { params: 3, results: 0, code: new Assembler().get(0).get(1).get(2).raw(operation).end() },
      ]);
      module.memories = [{ min: 64 }];
      return module;
    };
    const run = (bytes: Uint8Array<ArrayBuffer>, args: number[]) => {
      let asked = 0;
      const imports = {
        [meterModule]: {
          slice: () => {
            asked++;
            return SliceAnswer.go;
          },
          yield: () => 0,
          grow: () => GrowAnswer.trap,
        },
      };
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
      const fuel = exports[MeterExport.fuel] as WebAssembly.Global<"i64"> | undefined;
      if (fuel) fuel.value = 1_000_000n;
      const memory = Buffer.from((exports.memory as WebAssembly.Memory).buffer);
      for (let at = 0; at < memory.length; at += 4) memory.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
      (exports.f0 as (...args: number[]) => void)(...args);
      return { memory, asked };
    };
    const copy = bulk([0xfc, 0x0a, 0x00, 0x00]);
    const fill = bulk([0xfc, 0x0b, 0x00]);
    const cases: [Module, number[]][] = [
      [fill, [3, 0xab, 1_000_001]],
      [fill, [0, 1, 100]],
      [copy, [5, 100_000, 2_000_003]],
      [copy, [100_000, 5, 2_000_003]],
      [copy, [7, 7, 1_000_000]],
      [copy, [2_500_000, 0, 1_500_000]],
    ];
    for (const [module, args] of cases) {
      const plain = run(writeModule(module), args);
      const metered = run(writeModule(meter(module)), args);
      assert.equal(Buffer.compare(metered.memory, plain.memory), 0, args.join());
      assert.equal(metered.asked, Math.ceil(args[2]! / (256 * 1024)) - 1, args.join());
    }
  });

  test("memory.grow goes through the host, and memory.size tells what it allowed", () => {
    const grow = moduleOf([
      { params: 1, results: 1, code: new Assembler().get(0).raw([0x40, 0x00]).end() },
      { params: 0, results: 1, code: new Assembler().raw([0x3f, 0x00]).end() },
    ]);
    const instance = metered(grow, Number.POSITIVE_INFINITY);
    assert.equal(instance.call("f0", 2), 1);
    assert.equal(instance.call("f1"), 3);
    assert.throws(() => instance.call("f0", 2), /unreachable/);
    assert.equal(instance.call("f1"), 3);
  });

  test("every function still computes what it did", () => {
    const plain = new WebAssembly.Instance(new WebAssembly.Module(writeModule(countdown())));
    const instance = metered(countdown(), Number.POSITIVE_INFINITY, 7);
    for (const n of [1, 2, 77, 1_000]) {
      assert.equal(instance.call("f0", n), (plain.exports.f0 as (n: number) => number)(n));
    }
  });
});

describe("cutting the cycles of a call graph", () => {
  /** True when the graph without what is cut has no cycle (Kahn 1962). */
  const acyclic = (graph: Set<number>[], cut: Map<number, Set<number>>): boolean => {
    const left = graph.map((targets, from) => [...targets].filter((to) => !cut.get(from)?.has(to)));
    const incoming = graph.map(() => 0);
    for (const to of left.flat()) incoming[to]! += 1;
    const ready = [...graph.keys()].filter((vertex) => incoming[vertex] === 0);
    let seen = 0;
    while (ready.length > 0) {
      seen++;
      for (const to of left[ready.pop()!]!) if (--incoming[to]! === 0) ready.push(to);
    }
    return seen === graph.length;
  };

  test("leaves no cycle in a thousand random graphs", () => {
    let random = 1;
    const next = (below: number): number => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return random % below;
    };
    for (let round = 0; round < 1_000; round++) {
      const size = 1 + next(30);
      const graph = Array.from(
        { length: size },
        () => new Set(Array.from({ length: next(5) }, () => next(size))),
      );
      const cut = cutCycles(graph, () => 1);
      assert.ok(acyclic(graph, cut), JSON.stringify(graph.map((targets) => [...targets])));
    }
  });

  test("takes nothing from a graph without cycles, and deep chains don't overflow the stack", () => {
    const chain = Array.from({ length: 200_000 }, (_, i) => new Set(i < 199_999 ? [i + 1] : []));
    assert.deepEqual(
      cutCycles(chain, () => 1),
      new Map(),
    );
    // large components are cut in several places at once
    chain[199_999] = new Set([0]);
    assert.ok(cutCycles(chain, () => 1).size <= 200_000 >> 3);
  });

  test("cuts where it costs least", () => {
    const cut = cutCycles([new Set([1]), new Set([0])], (vertex) => 2 - vertex);
    assert.deepEqual(cut, new Map([[1, new Set([0])]]));
  });
});
