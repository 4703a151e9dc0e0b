import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  Assembler,
  emptyModule,
  f32,
  f64,
  i32,
  i64,
  type Module,
  meter,
  Opcode,
  readModule,
  trackWrites,
  typeIndex,
  type ValueType,
  v128,
  WasmError,
  WriteMap,
  writeModule,
} from "../compiler/wasm/index.ts";

const { cardBytes, spillBytes, offset } = WriteMap;
const pages = 4;

/** Every instruction that stores: its bytes, what it stores, and how many bytes. */
const stores: Record<string, { code: number[]; type: ValueType; bytes: number }> = {
  "i32.store": { code: [0x36], type: i32, bytes: 4 },
  "i64.store": { code: [0x37], type: i64, bytes: 8 },
  "f32.store": { code: [0x38], type: f32, bytes: 4 },
  "f64.store": { code: [0x39], type: f64, bytes: 8 },
  "i32.store8": { code: [0x3a], type: i32, bytes: 1 },
  "i32.store16": { code: [0x3b], type: i32, bytes: 2 },
  "i64.store8": { code: [0x3c], type: i64, bytes: 1 },
  "i64.store16": { code: [0x3d], type: i64, bytes: 2 },
  "i64.store32": { code: [0x3e], type: i64, bytes: 4 },
  "v128.store": { code: [0xfd, 0x0b], type: v128, bytes: 16 },
  "v128.store8_lane": { code: [0xfd, 0x58], type: v128, bytes: 1 },
  "v128.store16_lane": { code: [0xfd, 0x59], type: v128, bytes: 2 },
  "v128.store32_lane": { code: [0xfd, 0x5a], type: v128, bytes: 4 },
  "v128.store64_lane": { code: [0xfd, 0x5b], type: v128, bytes: 8 },
};

function pushOnes(code: Assembler, type: ValueType): void {
  if (type === i32) code.i32(-1);
  else if (type === i64) code.i64(-1n);
  else if (type === f32) code.raw([0x43, 0xff, 0xff, 0x7f, 0x7f]);
  else if (type === f64) code.f64(Number.MAX_VALUE);
  else code.raw([0xfd, 0x0c, ...Array(16).fill(0xff)]);
}

/** A module that exports what `body` writes as `run`, of some i32 parameters. */
function moduleOf(params: number, body: (code: Assembler) => void): Module {
  const module: Module = { ...emptyModule(), memories: [{ min: pages }] };
  const code = new Assembler();
  body(code);
  const type = typeIndex(module, { params: Array(params).fill(i32), results: [] });
  module.functions.push({ type, locals: [], code: code.end().finish(), position: 0 });
  module.exports.push({ name: "run", kind: "function", index: 0 });
  module.data.push({ mode: "passive", offset: new Uint8Array(0), bytes: new Uint8Array(3000).fill(9) });
  module.dataCount = true;
  return readModule(writeModule(module));
}

function instantiate(module: Module) {
  const compiled = new WebAssembly.Module(writeModule(trackWrites(meter(module))));
  const imports = { "thimble:meter": { slice: () => 0, yield: () => 0, grow: () => 0, growTable: () => 0 } };
  const { exports } = new WebAssembly.Instance(compiled, imports);
  const memoryOf = (name: string) => new Uint8Array((exports[name] as WebAssembly.Memory).buffer);
  return {
    run: exports.run as (...args: number[]) => void,
    memory: memoryOf("thimble:memory:0"),
    written: memoryOf(WriteMap.export).subarray(0, offset + (pages * 65_536) / cardBytes),
    fuel: exports["thimble:fuel"] as WebAssembly.Global<"i64">,
  };
}

/** Every byte that is not zero lies in a card with a mark, or no further behind one than a store reaches. */
function assertMarked({ memory, written }: ReturnType<typeof instantiate>, what: string): number {
  let count = 0;
  memory.forEach((byte, address) => {
    if (byte === 0) return;
    count++;
    const card = Math.floor(address / cardBytes);
    const spilled = address % cardBytes < spillBytes - 1 && written[offset + card - 1] === 1;
    assert.ok(written[offset + card] === 1 || spilled, `${what}: the byte at ${address} has no mark`);
  });
  return count;
}

describe("writes are tracked", () => {
  for (const [name, { code, type, bytes }] of Object.entries(stores)) {
    for (const staticOffset of [0, 5, 1023, 70_000]) {
      test(`${name} with offset ${staticOffset}`, () => {
        const module = moduleOf(1, (body) => {
          body.get(0);
          pushOnes(body, type);
          body.raw(code).u32(0).u32(staticOffset);
          if (name.endsWith("lane")) body.byte(0);
        });
        for (const address of [0, 1, 1000, 1017, 1023, 1024, 2047, 65_535, 100_000]) {
          const instance = instantiate(module);
          instance.run(address);
          assert.equal(assertMarked(instance, `${name} at ${address}`), bytes);
          const marks = instance.written.reduce((sum, mark) => sum + mark, 0);
          assert.equal(marks, 1, "one mark for a store");
        }
      });
    }
  }

  const bulk: Record<string, (code: Assembler) => void> = {
    "memory.fill": (code) => code.get(0).i32(7).get(1).raw([0xfc, 0x0b, 0]),
    "memory.copy": (code) => {
      code.i32(200_000).i32(1).memory(Opcode.i32Store);
      code.get(0).i32(199_000).get(1).raw([0xfc, 0x0a, 0, 0]);
    },
    "memory.init": (code) => code.get(0).i32(0).get(1).raw([0xfc, 0x08, 0, 0]),
  };
  for (const [name, body] of Object.entries(bulk)) {
    test(name, () => {
      const module = moduleOf(2, body);
      for (const size of [0, 1, 1024, 3000])
        for (const address of [0, 1, 1023, 1024, 5000, 65_000]) {
          const instance = instantiate(module);
          instance.run(address, size);
          assertMarked(instance, `${name} of ${size} at ${address}`);
        }
    });
  }

  test("a fill that is so large that metering divides it is marked whole", () => {
    const instance = instantiate(moduleOf(2, bulk["memory.fill"]!));
    instance.run(3, pages * 65_536 - 3);
    assert.equal(assertMarked(instance, "fill"), pages * 65_536 - 3);
  });

  test("a store that traps marks nothing, and marks cost no fuel", () => {
    const module = moduleOf(1, (code) => code.get(0).i32(1).memory(Opcode.i32Store, 8));
    const instance = instantiate(module);
    assert.throws(() => instance.run(pages * 65_536 - 8), WebAssembly.RuntimeError);
    assert.throws(() => instance.run(-4), WebAssembly.RuntimeError);
    assert.equal(instance.written.indexOf(1), -1);

    instance.fuel.value = 1000n;
    instance.run(0);
    const plain = new WebAssembly.Instance(new WebAssembly.Module(writeModule(meter(module))), {
      "thimble:meter": { slice: () => 0, yield: () => 0, grow: () => 0, growTable: () => 0 },
    }).exports as { run(address: number): void; "thimble:fuel": WebAssembly.Global<"i64"> };
    plain["thimble:fuel"].value = 1000n;
    plain.run(0);
    assert.equal(instance.fuel.value, plain["thimble:fuel"].value);
  });

  test("a module with another memory, or with one of somebody else's, is refused", () => {
    const module = moduleOf(0, () => {});
    const refused = (changed: Partial<Module>) =>
      assert.throws(
        () => trackWrites({ ...module, ...changed }),
        (error: WasmError) => error.code === "unsupported",
      );
    refused({ memories: [...module.memories, { min: 1 }] });
    refused({ memories: [] });
    refused({ memories: [{ min: 1, index64: true }] });
    const imported = { module: "m", name: "m", kind: "memory", memory: { min: 1 } } as const;
    refused({ memories: [], imports: [imported] });
    assert.ok(WasmError.prototype instanceof Error);
  });
});
