import {
  Assembler,
  exnref,
  i32,
  type Module,
  Opcode,
  readModule,
  v128,
  writeModule,
} from "../../compiler/wasm/index.ts";
import { rewriteCode } from "../../compiler/wasm/rewrite.ts";

/** Names of the exports that are added begin like this. */
export const addedPrefix = "fuzz:";

/** By how much memories and tables may grow: the machine has to hold it several times over. */
const growablePages = 64;
const growableEntries = 1_000;

/**
 * Makes all of a generated module's state visible, and bounds it.
 *
 * @param turns How many function entries and turns of loops the module allows itself before it traps.
 */
export function prepare(bytes: Uint8Array, turns: number): Uint8Array<ArrayBuffer> {
  const module = readModule(bytes);
  for (const memory of module.memories) {
    memory.max = Math.min(Number(memory.max ?? Number.POSITIVE_INFINITY), memory.min + growablePages);
  }
  for (const table of module.tables) {
    table.max = Math.min(Number(table.max ?? Number.POSITIVE_INFINITY), table.min + growableEntries);
  }
  dropOpaqueCalls(module);
  exportState(module);
  setHangLimit(module, turns);
  return writeModule(module);
}

/** JavaScript takes neither vectors nor exception references: calls of imports that have them as parameters come to nothing. */
function dropOpaqueCalls(module: Module): void {
  const types = module.imports.flatMap((entry) =>
    entry.kind === "function" ? [module.types[entry.type]!] : [],
  );
  for (const body of module.functions) {
    body.code = rewriteCode(body.code, body.position, ({ op, index }, out) => {
      const type = types[index];
      if (op !== Opcode.call || !type || type.results.length > 0) return false;
      if (!type.params.some((param) => param === v128 || param === exnref)) return false;
      out.op(...type.params.map(() => Opcode.drop));
      return true;
    });
  }
}

function exportState(module: Module): void {
  const own = (kind: Module["exports"][number]["kind"], list: readonly unknown[]): void => {
    const first = module.imports.filter((entry) => entry.kind === kind).length;
    list.forEach((_, i) => {
      module.exports.push({ name: `${addedPrefix}${kind}:${i}`, kind, index: first + i });
    });
  };
  own("function", module.functions);
  own("memory", module.memories);
  own("table", module.tables);
  own("global", module.globals);
  if (module.start === undefined) return;
  // a start function runs before a host has the exports that it meters with
  module.exports.unshift({ name: `${addedPrefix}start`, kind: "function", index: module.start });
  delete module.start;
}

/** Generated functions and loops begin with `if (limit == 0) { limit = N; trap } limit--`: finds that global and sets N. */
function setHangLimit(module: Module, turns: number): void {
  const imported = module.imports.filter(({ kind }) => kind === "global").length;
  const seen: { op: number; index: number }[] = [];
  let limit = -1;
  for (const { code } of module.functions) {
    rewriteCode(code, 0, ({ op, index }) => {
      seen.push({ op, index });
      const [get, eqz, open, value, set, trap] = seen.slice(-6);
      if (
        trap?.op === Opcode.unreachable &&
        set?.op === Opcode.globalSet &&
        value?.op === Opcode.i32Const &&
        open?.op === Opcode.if &&
        eqz?.op === Opcode.i32Eqz &&
        get?.op === Opcode.globalGet &&
        get.index === set.index
      ) {
        limit = set.index;
      }
      return false;
    });
    if (limit >= 0) break;
  }
  const global = module.globals[limit - imported];
  if (global?.type !== i32) return;
  global.init = new Assembler().i32(turns).end().finish();
  for (const body of module.functions) {
    let before = { op: -1, start: 0, end: 0 };
    const places: number[] = [];
    rewriteCode(body.code, 0, ({ op, index, start, end }) => {
      if (op === Opcode.globalSet && index === limit && before.op === Opcode.i32Const)
        places.push(before.start);
      before = { op, start, end };
      return false;
    });
    body.code = rewriteCode(body.code, 0, ({ start }, out) => {
      if (!places.includes(start)) return false;
      out.i32(turns);
      return true;
    });
  }
}
