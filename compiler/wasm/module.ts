import { ByteReader, ByteWriter } from "./bytes.ts";
import { WasmError } from "./errors.ts";
import { InstructionReader, Opcode, readValueType } from "./instructions.ts";
import { checkLimit, type ModuleLimits, noLimits } from "./limits.ts";

/** A value type as its byte in the binary format. */
export type ValueType = number;
export const i32: ValueType = 0x7f;
export const i64: ValueType = 0x7e;
export const f32: ValueType = 0x7d;
export const f64: ValueType = 0x7c;
export const v128: ValueType = 0x7b;
export const funcref: ValueType = 0x70;
export const externref: ValueType = 0x6f;
export const exnref: ValueType = 0x69;

export interface FunctionType {
  params: ValueType[];
  results: ValueType[];
}

/** Size of a memory in pages or of a table in entries. */
export interface Limits {
  min: number;
  max?: number | bigint;
  /** Indices are i64 (memory64 proposal). */
  index64?: boolean;
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
  | { kind: "global"; global: GlobalType }
  | { kind: "tag"; type: number };

export type Import = { module: string; name: string } & ImportDescription;

export interface Export {
  name: string;
  kind: "function" | "table" | "memory" | "global" | "tag";
  index: number;
}

export interface Global extends GlobalType {
  /** The constant expression, with its `end`. */
  init: Uint8Array;
}

/** How a segment is used: copied when the module starts, copied by instructions, or only declared. */
export type SegmentMode = "active" | "passive" | "declarative";

export interface ElementSegment {
  mode: SegmentMode;
  /** Where an active one begins; empty otherwise. */
  offset: Uint8Array;
  /** The table of an active one; undefined where the short form stands for table 0. */
  table?: number;
  /** Function indices, or constant expressions of a type. */
  items: { functions: number[] } | { type: ValueType; expressions: Uint8Array[] };
}

export interface DataSegment {
  mode: "active" | "passive";
  /** Where an active one begins; empty otherwise. */
  offset: Uint8Array;
  /** The memory of an active one; undefined where the short form stands for memory 0. */
  memory?: number;
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
  /** The section that it follows, as its id; 0 at the very beginning. Undefined: the end. */
  after?: number;
}

/** A module in memory: index spaces as arrays, code still in bytes. */
export interface Module {
  types: FunctionType[];
  imports: Import[];
  functions: FunctionBody[];
  tables: TableType[];
  memories: Limits[];
  /** Types of the exception tags that the module defines. */
  tags: number[];
  globals: Global[];
  exports: Export[];
  start?: number;
  elements: ElementSegment[];
  data: DataSegment[];
  /** The module says how many data segments it has before its code. */
  dataCount: boolean;
  customs: CustomSection[];
}

const kinds = ["function", "table", "memory", "global", "tag"] as const;
const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** The ids of sections in the order in which they may stand. */
const sectionOrder = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

export function emptyModule(): Module {
  return {
    types: [],
    imports: [],
    functions: [],
    tables: [],
    memories: [],
    tags: [],
    globals: [],
    exports: [],
    elements: [],
    data: [],
    dataCount: false,
    customs: [],
  };
}

const lebLength = (value: number): number => Math.max(1, Math.ceil((32 - Math.clz32(value)) / 7));

/** Bytes that the declaration of locals takes before a function's instructions. */
export function localsLength(locals: FunctionBody["locals"]): number {
  return lebLength(locals.length) + locals.reduce((sum, [count]) => sum + lebLength(count) + 1, 0);
}

/** Number of imports of one kind, which come first in its index space. */
export function importCount(module: Module, kind: Import["kind"]): number {
  return module.imports.reduce((count, entry) => (entry.kind === kind ? count + 1 : count), 0);
}

/** Types of a whole index space, imports first. */
export function memoriesOf(module: Module): Limits[] {
  const imported = module.imports.flatMap((entry) => (entry.kind === "memory" ? [entry.memory] : []));
  return [...imported, ...module.memories];
}
export function tablesOf(module: Module): TableType[] {
  const imported = module.imports.flatMap((entry) => (entry.kind === "table" ? [entry.table] : []));
  return [...imported, ...module.tables];
}

/** The types of a module by what they are, as far as they have been looked at: passes ask once for each of many instructions. */
const knownTypes = new WeakMap<FunctionType[], { seen: number; indices: Map<string, number> }>();

/** Index of a type, added when the module has none like it. Types are only ever added to a module. */
export function typeIndex(module: Module, type: FunctionType): number {
  const { types } = module;
  let known = knownTypes.get(types);
  if (known === undefined || known.seen > types.length) {
    known = { seen: 0, indices: new Map() };
    knownTypes.set(types, known);
  }
  const key = ({ params, results }: FunctionType) => `${params.join()}>${results.join()}`;
  for (; known.seen < types.length; known.seen++) {
    const name = key(types[known.seen]!);
    if (!known.indices.has(name)) known.indices.set(name, known.seen);
  }
  return known.indices.get(key(type)) ?? types.push(type) - 1;
}

/** An active element segment of table 0. */
export function activeElements(offset: Uint8Array, functions: number[]): ElementSegment {
  return { mode: "active", offset, items: { functions } };
}

/** The bytes of a constant expression, with its `end`. */
function constantExpression(reader: ByteReader): Uint8Array {
  const instruction = new InstructionReader(reader.bytes.subarray(reader.at), reader.offset);
  while (instruction.next()) {
    const { op } = instruction;
    if (op === Opcode.end) return reader.take(instruction.end);
    const known =
      (op >= 0x41 && op <= 0x44) ||
      op === Opcode.globalGet ||
      op === 0xd0 ||
      op === Opcode.refFunc ||
      op === 0xfd0c ||
      (op >= 0x6a && op <= 0x6c) ||
      (op >= 0x7c && op <= 0x7e);
    if (!known) {
      throw new WasmError("malformed", "not a constant instruction", instruction.offset);
    }
  }
  return reader.fail("constant expression without an end");
}

function readLimits(reader: ByteReader, limits: ModuleLimits, name: keyof ModuleLimits): Limits {
  const at = reader.offset;
  const flags = reader.byte();
  const refuse = (what: string): never => {
    throw new WasmError("unsupported", `${what} can't be metered`, at);
  };
  if ((flags & 0x02) !== 0) refuse("threads (a shared memory)");
  if ((flags & 0x08) !== 0) refuse("custom page sizes");
  if (flags > 0x0f) reader.fail("unknown kind of limits", reader.at - 1);
  if ((flags & 0x04) === 0) {
    const min = reader.u32();
    checkLimit(limits, name, min, at);
    return (flags & 1) === 0 ? { min } : { min, max: reader.u32() };
  }
  const min = Number(reader.u64());
  checkLimit(limits, name, min, at);
  return (flags & 1) === 0 ? { min, index64: true } : { min, max: reader.u64(), index64: true };
}

function readTableType(reader: ByteReader, limits: ModuleLimits): TableType {
  if (reader.bytes[reader.at] === 0x40) {
    throw new WasmError("unsupported", "typed function references can't be metered", reader.offset);
  }
  return { element: readValueType(reader), ...readLimits(reader, limits, "tableEntries") };
}

function readGlobalType(reader: ByteReader): GlobalType {
  const type = readValueType(reader);
  const mutable = reader.byte();
  if (mutable === 2 || mutable === 3) {
    throw new WasmError("unsupported", "threads (a shared global) can't be metered", reader.offset - 1);
  }
  if (mutable > 1) reader.fail("bad mutability", reader.at - 1);
  return { type, mutable: mutable === 1 };
}

function readTagType(reader: ByteReader): number {
  if (reader.byte() !== 0) reader.fail("unknown kind of tag", reader.at - 1);
  return reader.u32();
}

function readType(reader: ByteReader, limits: ModuleLimits): FunctionType {
  const form = reader.byte();
  if (form !== 0x60) {
    const at = reader.offset - 1;
    if (form === 0x5d) throw new WasmError("unsupported", "stack switching can't be metered", at);
    if (form >= 0x4c && form <= 0x5f)
      throw new WasmError("unsupported", "garbage collection can't be metered", at);
    throw new WasmError("malformed", `unknown form of type 0x${form.toString(16)}`, at);
  }
  const valueTypes = () => {
    const at = reader.offset;
    const length = reader.u32();
    checkLimit(limits, "arity", length, at);
    return reader.items(length, () => readValueType(reader));
  };
  return { params: valueTypes(), results: valueTypes() };
}

function readImport(reader: ByteReader, limits: ModuleLimits, name: () => string): Import {
  const from = { module: name(), name: name() };
  const kind = kinds[reader.byte()];
  switch (kind) {
    case "function":
      return { ...from, kind, type: reader.u32() };
    case "table":
      return { ...from, kind, table: readTableType(reader, limits) };
    case "memory":
      return { ...from, kind, memory: readLimits(reader, limits, "memoryPages") };
    case "global":
      return { ...from, kind, global: readGlobalType(reader) };
    case "tag":
      return { ...from, kind, type: readTagType(reader) };
    default:
      return reader.fail("an import of an unknown kind", reader.at - 1);
  }
}

/** `length` is called with the number of entries, before they are read. */
function readElementSegment(reader: ByteReader, length: (entries: number) => number): ElementSegment {
  const flags = reader.u32();
  if (flags > 7) reader.fail("unknown kind of element segment", reader.at - 1);
  const mode = (flags & 1) === 0 ? "active" : (flags & 2) === 0 ? "passive" : "declarative";
  const table = mode === "active" && (flags & 2) !== 0 ? reader.u32() : undefined;
  const offset = mode === "active" ? constantExpression(reader) : new Uint8Array(0);
  const typed = (flags & 3) !== 0;
  const place = { mode, offset, ...(table === undefined ? {} : { table }) } as const;
  if ((flags & 4) === 0) {
    if (typed && reader.byte() !== 0) reader.fail("unknown kind of elements", reader.at - 1);
    return { ...place, items: { functions: reader.items(length(reader.u32()), () => reader.u32()) } };
  }
  const type = typed ? readValueType(reader) : funcref;
  const expressions = reader.items(length(reader.u32()), () => constantExpression(reader));
  return { ...place, items: { type, expressions } };
}

function readDataSegment(reader: ByteReader): DataSegment {
  const flags = reader.u32();
  if (flags > 2) reader.fail("unknown kind of data segment", reader.at - 1);
  const memory = flags === 2 ? reader.u32() : undefined;
  const mode = flags === 1 ? "passive" : "active";
  const offset = mode === "active" ? constantExpression(reader) : new Uint8Array(0);
  return {
    mode,
    offset,
    ...(memory === undefined ? {} : { memory }),
    bytes: reader.take(reader.u32()),
  };
}

/**
 * Reads a module.
 *
 * @param limits Bounds that are checked on the way; none by default.
 * @throws WasmError `malformed`, `unsupported` or `limit_exceeded`, with the offset.
 */
export function readModule(bytes: Uint8Array, limits: ModuleLimits = noLimits): Module {
  checkLimit(limits, "size", bytes.length, limits.size);
  const file = new ByteReader(bytes);
  if (header.some((byte, i) => bytes[i] !== byte)) {
    if (bytes[4] === 0x0d || (bytes[6] === 1 && bytes[4] !== 1)) {
      throw new WasmError("unsupported", "a component, not a core module", 4);
    }
    file.fail("no WebAssembly header", 0);
  }
  file.at = header.length;
  const module = emptyModule();
  let functionTypes: number[] = [];
  let dataSegments: number | undefined;
  let last = 0;
  let customBytes = 0;
  let elements = 0;
  let dataBytes = 0;
  let hasCode = false;

  while (!file.done) {
    const id = file.byte();
    const sectionAt = file.offset - 1;
    const body = file.take(file.u32());
    const reader = new ByteReader(body, file.offset - body.length);
    const name = (): string => {
      const { at, offset } = reader;
      checkLimit(limits, "nameBytes", reader.u32(), offset);
      reader.at = at;
      return reader.name();
    };
    const vector = <T>(limit: keyof ModuleLimits, item: () => T): T[] => {
      const at = reader.offset;
      const length = reader.u32();
      checkLimit(limits, limit, length, at);
      return reader.items(length, item);
    };
    if (id === 0) {
      customBytes += body.length;
      checkLimit(limits, "customBytes", customBytes, sectionAt);
      module.customs.push({ name: name(), bytes: reader.take(body.length - reader.at), after: last });
      continue;
    }
    if (id === 14) throw new WasmError("unsupported", "stringref can't be metered", sectionAt);
    const place = sectionOrder.indexOf(id);
    if (place < 0) file.fail(`unknown section ${id}`, sectionAt);
    if (last !== 0 && place <= sectionOrder.indexOf(last)) file.fail("section out of order", sectionAt);
    last = id;
    switch (id) {
      case 1:
        module.types = vector("types", () => readType(reader, limits));
        break;
      case 2:
        module.imports = vector("imports", () => readImport(reader, limits, name));
        break;
      case 3:
        functionTypes = vector("functions", () => reader.u32());
        break;
      case 4:
        module.tables = vector("tables", () => readTableType(reader, limits));
        break;
      case 5:
        module.memories = vector("memories", () => readLimits(reader, limits, "memoryPages"));
        break;
      case 6:
        module.globals = vector("globals", () => ({
          ...readGlobalType(reader),
          init: constantExpression(reader),
        }));
        break;
      case 7:
        module.exports = vector("exports", () => {
          const text = name();
          const kind = kinds[reader.byte()];
          if (kind === undefined) return reader.fail("an export of an unknown kind", reader.at - 1);
          return { name: text, kind, index: reader.u32() };
        });
        break;
      case 8:
        module.start = reader.u32();
        break;
      case 9:
        module.elements = vector("elementSegments", () => {
          const at = reader.offset;
          return readElementSegment(reader, (entries) => {
            elements += entries;
            checkLimit(limits, "elements", elements, at);
            return entries;
          });
        });
        break;
      case 10: {
        hasCode = true;
        const count = reader.u32();
        if (count !== functionTypes.length) reader.fail("function and code sections differ in length", 0);
        let index = 0;
        module.functions = reader.items(count, () => {
          const size = reader.u32();
          checkLimit(limits, "functionBytes", size, reader.offset);
          const end = reader.at + size;
          let total = 0;
          const locals = reader.vector((): [number, number] => {
            const entry: [number, number] = [reader.u32(), readValueType(reader)];
            total += entry[0];
            return entry;
          });
          if (total > 0xffff_ffff) reader.fail("too many locals");
          checkLimit(limits, "locals", total, reader.offset);
          const position = reader.offset;
          if (reader.at >= end) reader.fail("function longer than its size");
          return { type: functionTypes[index++]!, locals, code: reader.take(end - reader.at), position };
        });
        break;
      }
      case 11:
        module.data = vector("dataSegments", () => {
          const at = reader.offset;
          const segment = readDataSegment(reader);
          dataBytes += segment.bytes.length;
          checkLimit(limits, "dataBytes", dataBytes, at);
          return segment;
        });
        break;
      case 12:
        dataSegments = reader.u32();
        module.dataCount = true;
        break;
      case 13:
        module.tags = vector("tags", () => readTagType(reader));
        break;
    }
    if (!reader.done) reader.fail("section longer than its content");
  }
  if (!hasCode && functionTypes.length > 0) file.fail("functions without code");
  if (dataSegments !== undefined && dataSegments !== module.data.length) {
    file.fail("data count differs from the data section");
  }
  return module;
}

function writeLimits(writer: ByteWriter, { min, max, index64 }: Limits): void {
  writer.byte((max === undefined ? 0 : 1) | (index64 ? 4 : 0));
  if (index64) writer.u64(BigInt(min));
  else writer.u32(min);
  if (max === undefined) return;
  if (index64) writer.u64(BigInt(max));
  else writer.u32(Number(max));
}

function writeElementSegment(out: ByteWriter, { mode, table, offset, items }: ElementSegment): void {
  const expressions = "expressions" in items;
  const place = mode === "active" ? (table === undefined ? 0 : 2) : mode === "passive" ? 1 : 3;
  out.u32(place | (expressions ? 4 : 0));
  if (table !== undefined) out.u32(table);
  out.raw(offset);
  if (place !== 0) out.byte(expressions ? items.type : 0);
  if (expressions) out.vector(items.expressions, (expression) => out.raw(expression));
  else out.vector(items.functions, (index) => out.u32(index));
}

/** Writes a module. */
export function writeModule(module: Module): Uint8Array<ArrayBuffer> {
  const file = new ByteWriter().raw(header);
  const customsAfter = (id: number | undefined): void => {
    for (const { name, bytes, after } of module.customs) {
      if (after === id) file.byte(0).sized((out) => out.name(name).raw(bytes));
    }
  };
  const section = (id: number, present: boolean, write: (out: ByteWriter) => void): void => {
    if (present) file.byte(id).sized(write);
    customsAfter(id);
  };
  const vectorSection = <T>(
    id: number,
    items: readonly T[],
    write: (out: ByteWriter, item: T) => void,
  ): void => section(id, items.length > 0, (out) => out.vector(items, (item) => write(out, item)));

  customsAfter(0);
  vectorSection(1, module.types, (out, { params, results }) =>
    out.byte(0x60).u32(params.length).raw(params).u32(results.length).raw(results),
  );
  vectorSection(2, module.imports, (out, entry) => {
    out.name(entry.module).name(entry.name).byte(kinds.indexOf(entry.kind));
    if (entry.kind === "function") out.u32(entry.type);
    else if (entry.kind === "table") writeLimits(out.byte(entry.table.element), entry.table);
    else if (entry.kind === "memory") writeLimits(out, entry.memory);
    else if (entry.kind === "tag") out.byte(0).u32(entry.type);
    else out.byte(entry.global.type).byte(entry.global.mutable ? 1 : 0);
  });
  vectorSection(3, module.functions, (out, body) => out.u32(body.type));
  vectorSection(4, module.tables, (out, table) => writeLimits(out.byte(table.element), table));
  vectorSection(5, module.memories, writeLimits);
  vectorSection(13, module.tags, (out, type) => out.byte(0).u32(type));
  vectorSection(6, module.globals, (out, global) =>
    out
      .byte(global.type)
      .byte(global.mutable ? 1 : 0)
      .raw(global.init),
  );
  vectorSection(7, module.exports, (out, { name, kind, index }) =>
    out.name(name).byte(kinds.indexOf(kind)).u32(index),
  );
  section(8, module.start !== undefined, (out) => out.u32(module.start!));
  vectorSection(9, module.elements, writeElementSegment);
  section(12, module.dataCount, (out) => out.u32(module.data.length));
  const codeBytes = module.functions.reduce(
    (sum, { locals, code }) =>
      sum + lebLength(localsLength(locals) + code.length) + localsLength(locals) + code.length,
    lebLength(module.functions.length),
  );
  const dataBytes = module.data.reduce((sum, { bytes }) => sum + bytes.length + 16, 0);
  // the largest sections: room is made for them at once
  if (module.functions.length > 0) {
    file
      .reserve(1 + lebLength(codeBytes) + codeBytes + dataBytes)
      .byte(10)
      .u32(codeBytes);
    file.vector(module.functions, ({ locals, code }) => {
      file.u32(localsLength(locals) + code.length);
      file.vector(locals, ([count, type]) => file.u32(count).byte(type)).raw(code);
    });
  }
  customsAfter(10);
  vectorSection(11, module.data, (out, segment) => {
    out.byte(segment.mode === "passive" ? 1 : segment.memory === undefined ? 0 : 2);
    if (segment.memory !== undefined) out.u32(segment.memory);
    out.raw(segment.offset).u32(segment.bytes.length).raw(segment.bytes);
  });
  customsAfter(undefined);
  return file.finish();
}
