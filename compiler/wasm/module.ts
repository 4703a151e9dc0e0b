import { ByteReader, ByteWriter } from "./bytes.ts";
import { WasmError } from "./errors.ts";

/** A value type as its byte in the binary format (0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64, 0x70 funcref). */
export type ValueType = number;
export const i32: ValueType = 0x7f;
export const i64: ValueType = 0x7e;
export const f64: ValueType = 0x7c;

export interface FunctionType {
  params: ValueType[];
  results: ValueType[];
}

export interface Limits {
  min: number;
  max?: number;
}

export interface TableType extends Limits {
  element: ValueType;
}

export interface GlobalType {
  type: ValueType;
  mutable: boolean;
}

export type ImportDescription =
  | { kind: "function"; type: number }
  | { kind: "table"; table: TableType }
  | { kind: "memory"; memory: Limits }
  | { kind: "global"; global: GlobalType };

export type Import = { module: string; name: string } & ImportDescription;

export interface Export {
  name: string;
  kind: "function" | "table" | "memory" | "global";
  index: number;
}

export interface Global extends GlobalType {
  /** The constant expression, with its `end`. */
  init: Uint8Array;
}

/** An active element segment of table 0. */
export interface ElementSegment {
  offset: Uint8Array;
  functions: number[];
}

/** An active data segment of memory 0. */
export interface DataSegment {
  offset: Uint8Array;
  bytes: Uint8Array;
}

export interface FunctionBody {
  type: number;
  locals: [count: number, type: ValueType][];
  /** The instructions, with the last `end`. */
  code: Uint8Array;
  /** Where `code` began in the file that was read, for messages. */
  position: number;
}

export interface CustomSection {
  name: string;
  bytes: Uint8Array;
}

/** A module in memory: index spaces as arrays, code still in bytes. */
export interface Module {
  types: FunctionType[];
  imports: Import[];
  functions: FunctionBody[];
  tables: TableType[];
  memories: Limits[];
  globals: Global[];
  exports: Export[];
  start?: number;
  elements: ElementSegment[];
  data: DataSegment[];
  customs: CustomSection[];
}

const exportKinds = ["function", "table", "memory", "global"] as const;
const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

export function emptyModule(): Module {
  return {
    types: [],
    imports: [],
    functions: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    elements: [],
    data: [],
    customs: [],
  };
}

/** Number of imports of one kind, which come first in its index space. */
export function importCount(module: Module, kind: Import["kind"]): number {
  return module.imports.reduce((count, entry) => (entry.kind === kind ? count + 1 : count), 0);
}

/** Index of a type, added when the module has none like it. */
export function typeIndex(module: Module, type: FunctionType): number {
  const same = (other: FunctionType) =>
    other.params.join() === type.params.join() && other.results.join() === type.results.join();
  const found = module.types.findIndex(same);
  return found >= 0 ? found : module.types.push(type) - 1;
}

/** The bytes of a constant expression, with its `end`. */
function constantExpression(reader: ByteReader): Uint8Array {
  const from = reader.at;
  for (;;) {
    const op = reader.byte();
    if (op === 0x0b) return reader.bytes.subarray(from, reader.at);
    if (op === 0x41) reader.skipLeb(32);
    else if (op === 0x42) reader.skipLeb(64);
    else if (op === 0x43) reader.take(4);
    else if (op === 0x44) reader.take(8);
    else if (op === 0x23) reader.u32();
    else if (op !== 0x6a && op !== 0x6b && op !== 0x6c) {
      throw new WasmError("unsupported", `0x${op.toString(16)} in a constant expression`, reader.offset - 1);
    }
  }
}

function limits(reader: ByteReader): Limits {
  const flags = reader.byte();
  if (flags > 1)
    throw new WasmError("unsupported", "shared or 64-bit memories can't be metered", reader.offset - 1);
  const min = reader.u32();
  return flags === 1 ? { min, max: reader.u32() } : { min };
}

const tableType = (reader: ByteReader): TableType => ({ element: reader.byte(), ...limits(reader) });
const globalType = (reader: ByteReader): GlobalType => ({
  type: reader.byte(),
  mutable: reader.byte() === 1,
});

function importEntry(reader: ByteReader): Import {
  const name = { module: reader.name(), name: reader.name() };
  const kind = reader.byte();
  if (kind === 0) return { ...name, kind: "function", type: reader.u32() };
  if (kind === 1) return { ...name, kind: "table", table: tableType(reader) };
  if (kind === 2) return { ...name, kind: "memory", memory: limits(reader) };
  if (kind === 3) return { ...name, kind: "global", global: globalType(reader) };
  throw new WasmError("unsupported", "an import of an unknown kind", reader.offset - 1);
}

/**
 * Reads a module.
 *
 * @throws WasmError `malformed` or `unsupported` with the offset.
 */
export function readModule(bytes: Uint8Array): Module {
  const file = new ByteReader(bytes);
  if (header.some((byte, i) => bytes[i] !== byte)) file.fail("no WebAssembly header");
  file.at = header.length;
  const module = emptyModule();
  let functionTypes: number[] = [];
  while (!file.done) {
    const id = file.byte();
    const body = file.take(file.u32());
    const reader = new ByteReader(body, file.offset - body.length);
    switch (id) {
      case 0:
        module.customs.push({ name: reader.name(), bytes: reader.take(body.length - reader.at) });
        break;
      case 1:
        module.types = reader.vector(() => {
          if (reader.byte() !== 0x60) {
            throw new WasmError("unsupported", "a type that is no function", reader.offset - 1);
          }
          return { params: reader.vector(() => reader.byte()), results: reader.vector(() => reader.byte()) };
        });
        break;
      case 2:
        module.imports = reader.vector(() => importEntry(reader));
        break;
      case 3:
        functionTypes = reader.vector(() => reader.u32());
        break;
      case 4:
        module.tables = reader.vector(() => tableType(reader));
        break;
      case 5:
        module.memories = reader.vector(() => limits(reader));
        break;
      case 6:
        module.globals = reader.vector(() => ({ ...globalType(reader), init: constantExpression(reader) }));
        break;
      case 7:
        module.exports = reader.vector(() => {
          const name = reader.name();
          const kind = exportKinds[reader.byte()];
          if (kind === undefined) {
            throw new WasmError("unsupported", "an export of an unknown kind", reader.offset - 1);
          }
          return { name, kind, index: reader.u32() };
        });
        break;
      case 8:
        module.start = reader.u32();
        break;
      case 9:
        module.elements = reader.vector(() => {
          if (reader.u32() !== 0) {
            throw new WasmError("unsupported", "an element segment that is not active", reader.offset - 1);
          }
          return { offset: constantExpression(reader), functions: reader.vector(() => reader.u32()) };
        });
        break;
      case 10: {
        const bodies = reader.vector(() => {
          const size = reader.u32();
          const end = reader.at + size;
          const locals = reader.vector((): [number, number] => [reader.u32(), reader.byte()]);
          const position = reader.offset;
          return { locals, code: reader.take(end - reader.at), position };
        });
        if (bodies.length !== functionTypes.length)
          reader.fail("function and code sections differ in length");
        module.functions = bodies.map((entry, i) => ({ type: functionTypes[i]!, ...entry }));
        break;
      }
      case 11:
        module.data = reader.vector(() => {
          if (reader.u32() !== 0) {
            throw new WasmError("unsupported", "a data segment that is not active", reader.offset - 1);
          }
          return { offset: constantExpression(reader), bytes: reader.take(reader.u32()) };
        });
        break;
      case 12:
        break; // the number of data segments, known from the data section
      default:
        throw new WasmError("unsupported", `section ${id}`, reader.base);
    }
    if (id !== 0 && id !== 12 && !reader.done) reader.fail("section longer than its content");
  }
  return module;
}

function writeLimits(writer: ByteWriter, { min, max }: Limits): void {
  writer.byte(max === undefined ? 0 : 1).u32(min);
  if (max !== undefined) writer.u32(max);
}

/** Writes a module. */
export function writeModule(module: Module): Uint8Array<ArrayBuffer> {
  const file = new ByteWriter().raw(header);
  const section = (id: number, present: boolean, write: (out: ByteWriter) => void): void => {
    if (present) file.byte(id).sized(write);
  };
  const vectorSection = <T>(
    id: number,
    items: readonly T[],
    write: (out: ByteWriter, item: T) => void,
  ): void => section(id, items.length > 0, (out) => out.vector(items, (item) => write(out, item)));

  vectorSection(1, module.types, (out, { params, results }) =>
    out.byte(0x60).u32(params.length).raw(params).u32(results.length).raw(results),
  );
  vectorSection(2, module.imports, (out, entry) => {
    out.name(entry.module).name(entry.name).byte(exportKinds.indexOf(entry.kind));
    if (entry.kind === "function") out.u32(entry.type);
    else if (entry.kind === "table") writeLimits(out.byte(entry.table.element), entry.table);
    else if (entry.kind === "memory") writeLimits(out, entry.memory);
    else out.byte(entry.global.type).byte(entry.global.mutable ? 1 : 0);
  });
  vectorSection(3, module.functions, (out, body) => out.u32(body.type));
  vectorSection(4, module.tables, (out, table) => writeLimits(out.byte(table.element), table));
  vectorSection(5, module.memories, writeLimits);
  vectorSection(6, module.globals, (out, global) =>
    out
      .byte(global.type)
      .byte(global.mutable ? 1 : 0)
      .raw(global.init),
  );
  vectorSection(7, module.exports, (out, { name, kind, index }) =>
    out.name(name).byte(exportKinds.indexOf(kind)).u32(index),
  );
  section(8, module.start !== undefined, (out) => out.u32(module.start!));
  vectorSection(9, module.elements, (out, segment) =>
    out
      .byte(0)
      .raw(segment.offset)
      .vector(segment.functions, (index) => out.u32(index)),
  );
  vectorSection(10, module.functions, (out, { locals, code }) =>
    out.sized((body) => body.vector(locals, ([count, type]) => body.u32(count).byte(type)).raw(code)),
  );
  vectorSection(11, module.data, (out, segment) =>
    out.byte(0).raw(segment.offset).u32(segment.bytes.length).raw(segment.bytes),
  );
  for (const { name, bytes } of module.customs) section(0, true, (out) => out.name(name).raw(bytes));
  return file.finish();
}
