import { Changed, MeterExport } from "./protocol.ts";

/** Size of a page of memory, bytes. */
export const pageSize = 65_536;

type NumberGlobal = WebAssembly.Global<"i32">;

export interface OwnMemory {
  memory: WebAssembly.Memory;
  /** Its size as the guest sees it. */
  pages: NumberGlobal;
}

/** What metering exports of an instance's own state. */
export class InstanceState {
  readonly memories: OwnMemory[] = [];
  readonly #tables: WebAssembly.Table[] = [];
  readonly #globals: WebAssembly.Global[] = [];
  readonly #changed: NumberGlobal | undefined;
  readonly #save: (() => void) | undefined;
  readonly #restore: (() => void) | undefined;

  constructor(exports: WebAssembly.Exports) {
    for (const [name, value] of Object.entries(exports)) {
      if (name.startsWith(MeterExport.global)) this.#globals.push(value as WebAssembly.Global);
      else if (name.startsWith(MeterExport.table)) this.#tables.push(value as WebAssembly.Table);
      else if (name.startsWith(MeterExport.memory)) {
        const pages = exports[MeterExport.pages + name.slice(MeterExport.memory.length)] as NumberGlobal;
        this.memories.push({ memory: value as WebAssembly.Memory, pages });
      }
    }
    this.#changed = exports[MeterExport.changed] as NumberGlobal | undefined;
    this.#save = exports[MeterExport.save] as (() => void) | undefined;
    this.#restore = exports[MeterExport.restore] as (() => void) | undefined;
  }

  /**
   * Remembers everything.
   *
   * @returns A function that makes everything what it is now. It returns false, and changes nothing, where that can't be done.
   */
  take(): () => boolean {
    const memories = this.memories.map(({ memory, pages }) => {
      const bytes = new Uint8Array(memory.buffer, 0, pages.value * pageSize);
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] === 0) end--;
      return { memory, pages, size: pages.value, bytes: bytes.slice(0, end) };
    });
    const changed = this.#changed;
    const tables = changed ? this.#tables.map((table) => ({ table, entries: entriesOf(table) })) : [];
    const globals = this.#globals.map((global) => ({ global, value: global.value }));
    this.#save?.();
    if (changed) changed.value = 0;

    return () => {
      const changes = changed?.value ?? 0;
      if ((changes & Changed.segments) !== 0) return false;
      const changedTables = (changes & Changed.tables) === 0 ? [] : tables;
      if (changedTables.some(({ table, entries }) => entries?.length !== Number(table.length))) return false;
      for (const { memory, pages, size, bytes } of memories) {
        const now = new Uint8Array(memory.buffer);
        now.set(bytes);
        now.fill(0, bytes.length);
        pages.value = size;
      }
      for (const { table, entries } of changedTables) {
        for (const [i, entry] of entries!.entries()) table.set(indexIn(table, i), entry);
      }
      for (const { global, value } of globals) global.value = value;
      this.#restore?.();
      if (changed) changed.value = 0;
      return true;
    };
  }
}

/** Indices of a table are bigints when it is one of memory64. */
function indexIn(table: WebAssembly.Table, index: number): number {
  return (typeof table.length === "bigint" ? BigInt(index) : index) as number;
}

/** Undefined for a table of exceptions, which JavaScript can't read. */
function entriesOf(table: WebAssembly.Table): unknown[] | undefined {
  const length = Number(table.length);
  try {
    return Array.from({ length }, (_, i) => table.get(indexIn(table, i)));
  } catch (error) {
    if (length > 0 && error instanceof TypeError) return undefined;
    throw error;
  }
}
