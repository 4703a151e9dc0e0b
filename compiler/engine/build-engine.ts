import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { baseImageSection, encodeBaseImage, stateGlobals } from "../../runtime/engine.ts";
import { pageSize } from "../../runtime/image.ts";
import { Instance } from "../../runtime/instance.ts";
import {
  type LinkResult,
  link,
  meter,
  readDylink,
  readModule,
  type SideModule,
  trackWrites,
  writeModule,
} from "../wasm/index.ts";
import { BridgeSlot, bridge } from "./bridge.ts";
import { BuildSandbox } from "./build-sandbox.ts";
import { allButEval, findEvaluator, setEvaluator } from "./evaluator.ts";

/** Extensions of the engine that are part of the base image, in the order in which they are placed. */
const extensions = ["url", "encoding", "headers"] as const;

/** Exports of the engine that building an image needs besides the bridge's. */
const keptExports = new Set([
  "memory",
  "__stack_pointer",
  "_initialize",
  "malloc",
  "qjs_init2",
  "JS_AddIntrinsicEval",
  "qjs_is_promise",
  "qjs_get_context_ptr",
  "qjs_get_runtime_ptr",
  "qjs_set_max_stack_size",
  "qjs_run_gc",
  "qjs_set_gc_threshold",
  "qjs_compile",
  "qjs_eval_bytecode",
  "free",
  "qjs_is_exception",
  "qjs_get_exception",
  "qjs_promise_state",
  "qjs_promise_result",
  "qjs_get_prop_string",
  "qjs_get_string",
  "qjs_free_value",
  "qjs_get_global",
  "JS_NewCFunction2",
  "JS_SetPropertyStr",
  "JS_SetHostPromiseRejectionTracker",
]);

/** Where the engine's linker lets the stack begin; its static data lies above. */
const linkedStackTop = 1024 * 1024;

/**
 * Stack that guest code may use, bytes, of what is left of that. The host's own stack holds a
 * frame for each of the engine's, and ends later than this.
 */
const guestStackBytes = 256 * 1024;

export interface EngineSources {
  engine: Uint8Array;
  extensions: Record<string, Uint8Array>;
  /** The guest library: a script that sets up the web platform and leaves its dispatcher behind. */
  prelude: string;
  /** Scripts of the library's parts that are loaded when they are first used, in the order of `partNames`. */
  parts: string[];
}

/** Reads the engine's files from the quickjs-wasi package. */
export async function readEngineFiles(): Promise<Omit<EngineSources, "prelude" | "parts">> {
  const file = (name: string) => readFile(fileURLToPath(import.meta.resolve(`quickjs-wasi/${name}`)));
  const loaded = await Promise.all(extensions.map(async (name) => [name, await file(`${name}.so`)] as const));
  return { engine: await file("quickjs.wasm"), extensions: Object.fromEntries(loaded) };
}

/**
 * Builds the engine module: QuickJS, its extensions and the bridge linked into one module without static data, metered, with the
 * base image (their data, the initialised engine, the evaluated guest library) in a custom section.
 * Deterministic: the same sources give the same bytes.
 */
export async function buildEngine(sources: EngineSources): Promise<Uint8Array<ArrayBuffer>> {
  const main = readModule(sources.engine);
  const sides = placeExtensions(sources);
  const linked = link(
    main,
    [
      ...sides,
      { name: "bridge", module: bridge(), memoryBase: 0, tableSize: Object.keys(BridgeSlot).length },
    ],
    keptExports,
  );
  const metered = trackWrites(meter(linked.module));
  const wasm = writeModule(metered);

  const compiled = await WebAssembly.compile(wasm);
  const globals = stateGlobals(compiled);
  const start = (intrinsics?: number, parts?: Uint8Array[]): BuildSandbox => {
    const sandbox = new BuildSandbox(new Instance({ module: compiled, globals, parts: parts ?? [] }));
    initialise(sandbox.instance, sides, linked, intrinsics);
    return sandbox;
  };
  // Compiled in an instance of its own: the compiler leaves ten times the code's size in freed memory.
  const compilation = start();
  const compile = (code: string) => compilation.compile(code, "thimble.js", { module: false, strip: true });
  const parts = sources.parts.map(compile);
  const sandbox = start(undefined, parts);
  await evaluatePrelude(sandbox, linked, compile, sources.prelude);
  const evaluator = findEvaluator(start(allButEval).instance);
  setEvaluator(sandbox.instance, evaluator, false);
  const image = sandbox.capture();

  const section = (hash: string) => encodeBaseImage({ hash, evaluator, globals, image, parts });
  const hash = createHash("sha256").update(wasm).update(section("")).digest("hex").slice(0, 32);
  metered.customs.push({ name: baseImageSection, bytes: section(hash) });
  metered.memories[0] = { min: image.pages };
  return writeModule(metered);
}

/**
 * Puts the extensions' static data below the engine's, at the top of the 1 MiB that its linker left for the stack: most of that is never
 * used, and each request has to clear it. Data that is there anyway costs nothing more.
 */
function placeExtensions(sources: EngineSources): SideModule[] {
  const sides = extensions.map((name) => {
    const module = readModule(sources.extensions[name]!);
    const { memorySize, tableSize } = readDylink(module);
    return { name, module, tableSize, size: alignUp(memorySize) };
  });
  const total = sides.reduce((sum, { size }) => sum + size, 0);
  let address = Math.floor((linkedStackTop - total) / pageSize) * pageSize;
  return sides.map(({ name, module, tableSize, size }) => {
    address += size;
    return { name, module, tableSize, memoryBase: address - size };
  });
}

/** Alignment of the extensions' static data, bytes. */
const dataAlignment = 16;

const alignUp = (address: number): number => Math.ceil(address / dataAlignment) * dataAlignment;

/** Puts static data in place, starts the engine and its extensions. */
function initialise(
  instance: Instance,
  sides: readonly SideModule[],
  linked: LinkResult,
  intrinsics = 0xffff_ffff,
): void {
  const call = (name: string, ...args: number[]): number => {
    const entry = instance.exports[name] as ((...args: number[]) => number) | undefined;
    return entry === undefined ? 0 : entry(...args);
  };
  const stack = instance.exports.__stack_pointer as WebAssembly.Global<"i32">;
  if (stack.value !== linkedStackTop) throw new Error(`the engine's stack begins at ${stack.value}`);
  stack.value = Math.min(...sides.map(({ memoryBase }) => memoryBase));
  for (const { address, bytes } of linked.data) instance.view(address, bytes.length).set(bytes);
  call("_initialize");
  if (call("qjs_init2", intrinsics) !== 0) throw new Error("the engine could not be initialised");
  call("qjs_set_max_stack_size", guestStackBytes);
  for (const { name } of sides) {
    for (const step of ["start", "__wasm_apply_data_relocs", "__wasm_call_ctors"]) call(`${name}:${step}`);
    const init = `${name}:qjs_ext_${name.replaceAll("-", "_")}_init`;
    if (call(init, call("qjs_get_context_ptr"), call("qjs_get_runtime_ptr")) !== 0)
      throw new Error(`${init} failed`);
  }
}

/** Hands the native functions to the guest library, evaluates it and takes what the bridge is to call. */
async function evaluatePrelude(
  sandbox: BuildSandbox,
  { tableBases }: LinkResult,
  compile: (code: string) => Uint8Array,
  prelude: string,
): Promise<void> {
  const { instance } = sandbox;
  const {
    malloc,
    qjs_get_context_ptr,
    qjs_get_runtime_ptr,
    qjs_get_global,
    JS_NewCFunction2,
    JS_SetPropertyStr,
    JS_SetHostPromiseRejectionTracker,
  } = instance.exports as unknown as {
    malloc: (size: number) => number;
    qjs_get_context_ptr: () => number;
    qjs_get_runtime_ptr: () => number;
    JS_SetHostPromiseRejectionTracker: (runtime: number, slot: number, opaque: number) => void;
    qjs_get_global: () => number;
    JS_NewCFunction2: (
      context: number,
      slot: number,
      name: number,
      length: number,
      kind: number,
      magic: number,
    ) => bigint;
    JS_SetPropertyStr: (context: number, object: bigint, name: number, value: bigint) => number;
  };
  const value = (pointer: number): bigint => {
    const { buffer, byteOffset } = instance.view(pointer, 8);
    return new DataView(buffer, byteOffset, 8).getBigUint64(0, true);
  };
  const context = qjs_get_context_ptr();
  const global = value(qjs_get_global());
  const natives = [
    ["host", BridgeSlot.host, 3],
    ["random", BridgeSlot.random, 0],
    ["load", BridgeSlot.load, 1],
    ["latin1", BridgeSlot.latin1, 1],
  ] as const;
  for (const [name, slot, length] of natives) {
    const text = new TextEncoder().encode(`thimble_${name}\0`);
    const pointer = malloc(text.length);
    instance.view(pointer, text.length).set(text);
    const native = JS_NewCFunction2(context, tableBases.bridge! + slot, pointer, length, 0, 0);
    JS_SetPropertyStr(context, global, pointer, native);
  }
  const evaluate = (code: string) => sandbox.run(compile(code));
  const name = (symbol: string) => `globalThis[Symbol.for("thimble.${symbol}")]`;
  for (const [native] of natives) {
    await evaluate(`${name(native)} = thimble_${native}; delete globalThis.thimble_${native};`);
  }
  await evaluate(prelude);
  for (const entry of ["dispatcher", "tracker"]) {
    const global = instance.exports[`bridge:${entry}`] as WebAssembly.Global<"i64">;
    global.value = BigInt.asIntN(64, value(await evaluate(name(entry))));
    await evaluate(`delete ${name(entry)};`);
  }
  JS_SetHostPromiseRejectionTracker(qjs_get_runtime_ptr(), tableBases.bridge! + BridgeSlot.track, 0);
}
