import { type kinds, lebLength } from "./format.ts";

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
  kind: (typeof kinds)[number];
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
