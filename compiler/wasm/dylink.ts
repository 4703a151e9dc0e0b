import { ByteReader } from "./bytes.ts";
import { WasmError } from "./errors.ts";
import type { Module } from "./module.ts";

/** What a shared library needs before it can be placed. */
export interface DylinkInfo {
  /** Static data, bytes. */
  memorySize: number;
  /** Slots in the indirect function table. */
  tableSize: number;
}

/** Reads the `dylink.0` section (WebAssembly tool-conventions, DynamicLinking.md). */
export function readDylink(module: Module): DylinkInfo {
  const section = module.customs.find(({ name }) => name === "dylink.0");
  if (!section) throw new WasmError("link_failed", "not a shared library: no dylink.0 section");
  const reader = new ByteReader(section.bytes);
  while (!reader.done) {
    const kind = reader.byte();
    const content = new ByteReader(reader.take(reader.u32()));
    if (kind !== 1) continue;
    const memorySize = content.u32();
    content.u32();
    return { memorySize, tableSize: content.u32() };
  }
  throw new WasmError("link_failed", "the dylink.0 section has no memory and table sizes");
}
