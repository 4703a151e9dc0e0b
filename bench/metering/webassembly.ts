import {
  Assembler,
  GrowAnswer,
  MeterExport,
  type MeterMode,
  type Module,
  meterBytes,
  meterModule,
  readModule,
  SliceAnswer,
  typeIndex,
  writeModule,
} from "../../compiler/wasm/index.ts";

/** What is done to each module before the engine gets it. */
export interface Treatment {
  mode: MeterMode | "plain";
  /**
   * Empty functions put behind the module's own. They move the code of all others in memory, which changes its speed by
   * several per cent; over some such layouts the middle is what the code itself costs (Curtsinger and Berger, Stabilizer, ASPLOS 2013).
   */
  padding: number;
}

/** Fuel of one slice: what a gateway gives at a time. */
const slice = 20_000_000n;

function treat(source: BufferSource, { mode, padding }: Treatment): Uint8Array<ArrayBuffer> {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
  const module: Module = readModule(mode === "plain" ? bytes : meterBytes(bytes, { mode }));
  const type = typeIndex(module, { params: [], results: [] });
  const code = new Assembler().end().finish();
  for (let i = 0; i < padding; i++) module.functions.push({ type, locals: [], code, position: 0 });
  return writeModule(module);
}

/** The metered instances' host: it refills the fuel and grows every memory. */
function host(imports: WebAssembly.Imports) {
  let exports: WebAssembly.Exports = {};
  const imported = Object.values(imports)
    .flatMap((fields) => Object.values(fields))
    .filter((value) => value instanceof WebAssembly.Memory);
  const meter = {
    slice: () => {
      const fuel = exports[MeterExport.fuel] as WebAssembly.Global<"i64"> | undefined;
      if (fuel) fuel.value = slice;
      return SliceAnswer.go;
    },
    yield: () => SliceAnswer.trap,
    grow: (delta: number, index: number) => {
      const pages = exports[`${MeterExport.pages}${index}`] as WebAssembly.Global<"i32"> | undefined;
      const memory = exports[`${MeterExport.memory}${index}`] as WebAssembly.Memory | undefined;
      try {
        const before = (memory ?? imported[index]!).grow(delta);
        if (pages) pages.value = before + delta;
        return before;
      } catch {
        return GrowAnswer.refuse;
      }
    },
    growTable: () => 0,
  };
  return {
    imports: { ...imports, [meterModule]: meter },
    bind: (instance: WebAssembly.Instance) => {
      exports = instance.exports;
      (exports[MeterExport.start] as (() => void) | undefined)?.();
    },
  };
}

/** From now on every module that this thread compiles is treated, whoever compiles it. */
export function treatAllModules(treatment: Treatment): void {
  class TreatedModule extends WebAssembly.Module {
    constructor(bytes: BufferSource) {
      super(treat(bytes, treatment));
    }
  }
  class TreatedInstance extends WebAssembly.Instance {
    constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
      const { imports: all, bind } = host(imports);
      super(module, treatment.mode === "plain" ? imports : all);
      bind(this);
    }
  }
  const instantiate = async (source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) => {
    if (source instanceof TreatedModule) return new TreatedInstance(source, imports);
    const module = new TreatedModule(source as BufferSource);
    return { module, instance: new TreatedInstance(module, imports) };
  };
  Object.assign(WebAssembly, {
    Module: TreatedModule,
    Instance: TreatedInstance,
    compile: async (bytes: BufferSource) => new TreatedModule(bytes),
    instantiate,
    instantiateStreaming: undefined,
    compileStreaming: undefined,
  });
}
