import {
  Assembler,
  emptyModule,
  type FunctionBody,
  type Module,
  meterBytes,
  typeIndex,
  type ValueType,
  writeModule,
} from "../../compiler/wasm/index.ts";

/** A function of a module made by hand. */
export interface Sketch {
  params?: ValueType[];
  results?: ValueType[];
  locals?: ValueType[];
  /** Its instructions; the last `end` is added. */
  code: (code: Assembler) => Assembler;
}

/** A module with these imported functions (from `env`, as i0, i1, …) and these of its own, exported as f0, f1, …. */
export function moduleOf(
  functions: Sketch[],
  rest: Partial<Module> = {},
  imported: Pick<Sketch, "params" | "results">[] = [],
): Module {
  const module: Module = { ...emptyModule(), ...rest };
  const type = ({ params = [], results = [] }: Pick<Sketch, "params" | "results">) =>
    typeIndex(module, { params, results });
  module.imports = [
    ...imported.map((sketch, i) => ({
      module: "env",
      name: `i${i}`,
      kind: "function" as const,
      type: type(sketch),
    })),
    ...module.imports,
  ];
  module.functions = functions.map(
    (sketch): FunctionBody => ({
      type: type(sketch),
      locals: (sketch.locals ?? []).map((local) => [1, local]),
      code: sketch.code(new Assembler()).end().finish(),
      position: 0,
    }),
  );
  module.exports = [
    ...functions.map((_, i) => ({
      name: `f${i}`,
      kind: "function" as const,
      index: imported.length + i,
    })),
    ...module.exports,
  ];
  return module;
}

/** The module metered and compiled. */
export function metered(module: Module): WebAssembly.Module {
  return new WebAssembly.Module(meterBytes(writeModule(module)));
}

/** A constant expression. */
export function constant(write: (code: Assembler) => Assembler): Uint8Array {
  return write(new Assembler()).end().finish();
}

/** Deterministic numbers below `below` (Numerical Recipes' generator). */
export function randomNumbers(seed: number): (below: number) => number {
  let random = seed;
  return (below) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
}
