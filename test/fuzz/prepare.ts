import {
  Assembler,
  exnref,
  i32,
  importCount,
  type Module,
  Opcode,
  readModule,
  typeIndex,
  type ValueType,
  v128,
  writeModule,
} from "../../compiler/wasm/index.ts";
import { rewriteCode } from "../../compiler/wasm/rewrite.ts";
import { enrich } from "./enrich.ts";
import { randomNumbers } from "./random.ts";

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
export function prepare(
  bytes: Uint8Array,
  { turns, seed }: { turns: number; seed: number },
): Uint8Array<ArrayBuffer> {
  const module = readModule(bytes);
  setHangLimit(module, turns);
  // most modules: the others show that they are not needed for a difference
  const next = randomNumbers(seed ^ 0x5eed);
  if (next() % 4 !== 0) enrich(module, next);
  for (const memory of module.memories) {
    memory.max = Math.min(Number(memory.max ?? Number.POSITIVE_INFINITY), memory.min + growablePages);
  }
  for (const table of module.tables) {
    table.max = Math.min(Number(table.max ?? Number.POSITIVE_INFINITY), table.min + growableEntries);
  }
  dropOpaqueCalls(module);
  exportState(module);
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
    const first = importCount(module, kind);
    list.forEach((_, i) => {
      module.exports.push({ name: `${addedPrefix}${kind}:${i}`, kind, index: first + i });
    });
  };
  own("memory", module.memories);
  own("table", module.tables);
  own("global", module.globals);
  addCallers(module);
  // a start function runs before a host has the exports that it meters with; as a function it is called like all others
  delete module.start;
}

/** What a caller costs: enough for it to pay for itself and for what it calls, which a host's own call does not. */
const callerCost = 300;

const zeros: Record<ValueType, (code: Assembler) => unknown> = {
  [v128]: (code) => code.raw([0xfd, 0x0c, ...new Uint8Array(16)]),
  [exnref]: (code) => code.raw([0xd0, exnref]),
};

/** Exports a caller of each function, which spares JavaScript the values that it can't have. */
function addCallers(module: Module): void {
  const first = importCount(module, "function");
  for (const [i, { type }] of [...module.functions].entries()) {
    const { params, results } = module.types[type]!;
    const passed = params.filter((param) => !zeros[param]);
    const code = new Assembler();
    for (let cost = 0; cost < callerCost; cost++) code.i32(0).op(Opcode.drop);
    let local = 0;
    for (const param of params) {
      if (zeros[param]) zeros[param](code);
      else code.get(local++);
    }
    code.call(first + i);
    for (let result = results.length - 1; result >= 0; result--) code.set(passed.length + result);
    results.forEach((result, at) => {
      if (!zeros[result]) code.get(passed.length + at);
    });
    module.functions.push({
      type: typeIndex(module, { params: passed, results: results.filter((result) => !zeros[result]) }),
      locals: results.map((result): [number, ValueType] => [1, result]),
      code: code.end().finish(),
      position: 0,
    });
    module.exports.push({
      name: `${addedPrefix}function:${i}`,
      kind: "function",
      index: first + module.functions.length - 1,
    });
  }
}

/** Generated functions and loops begin with `if (limit == 0) { limit = N; trap } limit--`: finds that global and sets N. */
function setHangLimit(module: Module, turns: number): void {
  const imported = importCount(module, "global");
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
