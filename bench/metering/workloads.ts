import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Assembler, emptyModule, f64, i32, typeIndex, writeModule } from "../../compiler/wasm/index.ts";

/** Something to run: the same work each time, with a result that must not depend on metering. */
export type Workload = () => unknown;

export const groups = {
  engine: "The JavaScript engine (QuickJS)",
  modules: "Modules from npm",
  loops: "Counted loops",
  recursion: "Recursion",
} as const;

export type Group = keyof typeof groups;

const require = createRequire(import.meta.url);
const fileOf = (name: string) => readFile(fileURLToPath(import.meta.resolve(name)));

/** Text with some repetition, the same each time. */
function text(length: number): Uint8Array {
  const words =
    "the sandbox pays for every instruction before it runs and asks its host on every cycle ".split(" ");
  let random = 1;
  let out = "";
  while (out.length < length) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    out += `${words[random % words.length]}${random % 100} `;
  }
  return new TextEncoder().encode(out.slice(0, length));
}

async function engine(): Promise<Record<string, Workload>> {
  const { QuickJS } = await import("quickjs-wasi");
  const wasm = new WebAssembly.Module(await fileOf("quickjs-wasi/quickjs.wasm"));
  const vm = await QuickJS.create({ wasm });
  vm.evalCode(await readFile(new URL("kernels.js", import.meta.url), "utf8")).dispose();
  const run = (name: string) => {
    using result = vm.evalCode(`String(kernels[${JSON.stringify(name)}]())`);
    return vm.dump(result);
  };
  using names = vm.evalCode("Object.keys(kernels).join()");
  return Object.fromEntries(
    String(vm.dump(names))
      .split(",")
      .map((name) => [name, () => run(name)]),
  );
}

async function modules(): Promise<Record<string, Workload>> {
  const bytes = text(64 * 1024);
  const { createBLAKE3 } = await import("hash-wasm");
  const blake3 = await createBLAKE3();
  const brotli = require("brotli-wasm") as {
    compress(data: Uint8Array, options: object): Uint8Array;
    decompress(data: Uint8Array): Uint8Array;
  };
  const initSql = require("sql.js") as () => Promise<{
    Database: new () => {
      run(sql: string): void;
      exec(sql: string): { values: unknown[][] }[];
      close(): void;
    };
  }>;
  const sql = await initSql();
  const { initWasm, Resvg } = await import("@resvg/resvg-wasm");
  await initWasm(await fileOf("@resvg/resvg-wasm/index_bg.wasm"));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200">${Array.from(
    { length: 60 },
    (_, i) =>
      `<circle cx="${i * 3}" cy="${100 + 50 * Math.sin(i)}" r="${5 + (i % 20)}" fill="#${100 + i}" opacity=".5"/>`,
  ).join("")}</svg>`;
  const lexer = await import("es-module-lexer");
  await lexer.init;
  const source = Array.from(
    { length: 2000 },
    (_, i) =>
      `import { a${i} } from "./m${i}.js"; export const b${i} = a${i}(() => import("x${i}"), /[/]${i}/);`,
  ).join("\n");
  const { digest } = await import("@chainsafe/as-sha256");
  const { get_encoding } = require("tiktoken") as {
    get_encoding(name: string): { encode(text: string): Uint32Array };
  };
  const tokens = get_encoding("cl100k_base");
  const prose = new TextDecoder().decode(bytes);
  return {
    "hashing: hash-wasm's BLAKE3 (C)": () => blake3.init().update(bytes).digest(),
    "hashing: as-sha256 (AssemblyScript)": () => digest(bytes),
    "compressor: brotli-wasm (Rust)": () => {
      const small = brotli.compress(bytes, { quality: 5 });
      return `${small.length} ${brotli.decompress(small).length}`;
    },
    "SQL: sql.js (C, Emscripten)": () => {
      const database = new sql.Database();
      database.run("create table t (id integer primary key, name text, value real)");
      database.run(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000) insert into t select i, 'name' || (i * 7919 % 1000), i * 0.5 from n",
      );
      const [result] = database.exec(
        "select name, count(*), sum(value) from t group by name order by 3 desc limit 5",
      );
      database.close();
      return JSON.stringify(result!.values);
    },
    "images: resvg-wasm (Rust)": () => new Resvg(svg).render().asPng().length,
    "parser: es-module-lexer (C)": () => lexer.parse(source)[0].length,
    "tokens: tiktoken (Rust)": () => tokens.encode(prose).length,
  };
}

const [i32Load, f64Load, f64Store, i32Store8] = [0x28, 0x2b, 0x39, 0x3a] as const;
const [i32Add, i32Sub, i32Mul, i32LtS, i32LtU, i32Shl, f64Add, f64Mul] = [
  0x6a, 0x6b, 0x6c, 0x48, 0x49, 0x74, 0xa0, 0xa2,
] as const;

/** Functions as compilers write them: the counter goes up, and the loop goes on while it is below the limit. */
function assembled(): Record<string, (n: number) => number> {
  const module = emptyModule();
  module.memories = [{ min: 16 }];
  const add = (name: string, result: number, locals: [number, number][], code: Assembler): void => {
    const type = typeIndex(module, { params: [i32], results: [result] });
    module.exports.push({ name, kind: "function", index: module.functions.length });
    module.functions.push({ type, locals, code: code.end().finish(), position: 0 });
  };
  const next = (code: Assembler, counter: number, limit: number, step: number): Assembler =>
    code.get(counter).i32(step).op(i32Add).tee(counter).get(limit).op(i32LtU).branchIf(0).end();

  const sum = new Assembler().loop().get(2).get(1).memory(i32Load).op(i32Add).set(2);
  add("sum", i32, [[2, i32]], next(sum, 1, 0, 4).get(2));

  const dot = new Assembler()
    .loop()
    .get(2)
    .get(1)
    .memory(f64Load)
    .get(1)
    .memory(f64Load, 8)
    .op(f64Mul, f64Add)
    .set(2);
  add(
    "dot",
    f64,
    [
      [1, i32],
      [1, f64],
    ],
    next(dot, 1, 0, 8).get(2),
  );

  const fill = new Assembler().loop().get(1).get(1).memory(i32Store8);
  add("fill", i32, [[1, i32]], next(fill, 1, 0, 1).get(1));

  const address = (code: Assembler, row: number, column: number): Assembler =>
    code.get(row).get(0).op(i32Mul).get(column).op(i32Add).i32(3).op(i32Shl);
  const [row, column, inner, total] = [1, 2, 3, 4];
  const product = new Assembler().loop().i32(0).set(column).loop().i32(0).set(inner).f64(0).set(total).loop();
  address(product.get(total), row, inner).memory(f64Load);
  address(product, inner, column).memory(f64Load).op(f64Mul, f64Add).set(total);
  next(product, inner, 0, 1);
  address(product, row, column)
    .get(total)
    .memory(f64Store, 512 * 1024);
  next(next(product, column, 0, 1), row, 0, 1);
  add(
    "matrix",
    f64,
    [
      [3, i32],
      [1, f64],
    ],
    product.i32(512 * 1024 + 8).memory(f64Load),
  );

  const fib = new Assembler().get(0).i32(2).op(i32LtS).op(0x04).byte(i32).get(0).op(0x05);
  const self = module.functions.length;
  fib.get(0).i32(1).op(i32Sub).call(self).get(0).i32(2).op(i32Sub).call(self).op(i32Add).end();
  add("fib", i32, [], fib);

  return new WebAssembly.Instance(new WebAssembly.Module(writeModule(module)), {}).exports as never;
}

const loops = async (): Promise<Record<string, Workload>> => {
  const { sum, dot, fill, matrix } = assembled();
  const often = (times: number, run: () => number) => () => {
    let result = 0;
    for (let i = 0; i < times; i++) result = run();
    return result;
  };
  return {
    "sum of 200,000 integers": often(40, () => sum!(800_000)),
    "scalar product of 100,000 floats": often(40, () => dot!(800_000)),
    "filling 400,000 bytes": often(20, () => fill!(400_000)),
    "matrices of 96 × 96": often(4, () => matrix!(96)),
  };
};

const recursion = async (): Promise<Record<string, Workload>> => {
  const { fib } = assembled();
  return { "fib(30)": () => fib!(30) };
};

export const workloads: Record<Group, () => Promise<Record<string, Workload>>> = {
  engine,
  modules,
  loops,
  recursion,
};
