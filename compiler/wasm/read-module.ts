import { ByteReader } from "./bytes.ts";
import { WasmError } from "./errors.ts";
import { header, kinds } from "./format.ts";
import { InstructionReader, Opcode, readValueType } from "./instructions.ts";
import { checkLimit, type ModuleLimits, noLimits } from "./limits.ts";
import {
  type DataSegment,
  type ElementSegment,
  emptyModule,
  type FunctionType,
  funcref,
  type GlobalType,
  type Import,
  type Limits,
  type Module,
  type TableType,
} from "./module.ts";

/** The ids of sections in the order in which they may stand. */
const sectionOrder = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

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
