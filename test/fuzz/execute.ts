import { createHash } from "node:crypto";
import {
  externref,
  f32,
  f64,
  funcref,
  GrowAnswer,
  i32,
  i64,
  MeterExport,
  memoriesOf,
  meterModule,
  readModule,
  SliceAnswer,
  type ValueType,
} from "../../compiler/wasm/index.ts";
import { addedPrefix } from "./prepare.ts";
import { randomNumbers } from "./random.ts";
import { costExport } from "./reference.ts";

/** What one call of an export came to. */
export interface Call {
  name: string;
  /** Its results, or what it threw. */
  result: string;
  /** Fuel, or cost, of this call alone. */
  units: bigint;
  /** Traps and exceptions that ended guest code in this call, those included that the host caught. */
  ends: number;
  /** The stack or the memory gave out, which depends on more than the code: nothing from here on can be compared. */
  exhausted: boolean;
  /** Calls of imports. */
  log: string[];
}

export interface Execution {
  calls: Call[];
  /** Memories, tables and globals at the end. */
  state: Record<string, string>;
}

/** Exports that the module had when it was generated are those that its own code may call. */
const isAdded = (name: string): boolean => name.startsWith(addedPrefix) || name.startsWith("thimble:");

const logged = 2_000;
/** Calls of the guest by imports of the guest. */
const deepest = 20;
const mostNested = 200;

/** A value in a form that is the same for all bit patterns of NaN, and for all functions. */
function describe(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.map(describe).join(", ")}]`;
  if (value instanceof WebAssembly.Exception) return "exception";
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === "string" ? value : value === null ? "null" : typeof value;
}

/** Calls all exported functions in turn, as a host of metered code would where the module is metered. */
export function execute(bytes: Uint8Array<ArrayBuffer>, seed: number, slice: number): Execution {
  const next = randomNumbers(seed);
  const parsed = readModule(bytes);
  const functionTypes = [
    ...parsed.imports.flatMap((entry) => (entry.kind === "function" ? [entry.type] : [])),
    ...parsed.functions.map(({ type }) => type),
  ].map((type) => parsed.types[type]!);
  const memoryTypes = memoriesOf(parsed);

  let call: Call = { name: "", result: "", units: 0n, ends: 0, exhausted: false, log: [] };
  const log = (entry: string): void => {
    if (call.log.length < logged) call.log.push(entry);
  };
  const ended = (error: unknown): string => {
    call.ends++;
    if (error instanceof RangeError) call.exhausted = true;
    if (error instanceof WebAssembly.RuntimeError && /allocat|out of memory/i.test(error.message)) {
      call.exhausted = true;
    }
    return describe(error);
  };

  let exports: Record<string, unknown> = {};
  let granted = 0n;
  const fuel = () => exports[MeterExport.fuel] as WebAssembly.Global | undefined;
  const cost = () => exports[costExport] as WebAssembly.Global<"i64"> | undefined;
  const units = (): bigint => {
    const counted = cost();
    if (counted) return counted.value;
    const left = fuel();
    return left ? granted - BigInt(left.value) : 0n;
  };
  const refill = (): void => {
    const left = fuel();
    if (!left) return;
    granted += BigInt(slice) - BigInt(left.value);
    left.value = typeof left.value === "bigint" ? BigInt(slice) : slice;
  };
  const meter = {
    slice: () => {
      refill();
      return SliceAnswer.go;
    },
    yield: () => SliceAnswer.trap,
    grow: (delta: number, index: number) => {
      const memory = exports[`${MeterExport.memory}${index}`] as WebAssembly.Memory;
      const pages = exports[`${MeterExport.pages}${index}`] as WebAssembly.Global<"i32">;
      const grow = memory.grow as unknown as (delta: number | bigint) => number | bigint;
      try {
        const before = Number(grow.call(memory, memoryTypes[index]?.index64 ? BigInt(delta) : delta));
        pages.value = before + delta;
        return before;
      } catch {
        return GrowAnswer.refuse;
      }
    },
    growTable: () => 0,
  };

  const wasmTag = new WebAssembly.Tag({ parameters: ["i32"] });
  const listed = (): unknown[] =>
    parsed.exports.filter(({ name }) => !isAdded(name)).map(({ name }) => exports[name]);
  const argument = (type: ValueType, number: () => number): unknown => {
    const n = number();
    const small = n % 3 === 0 ? n | 0 : (n >>> 8) % 100;
    switch (type) {
      case i32:
      case f32:
      case f64:
        return small;
      case i64:
        return BigInt(small);
      case externref:
        return "a reference";
      case funcref:
        return null;
      default:
        return undefined;
    }
  };
  const types = new Map<unknown, number>();
  let depth = 0;
  let nested = 0;
  const callAny = (target: unknown): void => {
    if (typeof target !== "function") throw new TypeError("not a function");
    // traps reset the module's own limit, and they are caught here
    if (depth === deepest || nested === mostNested)
      throw new Error("too many calls of the guest by the guest");
    nested++;
    const index = types.get(target);
    const params = index === undefined ? [] : functionTypes[index]!.params;
    depth++;
    try {
      (target as (...args: unknown[]) => unknown)(...params.map((type) => argument(type, () => 1)));
    } finally {
      depth--;
    }
  };
  const catching = (target: unknown): number => {
    try {
      callAny(target);
      return 0;
    } catch (error) {
      log(ended(error));
      if (call.exhausted || nested >= mostNested) throw error;
      return 1;
    }
  };
  const special: Record<string, (...args: never[]) => unknown> = {
    throw: (which: number) => {
      throw which === 0 ? "thrown by the host" : new WebAssembly.Exception(wasmTag, [which]);
    },
    "call-export": (index: number) => callAny(listed()[index >>> 0]),
    "call-export-catch": (index: number) => catching(listed()[index >>> 0]),
    "call-ref": (target: unknown) => callAny(target),
    "call-ref-catch": (target: unknown) => catching(target),
    "table-get": (index: number) => tableOf(exports.table).get(index),
    "table-set": (index: number, value: unknown) => tableOf(exports.table).set(index, value),
  };
  const importValue = (entry: (typeof parsed.imports)[number]): unknown => {
    if (entry.kind === "function") {
      const [result] = parsed.types[entry.type]!.results;
      const known = special[entry.name] as ((...args: unknown[]) => unknown) | undefined;
      return (...args: unknown[]) => {
        log(`${entry.name} ${describe(args)}`);
        return known
          ? known(...args)
          : result === undefined
            ? undefined
            : argument(result, () => args.length);
      };
    }
    if (entry.kind === "tag") {
      const { JSTag } = WebAssembly as unknown as { JSTag?: WebAssembly.Tag };
      if (entry.name === "jstag" && JSTag) return JSTag;
      return wasmTag;
    }
    if (entry.kind === "global") {
      return new WebAssembly.Global(
        { value: valueTypeNames[entry.global.type] ?? "externref", mutable: entry.global.mutable },
        argument(entry.global.type, () => 2) as never,
      );
    }
    throw new Error(`an import of a kind that is not expected: ${entry.kind}`);
  };
  const imports: Record<string, Record<string, unknown>> = {};
  for (const entry of parsed.imports) {
    if (entry.module === meterModule) continue;
    imports[entry.module] ??= {};
    imports[entry.module]![entry.name] = importValue(entry);
  }

  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    ...imports,
    [meterModule]: meter,
  } as WebAssembly.Imports);
  exports = instance.exports;
  for (const { name, kind, index } of parsed.exports) {
    if (kind === "function") types.set(exports[name], index);
  }
  fillMemories(exports);
  refill();

  const calls: Call[] = [];
  for (const { name, kind, index } of parsed.exports) {
    if (kind !== "function" || !name.startsWith(addedPrefix)) continue;
    call = { name, result: "", units: 0n, ends: 0, exhausted: false, log: [] };
    calls.push(call);
    nested = 0;
    const before = units();
    const args = functionTypes[index]!.params.map((type) => argument(type, next));
    try {
      call.result = describe((exports[name] as (...args: unknown[]) => unknown)(...args));
    } catch (error) {
      call.result = `threw ${ended(error)}`;
    }
    call.units = units() - before;
    if (call.exhausted) break;
  }
  return { calls, state: stateOf(exports, parsed.exports) };
}

/** Copies show what they do only where bytes differ. None of these make NaNs, whose bits engines choose. */
function fillMemories(exports: Record<string, unknown>): void {
  for (const value of Object.values(exports)) {
    if (!(value instanceof WebAssembly.Memory)) continue;
    const bytes = new Uint8Array(value.buffer);
    for (let i = 64; i < bytes.length; i++) bytes[i] = (Math.imul(i, 0x9e3779b1) >>> 20) & 0x3f;
  }
}

const valueTypeNames: Record<ValueType, WebAssembly.ValueType> = {
  [i32]: "i32",
  [i64]: "i64",
  [f32]: "f32",
  [f64]: "f64",
  [externref]: "externref",
  [funcref]: "anyfunc",
};

function stateOf(
  exports: Record<string, unknown>,
  list: readonly { name: string; kind: string }[],
): Record<string, string> {
  const state: Record<string, string> = {};
  for (const { name } of list) {
    if (name.startsWith("thimble:") || name === costExport) continue;
    const value = exports[name];
    if (value instanceof WebAssembly.Memory) {
      const bytes = new Uint8Array(value.buffer);
      state[name] = `${bytes.length} ${createHash("sha1").update(bytes).digest("hex")}`;
    } else if (value instanceof WebAssembly.Table) {
      state[name] = describeTable(value);
    } else if (value instanceof WebAssembly.Global) {
      try {
        state[name] = describe(value.value);
      } catch {
        state[name] = "can't be read";
      }
    }
  }
  return state;
}

/** A table's entries; one with 64 bit indices takes them as bigint. */
function tableOf(value: unknown) {
  const table = value as WebAssembly.Table;
  const length = Number(table.length);
  const wide = typeof (table.length as unknown) === "bigint";
  const at = (index: number): number => {
    const place = index >>> 0;
    // not a RangeError, which stands for the end of the stack
    if (place >= length) throw new Error("outside of the table");
    return (wide ? BigInt(place) : place) as number;
  };
  return {
    length,
    get: (index: number): unknown => table.get(at(index)),
    set: (index: number, entry: unknown): void => table.set(at(index), entry),
  };
}

function describeTable(table: WebAssembly.Table): string {
  const { length, get } = tableOf(table);
  try {
    const entries = Array.from({ length }, (_, i) => describe(get(i)));
    return `${length} ${createHash("sha1").update(entries.join()).digest("hex")}`;
  } catch {
    return `${length} entries that can't be read`;
  }
}
