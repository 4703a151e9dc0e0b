import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ByteWriter } from "../compiler/wasm/bytes.ts";
import {
  activeElements,
  defaultLimits,
  emptyModule,
  f64,
  funcref,
  i32,
  type Module,
  type ModuleLimits,
  meterBytes,
  Opcode,
  readModule,
  typeIndex,
  WasmError,
  writeModule,
} from "../compiler/wasm/index.ts";
import { constant, moduleOf, randomNumbers } from "./support/wasm-modules.ts";

const quickjs = readFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm")));
const repeat = <T>(count: number, item: T): T[] => Array(Math.floor(count)).fill(item);
const nothing = new Uint8Array(0);
const zero = constant((code) => code.i32(0));

/** For each limit a module that has one too many. */
const tooLarge: Record<keyof ModuleLimits, (limit: number) => Module | Uint8Array<ArrayBuffer>> = {
  size: (limit) => {
    const bytes = new Uint8Array(limit + 1);
    bytes.set(writeModule(emptyModule()));
    return bytes;
  },
  types: (limit) => ({ ...emptyModule(), types: repeat(limit + 1, { params: [], results: [] }) }),
  arity: (limit) => ({ ...emptyModule(), types: [{ params: repeat(limit + 1, i32), results: [] }] }),
  imports: (limit) => moduleOf([], {}, repeat(limit + 1, {})),
  exports: (limit) => {
    const module = moduleOf([{ code: (code) => code }]);
    module.exports = Array.from({ length: limit + 1 }, (_, i) => ({
      name: `e${i}`,
      kind: "function",
      index: 0,
    }));
    return module;
  },
  functions: (limit) => {
    const module = moduleOf([{ code: (code) => code }]);
    return { ...module, functions: repeat(limit + 1, module.functions[0]!) };
  },
  globals: (limit) => ({
    ...emptyModule(),
    globals: repeat(limit + 1, { type: i32, mutable: true, init: zero }),
  }),
  tags: (limit) => moduleOf([], { types: [{ params: [], results: [] }], tags: repeat(limit + 1, 0) }),
  tables: (limit) => moduleOf([], { tables: repeat(limit + 1, { element: funcref, min: 0 }) }),
  tableEntries: (limit) => moduleOf([], { tables: [{ element: funcref, min: limit + 1 }] }),
  memories: (limit) => moduleOf([], { memories: repeat(limit + 1, { min: 0 }) }),
  memoryPages: (limit) => moduleOf([], { memories: [{ min: limit + 1 }] }),
  elementSegments: (limit) =>
    moduleOf([], {
      tables: [{ element: funcref, min: 0 }],
      elements: repeat(limit + 1, activeElements(zero, [])),
    }),
  elements: (limit) =>
    moduleOf([{ code: (code) => code }], {
      tables: [{ element: funcref, min: 1 }],
      elements: [activeElements(zero, [0]), activeElements(zero, repeat(limit, 0))],
    }),
  dataSegments: (limit) =>
    moduleOf([], { data: repeat(limit + 1, { mode: "passive", offset: nothing, bytes: nothing }) }),
  dataBytes: (limit) =>
    moduleOf([], { data: [{ mode: "passive", offset: nothing, bytes: new Uint8Array(limit + 1) }] }),
  functionBytes: (limit) => moduleOf([{ code: (code) => code.raw(repeat(limit, Opcode.nop)) }]),
  locals: (limit) => {
    const module = moduleOf([{ code: (code) => code }]);
    module.functions[0]!.locals = [
      [1, i32],
      [limit, f64],
    ];
    return module;
  },
  nesting: (limit) =>
    moduleOf([
      { code: (code) => code.raw(repeat(limit + 1, [2, 0x40]).flat()).raw(repeat(limit + 1, 0x0b)) },
    ]),
  branchTargets: (limit) =>
    moduleOf([
      {
        code: (code) =>
          code
            .i32(0)
            .raw([Opcode.brTable])
            .u32(limit + 1)
            .raw(repeat(limit + 2, 0)),
      },
    ]),
  allBranchTargets: (limit) =>
    functionsOf(101, [Opcode.i32Const, 0, Opcode.brTable, 0x8f, 0x4e, ...repeat(limit / 100, 0)]),
  blocks: (limit) => functionsOf(10, repeat(limit / 10 + 1, [Opcode.block, 0x40, Opcode.end]).flat()),
  loops: (limit) => functionsOf(10, repeat(limit / 10 + 1, [Opcode.loop, 0x40, Opcode.end]).flat()),
  calls: (limit) => functionsOf(10, repeat(limit / 10 + 1, [Opcode.call, 0]).flat()),
  nameBytes: (limit) => ({
    ...emptyModule(),
    customs: [{ name: "é".repeat(limit / 2 + 1), bytes: nothing }],
  }),
  customBytes: (limit) => ({ ...emptyModule(), customs: [{ name: "x", bytes: new Uint8Array(limit + 1) }] }),
};

/** The same function so many times. */
function functionsOf(count: number, code: number[]): Module {
  return moduleOf(repeat(count, { code: (out) => out.raw(code) }));
}

function bytesOf(module: Module | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return module instanceof Uint8Array ? module : writeModule(module);
}

describe("limits", () => {
  for (const name of Object.keys(defaultLimits) as (keyof ModuleLimits)[]) {
    test(`${name}: one too many is refused, with its name and an offset`, () => {
      const bytes = bytesOf(tooLarge[name](defaultLimits[name]));
      assert.throws(
        () => meterBytes(bytes),
        (error) => {
          assert.ok(error instanceof WasmError, String(error));
          assert.equal(error.code, "limit_exceeded");
          assert.match(error.message, new RegExp(`^${name} is \\d+, the limit is ${defaultLimits[name]} `));
          assert.ok(error.offset !== undefined && error.offset >= 8 && error.offset <= bytes.length);
          return true;
        },
      );
    });
  }

  test("a limit can be set, and what just fits is taken", () => {
    const module = moduleOf([{ code: (code) => code }, { code: (code) => code }]);
    assert.throws(() => meterBytes(writeModule(module), { limits: { functions: 1 } }), {
      code: "limit_exceeded",
    });
    meterBytes(writeModule(module), { limits: { functions: 2 } });
    for (const name of ["arity", "functionBytes", "locals", "branchTargets", "nameBytes"] as const) {
      const bytes = bytesOf(tooLarge[name](20));
      assert.throws(() => meterBytes(bytes, { limits: { [name]: 20 } }), { code: "limit_exceeded" });
      meterBytes(bytes, { limits: { [name]: 22 } });
    }
  });

  const megabytes = 10 * 1024 * 1024;
  const bombs: Record<string, () => Module> = {
    "many functions": () => {
      const module = moduleOf([{ code: (code) => code }]);
      return { ...module, functions: repeat(megabytes / 4, module.functions[0]!) };
    },
    "deep nesting": () => {
      const depth = Math.floor(megabytes / 30);
      const nested = moduleOf([
        { code: (code) => code.raw(repeat(depth, [2, 0x40]).flat()).raw(repeat(depth, 0x0b)) },
      ]);
      return { ...nested, functions: repeat(10, nested.functions[0]!) };
    },
    "a huge br_table": () =>
      moduleOf([
        {
          code: (code) =>
            code
              .i32(0)
              .raw([Opcode.brTable])
              .u32(megabytes)
              .raw(repeat(megabytes + 1, 0)),
        },
      ]),
    "large br_tables in every function": () => {
      const one = moduleOf([
        {
          code: (code) => code.i32(0).raw([Opcode.brTable]).u32(20_000).raw(repeat(20_001, 0)),
        },
      ]);
      return { ...one, functions: repeat(500, one.functions[0]!) };
    },
    "billions of locals": () => {
      const module = moduleOf([{ code: (code) => code.raw(repeat(200, Opcode.nop)) }]);
      module.functions[0]!.locals = [[0xffff_ffff, f64]];
      return { ...module, functions: repeat(50_000, module.functions[0]!) };
    },
    "many groups of locals": () => {
      const module = moduleOf([{ code: (code) => code }]);
      module.functions[0]!.locals = repeat(megabytes / 2, [1, i32]);
      return module;
    },
    "many types": () => ({ ...emptyModule(), types: repeat(megabytes / 3, { params: [], results: [] }) }),
  };
  for (const [name, make] of Object.entries(bombs)) {
    test(`a compile bomb is refused: ${name}`, () => {
      const bytes = writeModule(make());
      const began = performance.now();
      assert.throws(() => meterBytes(bytes), { name: "WasmError", code: "limit_exceeded" });
      assert.ok(performance.now() - began < 5_000);
    });
  }

  test("asking for a type takes no longer in a module that has many", () => {
    const module = emptyModule();
    for (let i = 0; i < 10_000; i++) {
      const params = Array.from({ length: 14 }, (_, bit) => ((i >> bit) & 1 ? i32 : f64));
      assert.equal(typeIndex(module, { params, results: [] }), i);
    }
    const began = performance.now();
    for (let i = 0; i < 100_000; i++) typeIndex(module, { params: [i32, i32, i32], results: [] });
    assert.ok(performance.now() - began < 5_000);
    assert.equal(module.types.length, 10_001);
  });
});

describe("damaged modules", () => {
  const errorOrModule = (bytes: Uint8Array, what: string): boolean => {
    try {
      meterBytes(bytes);
      return true;
    } catch (error) {
      assert.ok(error instanceof WasmError, `${what}: ${(error as Error).stack}`);
      return false;
    }
  };

  test("quickjs.wasm cut off at 300 places", () => {
    const next = randomNumbers(7);
    for (let round = 0; round < 300; round++) {
      const length = round < 100 ? round * 3 : next(quickjs.length);
      errorOrModule(quickjs.subarray(0, length), `cut at ${length}`);
    }
  });

  test("a small module of many features with 2000 bytes changed, one at a time", () => {
    const original = writeModule(features());
    meterBytes(original);
    const next = randomNumbers(11);
    let taken = 0;
    for (let round = 0; round < 2_000; round++) {
      const bytes = new Uint8Array(original);
      const at = next(bytes.length);
      bytes[at] = next(256);
      if (errorOrModule(bytes, `byte ${at} is ${bytes[at]}`)) taken++;
    }
    assert.ok(taken > 50 && taken < 1_900, `${taken}`);
  });

  test("each byte of it set to values that mean something", () => {
    const original = writeModule(features());
    for (let at = 0; at < original.length; at++) {
      for (const value of [0x00, 0x01, 0x0b, 0x40, 0x7f, 0x80, 0xff, 0xfc]) {
        const bytes = new Uint8Array(original);
        bytes[at] = value;
        errorOrModule(bytes, `byte ${at} is ${value}`);
      }
    }
  });
});

/** Something of every section, and of most kinds of instruction. */
function features(): Module {
  const tail = [Opcode.returnCallIndirect, 0, 0];
  return moduleOf(
    [
      { code: (code) => code.i32(0).raw(tail) },
      { params: [i32], results: [i32], code: (code) => code.get(0).raw([Opcode.memoryGrow, 0]) },
      {
        params: [i32],
        results: [i32],
        locals: [f64, i32],
        code: (code) =>
          code
            .raw([0x02, 0x40, 0x02, 0x40])
            .get(0)
            .raw([Opcode.brTable, 2, 0, 1, 0])
            .end()
            .end()
            .loop()
            .get(0)
            .i32(1)
            .op(Opcode.i32Sub)
            .tee(0)
            .branchIf(0)
            .end()
            .i32(0)
            .get(0)
            .get(0)
            .raw([0xfc, 0x0b, 0])
            .i32(0)
            .i32(0)
            .i32(3)
            .raw([0xfc, 0x08, 0, 0, 0xfc, 0x09, 0])
            .raw([Opcode.try, 0x40, Opcode.throw, 0, Opcode.catchAll])
            .end()
            .raw([0xd2, 1, Opcode.globalSet, 2])
            .raw([0xd0, funcref])
            .i32(1)
            .raw([0xfc, 0x0f, 0])
            .get(0)
            .memory(Opcode.i32Load, 4)
            .op(Opcode.i32Add),
      },
    ],
    {
      types: [{ params: [], results: [] }],
      imports: [
        { module: "env", name: "global", kind: "global", global: { type: i32, mutable: false } },
        { module: "env", name: "memory", kind: "memory", memory: { min: 1, max: 3 } },
      ],
      tables: [{ element: funcref, min: 4, max: 10 }],
      tags: [0],
      globals: [
        { type: i32, mutable: true, init: constant((code) => code.globalGet(0)) },
        { type: funcref, mutable: true, init: constant((code) => code.raw([0xd2, 1])) },
      ],
      exports: [{ name: "memory", kind: "memory", index: 0 }],
      start: 1,
      elements: [
        activeElements(zero, [1, 2]),
        {
          mode: "passive",
          offset: nothing,
          items: { type: funcref, expressions: [constant((code) => code.raw([0xd2, 2]))] },
        },
        { mode: "declarative", offset: nothing, items: { functions: [1] } },
      ],
      data: [
        { mode: "passive", offset: nothing, bytes: new Uint8Array(9) },
        { mode: "active", offset: zero, bytes: new Uint8Array([1, 2]) },
      ],
      dataCount: true,
      customs: [{ name: "name", bytes: new Uint8Array([1, 4, 1, 1, 1, 0x61]), after: 11 }],
    },
    [{}],
  );
}

describe("reading and writing", () => {
  const identical = (bytes: Uint8Array) => Buffer.compare(writeModule(readModule(bytes)), bytes) === 0;

  test("gives quickjs.wasm and a module of every section byte by byte", () => {
    assert.ok(identical(quickjs));
    assert.ok(identical(writeModule(features())));
  });

  const others = fileURLToPath(new URL("../bench/node_modules", import.meta.url));
  test("gives other people's modules", { skip: !existsSync(others) }, () => {
    for (const file of globSync("**/*.wasm", { cwd: others })) {
      const bytes = readFileSync(`${others}/${file}`);
      const written = writeModule(readModule(bytes));
      assert.ok(WebAssembly.validate(written), file);
      assert.ok(identical(written), file);
      // numbers may be written longer than needed, nothing else may differ
      if (written.length === bytes.length) assert.equal(Buffer.compare(written, bytes), 0, file);
      else assert.ok(written.length < bytes.length, file);
    }
  });
});

describe("proposals that can't be metered", () => {
  const section = (id: number, ...content: number[]) =>
    new ByteWriter()
      .raw(writeModule(emptyModule()))
      .byte(id)
      .sized((out) => out.raw(content))
      .finish();
  const instruction = (...code: number[]) => writeModule(moduleOf([{ code: (out) => out.raw(code) }]));
  const refused: [string, Uint8Array, RegExp][] = [
    ["a shared memory", section(5, 1, 3, 1, 1), /threads/],
    ["a shared 64-bit memory", section(5, 1, 7, 1, 1), /threads/],
    ["a shared global", section(6, 1, 0x7f, 3, 0x41, 0, 0x0b), /threads/],
    ["atomic.fence", instruction(0xfe, 0x03, 0x00), /threads/],
    ["i32.atomic.rmw.add", instruction(0xfe, 0x1e, 2, 0), /threads/],
    ["a struct type", section(1, 1, 0x5f, 0), /garbage collection/],
    ["an array type", section(1, 1, 0x5e, 0x7f, 0), /garbage collection/],
    ["a recursive type", section(1, 1, 0x4e, 0), /garbage collection/],
    ["a subtype", section(1, 1, 0x50, 0, 0x60, 0, 0), /garbage collection/],
    ["struct.new", instruction(0xfb, 0x00, 0), /garbage collection/],
    ["ref.eq", instruction(0xd3), /garbage collection/],
    ["an i31ref parameter", section(1, 1, 0x60, 1, 0x6c, 0), /garbage collection/],
    ["a typed reference", section(1, 1, 0x60, 1, 0x64, 0, 0), /typed function references/],
    ["ref.null of a type", instruction(0xd0, 0x00), /typed function references/],
    ["a table with an initial value", section(4, 1, 0x40, 0, 0x70, 0, 1), /typed function references/],
    ["a continuation type", section(1, 1, 0x5d, 0), /stack switching/],
    ["i8x16.relaxed_swizzle", instruction(0xfd, 0x80, 0x02), /relaxed SIMD/],
    ["f32x4.relaxed_madd", instruction(0xfd, 0x85, 0x02), /relaxed SIMD/],
    ["a stringref parameter", section(1, 1, 0x60, 1, 0x67, 0), /stringref/],
    ["string.const", instruction(0xfb, 0x82, 0x01, 0), /stringref/],
    ["a section of strings", section(14, 0, 0), /stringref/],
    ["custom page sizes", section(5, 1, 8, 1, 0), /custom page sizes/],
    ["i64.add128", instruction(0xfc, 0x13), /wide arithmetic/],
  ];
  for (const [name, bytes, proposal] of refused) {
    test(`${name} is refused by the proposal's name and offset`, () => {
      assert.throws(
        () => meterBytes(bytes),
        (error) => {
          assert.ok(error instanceof WasmError, String(error));
          assert.equal(error.code, "unsupported");
          assert.match(error.message, proposal);
          assert.ok(error.offset !== undefined && error.offset >= 8 && error.offset < bytes.length);
          return true;
        },
      );
    });
  }

  test("a component is refused as one", () => {
    const bytes = new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
    assert.throws(() => meterBytes(bytes), { code: "unsupported", message: /component/ });
  });
});
