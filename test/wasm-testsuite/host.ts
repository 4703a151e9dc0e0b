import {
  GrowAnswer,
  MeterExport,
  type Module,
  memoriesOf,
  meterModule,
  SliceAnswer,
} from "../../compiler/wasm/index.ts";

/** Fuel of one slice: small, so that slices end wherever they can. */
const slice = 1_000;
/** Slices of one instance that no script needs: it runs for ever. */
const enoughSlices = 500_000;

/** The sizes that guests see of memories that metered instances own; other instances may grow these memories too. */
const pagesOf = new WeakMap<WebAssembly.Memory, WebAssembly.Global<"i32">>();

/** An instance of a metered module whose host allows everything that the engine allows. */
export function instantiateMetered(
  compiled: WebAssembly.Module,
  read: Module,
  imports: WebAssembly.Imports,
): WebAssembly.Exports {
  let exports: WebAssembly.Exports = {};
  const imported = read.imports.flatMap((entry) =>
    entry.kind === "memory" ? [imports[entry.module]?.[entry.name] as WebAssembly.Memory] : [],
  );
  const memories = memoriesOf(read);
  let slices = 0;
  const meter = {
    slice: () => {
      if (++slices > enoughSlices) return SliceAnswer.trap;
      const fuel = exports[MeterExport.fuel] as WebAssembly.Global<"i32" | "i64"> | undefined;
      if (fuel) fuel.value = typeof fuel.value === "bigint" ? BigInt(slice) : slice;
      return SliceAnswer.go;
    },
    yield: () => SliceAnswer.trap,
    grow: (delta: number, index: number) => {
      const own = exports[`${MeterExport.memory}${index}`] as WebAssembly.Memory | undefined;
      const memory = (own ?? imported[index]) as unknown as { grow(delta: number | bigint): number | bigint };
      const pages = delta >>> 0;
      try {
        const before = Number(memory.grow(memories[index]!.index64 ? BigInt(pages) : pages));
        const seen = pagesOf.get(memory as unknown as WebAssembly.Memory);
        if (seen) seen.value = before + pages;
        return before;
      } catch {
        return GrowAnswer.refuse;
      }
    },
    growTable: () => 0,
  };
  const instance = new WebAssembly.Instance(compiled, { ...imports, [meterModule]: meter });
  exports = instance.exports;
  memories.forEach((_, index) => {
    const memory = exports[`${MeterExport.memory}${index}`] as WebAssembly.Memory | undefined;
    if (memory) pagesOf.set(memory, exports[`${MeterExport.pages}${index}`] as WebAssembly.Global<"i32">);
  });
  // a start function may need the host, which can't know the instance before it is there
  const start = exports["thimble:start"] as (() => void) | undefined;
  start?.();
  return exports;
}

/** The module that every script may import from. */
export function spectest(print: (text: string) => void): WebAssembly.ModuleImports {
  const printer =
    (name: string) =>
    (...values: unknown[]) =>
      print(`${name} ${values.join(" ")}`);
  const names = [
    "print",
    "print_i32",
    "print_i64",
    "print_f32",
    "print_f64",
    "print_i32_f32",
    "print_f64_f64",
  ];
  const table64 = { element: "anyfunc", initial: 10n, maximum: 20n, address: "i64" };
  return {
    ...Object.fromEntries(names.map((name) => [name, printer(name)])),
    global_i32: new WebAssembly.Global({ value: "i32" }, 666),
    global_i64: new WebAssembly.Global({ value: "i64" }, 666n),
    global_f32: new WebAssembly.Global({ value: "f32" }, 666.6),
    global_f64: new WebAssembly.Global({ value: "f64" }, 666.6),
    table: new WebAssembly.Table({ element: "anyfunc", initial: 10, maximum: 20 }),
    table64: new WebAssembly.Table(table64 as unknown as WebAssembly.TableDescriptor),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
  };
}
