import { keptSections, readBranchHints } from "./custom-sections.ts";
import { WasmError } from "./errors.ts";
import { Flow } from "./flow.ts";
import { Helpers } from "./helpers.ts";
import { Opcode } from "./instructions.ts";
import { Layout } from "./layout.ts";
import { defaultLimits, type ModuleLimits, noLimits } from "./limits.ts";
import type { ElementSegment, Export, Module } from "./module.ts";
import { type FunctionPlan, planModule } from "./plan.ts";
import { isReserved, MeterExport, meterModule } from "./protocol.ts";
import { readModule } from "./read-module.ts";
import { resetExports } from "./reset-exports.ts";
import { rewriteCode } from "./rewrite.ts";
import { BodyRewriter } from "./rewrite-body.ts";
import { writeModule } from "./write-module.ts";

/**
 * `fuel`: every instruction is paid for, every cycle asks whether it may go on. `none`: growth and resetting only, for code that is
 * bounded otherwise.
 */
export type MeterMode = "fuel" | "none";

export interface MeterOptions {
  /** Default: `fuel`. */
  mode?: MeterMode;
}

/**
 * Adds interruption and accounting to a module; docs/METERING.md has the algorithm and why it holds.
 *
 * The code charges its instructions to a global before it runs them, and where the global falls below zero asks its host: at least
 * once on every cycle of its control flow and of its calls. Bulk instructions pay by size before they run, and large ones run in
 * chunks. `memory.grow` and `table.grow` go to the host. All that an instance needs to be set back is exported.
 *
 * @throws WasmError `malformed` for code that hangs together badly, `unsupported` for names that begin with `thimble:`.
 */
export function meter(module: Module, options: MeterOptions = {}): Module {
  refuseReservedNames(module);
  return add(module, new Flow(module, noLimits), options.mode ?? "fuel");
}

/**
 * {@link meter} from bytes to bytes, for modules from anywhere.
 *
 * @param options.limits What the module may have at most; default {@link defaultLimits}.
 * @throws WasmError `malformed`, `unsupported` or `limit_exceeded`, with the offset where it is known.
 */
export function meterBytes(
  bytes: Uint8Array,
  { mode = "fuel", limits }: MeterOptions & { limits?: Partial<ModuleLimits> } = {},
): Uint8Array<ArrayBuffer> {
  const bounds = { ...defaultLimits, ...limits };
  const module = readModule(bytes, bounds);
  refuseReservedNames(module);
  const flow = new Flow(module, bounds);
  // the passes take a module's indices as they are
  if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) {
    throw new WasmError("malformed", "the module is not valid");
  }
  return writeModule(add(module, flow, mode));
}

/** The module with all that metering adds. */
function add(module: Module, flow: Flow, mode: MeterMode): Module {
  const layout = new Layout(module, flow);
  const helpers = new Helpers(layout);
  const { out, mapFunction } = layout;
  const rewriter = new BodyRewriter(layout, flow, helpers);
  const ownHints = readBranchHints(module);
  const functions = [...module.functions];
  const rewrite = (i: number, plan?: FunctionPlan): void => {
    functions[i] = rewriter.rewrite(i, plan, ownHints.get(layout.importedFunctions + i));
  };
  if (mode === "fuel") planModule(module, flow, rewrite);
  else for (const i of functions.keys()) rewrite(i);
  out.elements = module.elements.map((segment) => mapElements(segment, mapFunction));
  out.globals = out.globals.map((global) => ({ ...global, init: mapReferences(global.init, mapFunction) }));
  // the host can't reach the fuel before the instance exists: it starts the module itself
  delete out.start;
  out.exports = [
    ...mapExports(module, mapFunction),
    ...hostExports(layout, mode),
    ...resetExports(layout, helpers),
  ];
  out.functions = [...functions, ...helpers.functions];
  out.customs = [...keptSections(module, mapFunction), ...rewriter.hintSections()];
  return out;
}

type MapFunction = (index: number) => number;

function mapReferences(expression: Uint8Array, map: MapFunction): Uint8Array {
  return rewriteCode(expression, 0, ({ op, index }, code) => {
    if (op !== Opcode.refFunc) return false;
    code.op(op).u32(map(index));
    return true;
  });
}

function mapElements(segment: ElementSegment, map: MapFunction): ElementSegment {
  const { items, offset } = segment;
  return {
    ...segment,
    offset: mapReferences(offset, map),
    items:
      "functions" in items
        ? { functions: items.functions.map(map) }
        : { ...items, expressions: items.expressions.map((expression) => mapReferences(expression, map)) },
  };
}

function mapExports({ exports }: Module, map: MapFunction): Export[] {
  return exports.map((entry) => (entry.kind === "function" ? { ...entry, index: map(entry.index) } : entry));
}

/** What the host needs to run an instance. */
function hostExports({ module, fuel, mapFunction }: Layout, mode: MeterMode): Export[] {
  const exports: Export[] = [];
  if (module.start !== undefined) {
    exports.push({ name: MeterExport.start, kind: "function", index: mapFunction(module.start) });
  }
  if (mode === "fuel") exports.push({ name: MeterExport.fuel, kind: "global", index: fuel });
  return exports;
}

/** Names by which host and metered code know each other may not come from the module itself. */
function refuseReservedNames({ imports, exports }: Module): void {
  const refuse = (name: string): never => {
    throw new WasmError("unsupported", `the name ${name} is reserved for metering`);
  };
  for (const entry of imports) if (entry.module === meterModule) refuse(meterModule);
  for (const { name } of exports) if (isReserved(name)) refuse(name);
}
