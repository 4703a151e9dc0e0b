import { Assembler } from "./assembler.ts";
import type { Helpers } from "./helpers.ts";
import type { Layout } from "./layout.ts";
import { type Export, exnref, f32, f64, importCount, v128 } from "./module.ts";
import { MeterExport } from "./protocol.ts";

/**
 * What the host needs to set an instance back: its own memories and their sizes, tables, mutable globals, and whether tables or segments were changed.
 */
export function resetExports(layout: Layout, helpers: Helpers): Export[] {
  const { module } = layout;
  const exports: Export[] = [];
  const add = (kind: Export["kind"], name: string, index: number): void => {
    exports.push({ name, kind, index });
  };
  for (const i of module.memories.keys()) {
    const index = layout.importedMemories + i;
    add("global", `${MeterExport.pages}${index}`, layout.pages + i);
    add("memory", `${MeterExport.memory}${index}`, index);
  }
  if (layout.changed !== undefined) add("global", MeterExport.changed, layout.changed);
  const importedTables = importCount(module, "table");
  for (const i of module.tables.keys()) {
    add("table", `${MeterExport.table}${importedTables + i}`, importedTables + i);
  }
  const importedGlobals = importCount(module, "global");
  for (const [i, { mutable, type }] of module.globals.entries()) {
    if (mutable && type !== v128 && type !== exnref) {
      add("global", `${MeterExport.global}${importedGlobals + i}`, importedGlobals + i);
    }
  }
  return [...exports, ...shadowExports(layout, helpers)];
}

/** Functions that save and restore the globals that don't survive JavaScript: it can't read them, or not all bits of a NaN. */
function shadowExports(layout: Layout, helpers: Helpers): Export[] {
  const { module, out } = layout;
  const imported = importCount(module, "global");
  const save = new Assembler();
  const restore = new Assembler();
  for (const [i, global] of module.globals.entries()) {
    if (!global.mutable || !opaque.has(global.type)) continue;
    const shadow = imported + out.globals.push(global) - 1;
    save.globalGet(imported + i).globalSet(shadow);
    restore.globalGet(shadow).globalSet(imported + i);
  }
  if (save.length === 0) return [];
  const functions = [
    [MeterExport.save, save],
    [MeterExport.restore, restore],
  ] as const;
  return functions.map(([name, code]) => {
    const body = { locals: [], code: code.end().finish(), position: 0 };
    return { name, kind: "function", index: helpers.add(name, { params: [], results: [] }, () => body) };
  });
}

const opaque: ReadonlySet<number> = new Set([v128, exnref, f32, f64]);
