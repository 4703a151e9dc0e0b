import {
  Assembler,
  emptyModule,
  exnref,
  externref,
  type FunctionType,
  f32,
  f64,
  funcref,
  type GlobalType,
  i32,
  i64,
  type Module,
  Opcode,
  type ValueType,
  v128,
  writeModule,
} from "../../compiler/wasm/index.ts";
import type { Value } from "./values.ts";

/** Instructions that load and store a number's bits as they are: JavaScript has no v128 and changes NaNs. */
const bitwise = new Map<ValueType, { load: number[]; store: number[]; width: number }>([
  [i32, { load: [0x28], store: [0x36], width: 4 }],
  [i64, { load: [0x29], store: [0x37], width: 8 }],
  [f32, { load: [0x2a], store: [0x38], width: 4 }],
  [f64, { load: [0x2b], store: [0x39], width: 8 }],
  [v128, { load: [0xfd, 0x00], store: [0xfd, 0x0b], width: 16 }],
]);
const slot = 16;

/** What a module says of one of its exports. */
export function typeOfExport(
  { imports, exports, functions, globals, types }: Module,
  name: string,
): FunctionType | GlobalType | undefined {
  const entry = exports.find((candidate) => candidate.name === name);
  if (entry?.kind === "function") {
    const imported = imports.flatMap((other) => (other.kind === "function" ? [other] : []));
    const own = functions[entry.index - imported.length];
    return types[(imported[entry.index] ?? own)!.type];
  }
  if (entry?.kind !== "global") return undefined;
  const imported = imports.flatMap((other) => (other.kind === "global" ? [other.global] : []));
  return imported[entry.index] ?? globals[entry.index - imported.length];
}

/** A module that takes numbers from its memory for a call, and puts results there. References pass through JavaScript. */
function bridge(type: FunctionType, global?: GlobalType): WebAssembly.Module {
  const module = emptyModule();
  const isReference = (value: ValueType) => value === externref || value === funcref;
  const params = type.params.filter(isReference);
  module.types = [type, { params, results: type.results.filter(isReference) }];
  module.imports = global
    ? [{ module: "m", name: "it", kind: "global", global }]
    : [{ module: "m", name: "it", kind: "function", type: 0 }];
  module.memories = [{ min: 1 }];
  module.exports = [
    { name: "memory", kind: "memory", index: 0 },
    { name: "run", kind: "function", index: global ? 0 : 1 },
  ];
  const code = new Assembler();
  let reference = 0;
  type.params.forEach((param, i) => {
    if (isReference(param)) code.get(reference++);
    else if (param === exnref) code.raw([0xd0, exnref]);
    else code.i32(i * slot).raw([...bitwise.get(param)!.load, 0, 0]);
  });
  if (global) code.globalGet(0);
  else code.call(0);
  const local = (i: number) => params.length + i;
  for (let i = type.results.length - 1; i >= 0; i--) {
    if (type.results[i] === exnref) code.op(0xd1);
    code.set(local(i));
  }
  type.results.forEach((result, i) => {
    if (isReference(result)) return;
    const stored = result === exnref ? i32 : result;
    code
      .i32(i * slot)
      .get(local(i))
      .raw([...bitwise.get(stored)!.store, 0, 0]);
  });
  type.results.forEach((result, i) => {
    if (isReference(result)) code.get(local(i));
  });
  module.functions = [
    {
      type: 1,
      locals: type.results.map((result) => [1, result === exnref ? i32 : result]),
      code: code.op(Opcode.end).finish(),
      position: 0,
    },
  ];
  return new WebAssembly.Module(writeModule(module));
}

const bridges = new Map<string, WebAssembly.Module>();
const bridged = new WeakMap<object, WebAssembly.Exports>();

function bridgeTo(it: object, type: FunctionType, global?: GlobalType): WebAssembly.Exports {
  const known = bridged.get(it);
  if (known) return known;
  const key = `${type.params.join()}>${type.results.join()}${global ? `global ${global.mutable}` : ""}`;
  const module = bridges.get(key) ?? bridge(type, global);
  bridges.set(key, module);
  const { exports } = new WebAssembly.Instance(module, { m: { it: it as WebAssembly.ExportValue } });
  bridged.set(it, exports);
  return exports;
}

/** Calls a function, or reads a global, of another instance with all bits kept. */
export function access(it: object, type: FunctionType | GlobalType, args: Value[]): Value[] {
  const isGlobal = "mutable" in type;
  const asFunction = isGlobal ? { params: [], results: [type.type] } : type;
  const { memory, run } = bridgeTo(it, asFunction, isGlobal ? type : undefined);
  const bytes = new Uint8Array((memory as WebAssembly.Memory).buffer);
  const references: unknown[] = [];
  args.forEach((arg, i) => {
    if ("bytes" in arg) bytes.set(arg.bytes, i * slot);
    else if (asFunction.params[i] !== exnref) references.push(arg.reference);
  });
  const returned: unknown = (run as CallableFunction)(...references);
  const returnedReferences = Array.isArray(returned) ? returned : [returned];
  return asFunction.results.map((result, i): Value => {
    if (result === exnref) return { reference: bytes[i * slot] === 1 ? null : {} };
    const width = bitwise.get(result)?.width;
    if (width === undefined) return { reference: returnedReferences.shift() };
    return { bytes: bytes.slice(i * slot, i * slot + width) };
  });
}
