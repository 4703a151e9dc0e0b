import { ByteReader, ByteStore, ByteWriter } from "./bytes.ts";
import type { CustomSection, Module } from "./module.ts";

/** Whether a branch is likely, by its position in the function's code (proposal "branch hinting"). */
export type BranchHints = Map<number, number>;

export const branchHintSection = "metadata.code.branch_hint";

/** Sections whose contents are positions in the code, which a pass moves: debug information and relocations. */
const positional = /^(\.debug_.*|reloc\..*|linking|sourceMappingURL|external_debug_info|metadata\.code\..*)$/;

/** The custom sections that still hold true after a pass over the code. */
export function keptSections(module: Module, renumber: (index: number) => number): CustomSection[] {
  return module.customs
    .filter(({ name }) => !positional.test(name))
    .map((section) =>
      section.name === "name" ? { ...section, bytes: renumberNames(section.bytes, renumber) } : section,
    );
}

const Subsection = { functions: 1, locals: 2, labels: 3 } as const;

/** Names for functions that have moved. Labels lose theirs; a section that can't be read is left out, as engines do. */
function renumberNames(bytes: Uint8Array, renumber: (index: number) => number): Uint8Array {
  const out = new ByteWriter();
  try {
    const reader = new ByteReader(bytes);
    while (!reader.done) {
      const id = reader.byte();
      const content = reader.take(reader.u32());
      if (id === Subsection.labels) continue;
      if (id !== Subsection.functions && id !== Subsection.locals) {
        out.byte(id).u32(content.length).raw(content);
        continue;
      }
      const inner = new ByteReader(content);
      out.byte(id).sized((part) => {
        const count = inner.u32();
        part.u32(count);
        for (let i = 0; i < count; i++) {
          part.u32(renumber(inner.u32()));
          if (id === Subsection.functions) part.name(inner.name());
          else {
            const names = inner.u32();
            part.u32(names);
            for (let local = 0; local < names; local++) part.u32(inner.u32()).name(inner.name());
          }
        }
      });
    }
  } catch {
    return new Uint8Array(0);
  }
  return out.finish();
}

/** The module's own branch hints, by function and position; none when the section can't be read. */
export function readBranchHints(module: Module): Map<number, BranchHints> {
  const hints = new Map<number, BranchHints>();
  const section = module.customs.find(({ name }) => name === branchHintSection);
  if (!section) return hints;
  try {
    const reader = new ByteReader(section.bytes);
    for (let functions = reader.u32(); functions > 0; functions--) {
      const ofFunction: BranchHints = new Map();
      hints.set(reader.u32(), ofFunction);
      for (let left = reader.u32(); left > 0; left--) {
        const position = reader.u32();
        reader.u32(); // the hint's size, one byte
        ofFunction.set(position, reader.byte());
      }
    }
  } catch {
    return new Map();
  }
  return hints;
}

/** Takes in the hints of a module's functions, in any order, for the section that tells the engine which branches are likely. */
export class BranchHintWriter {
  readonly #store = new ByteStore();
  readonly #functions = new Map<number, Uint8Array>();
  readonly #entry = new ByteWriter();

  /**
   * @param index The function's, imports included.
   * @param shift Bytes of its locals, which positions in the section include.
   */
  add(index: number, hints: BranchHints, shift: number): void {
    if (hints.size === 0) return;
    this.#entry.clear();
    this.#entry.u32(index).u32(hints.size);
    for (const [position, hint] of hints)
      this.#entry
        .u32(position + shift)
        .byte(1)
        .byte(hint);
    this.#functions.set(index, this.#store.keep(this.#entry.view()));
  }

  /** The section, where there are any hints. It has to stand before the code. */
  sections(): CustomSection[] {
    if (this.#functions.size === 0) return [];
    const entries = [...this.#functions].sort(([a], [b]) => a - b);
    const out = new ByteWriter();
    out.vector(entries, ([, bytes]) => out.raw(bytes));
    return [{ name: branchHintSection, bytes: out.finish(), after: 12 }];
  }
}
