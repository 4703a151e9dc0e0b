import { ByteWriter } from "./bytes.ts";
import { header, kinds, lebLength } from "./format.ts";
import {
  type CustomSection,
  type ElementSegment,
  type FunctionBody,
  type Limits,
  localsLength,
  type Module,
} from "./module.ts";

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
  const before = new Sections(module);
  before.file.raw(header);
  before.customsAfter(0);
  before.vector(1, module.types, (out, { params, results }) =>
    out.byte(0x60).u32(params.length).raw(params).u32(results.length).raw(results),
  );
  before.vector(2, module.imports, (out, entry) => {
    out.name(entry.module).name(entry.name).byte(kinds.indexOf(entry.kind));
    if (entry.kind === "function") out.u32(entry.type);
    else if (entry.kind === "table") writeLimits(out.byte(entry.table.element), entry.table);
    else if (entry.kind === "memory") writeLimits(out, entry.memory);
    else if (entry.kind === "tag") out.byte(0).u32(entry.type);
    else out.byte(entry.global.type).byte(entry.global.mutable ? 1 : 0);
  });
  before.vector(3, module.functions, (out, body) => out.u32(body.type));
  before.vector(4, module.tables, (out, table) => writeLimits(out.byte(table.element), table));
  before.vector(5, module.memories, writeLimits);
  before.vector(13, module.tags, (out, type) => out.byte(0).u32(type));
  before.vector(6, module.globals, (out, { type, mutable, init }) =>
    out
      .byte(type)
      .byte(mutable ? 1 : 0)
      .raw(init),
  );
  before.vector(7, module.exports, (out, { name, kind, index }) =>
    out.name(name).byte(kinds.indexOf(kind)).u32(index),
  );
  before.section(8, module.start !== undefined, (out) => out.u32(module.start!));
  before.vector(9, module.elements, writeElementSegment);
  before.section(12, module.dataCount, (out) => out.u32(module.data.length));

  const after = new Sections(module);
  after.customsAfter(10);
  after.vector(11, module.data, (out, segment) => {
    out.byte(segment.mode === "passive" ? 1 : segment.memory === undefined ? 0 : 2);
    if (segment.memory !== undefined) out.u32(segment.memory);
    out.raw(segment.offset).u32(segment.bytes.length).raw(segment.bytes);
  });
  after.customsAfter(undefined);

  // the code is most of the file: its length is known beforehand, so that it is copied only once
  const code = codeBytes(module.functions);
  const file = new ByteWriter(before.file.length + code + 1 + lebLength(code) + after.file.length);
  file.raw(before.file.view());
  if (module.functions.length > 0) {
    file.byte(10).u32(code);
    file.vector(module.functions, ({ locals, code }) => {
      file.u32(localsLength(locals) + code.length);
      file.vector(locals, ([count, type]) => file.u32(count).byte(type)).raw(code);
    });
  }
  return file.raw(after.file.view()).release();
}

/** Length of the code section's content. */
const codeBytes = (functions: readonly FunctionBody[]): number =>
  functions.reduce((sum, { locals, code }) => {
    const length = localsLength(locals) + code.length;
    return sum + lebLength(length) + length;
  }, lebLength(functions.length));

/** Sections, each followed by the custom ones that stand behind it. */
class Sections {
  readonly file = new ByteWriter();
  readonly #customs: readonly CustomSection[];

  constructor({ customs }: Module) {
    this.#customs = customs;
  }

  customsAfter(id: number | undefined): void {
    for (const { name, bytes, after } of this.#customs) {
      if (after === id) this.file.byte(0).sized((out) => out.name(name).raw(bytes));
    }
  }

  section(id: number, present: boolean, write: (out: ByteWriter) => void): void {
    if (present) this.file.byte(id).sized(write);
    this.customsAfter(id);
  }

  vector<T>(id: number, items: readonly T[], write: (out: ByteWriter, item: T) => void): void {
    this.section(id, items.length > 0, (out) => out.vector(items, (item) => write(out, item)));
  }
}
