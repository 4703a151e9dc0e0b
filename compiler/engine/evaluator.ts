import type { Evaluator } from "../../runtime/engine.ts";
import type { Instance } from "../../runtime/instance.ts";

/** Flags of `qjs_init2` for a context that has everything but `eval` (quickjs-wasi's `Intrinsics`). */
export const allButEval = 0xffff_ffff & ~(1 << 1);

/** Bytes of a JSContext that are looked at: it is smaller. */
const contextBytes = 1_024;

/**
 * Where the engine keeps its evaluator: the field of the context through which `eval`, `Function` and their like, and nothing else,
 * get at the parser. The engine's interface can set it but not clear it, so it is found by setting it in a context that was made
 * without.
 */
export function findEvaluator(instance: Instance): Evaluator {
  const { qjs_get_context_ptr, JS_AddIntrinsicEval } = instance.exports as unknown as {
    qjs_get_context_ptr: () => number;
    JS_AddIntrinsicEval: (context: number) => number;
  };
  const context = qjs_get_context_ptr();
  const words = () => new Uint32Array(instance.view(context, contextBytes).slice().buffer);
  const before = words();
  JS_AddIntrinsicEval(context);
  const after = words();
  const changed = [...after.keys()].filter((i) => after[i] !== before[i]);
  const [index] = changed;
  if (changed.length !== 1 || index === undefined || before[index] !== 0) {
    throw new Error("the engine's evaluator can't be found: its context has another form");
  }
  return { address: context + index * 4, value: after[index]! };
}

/** Switches the evaluator. Off, `eval("1")` and `new Function("1")` throw a TypeError, and only bytecode can be run. */
export function setEvaluator(instance: Instance, { address, value }: Evaluator, on: boolean): void {
  const { buffer, byteOffset } = instance.view(address, 4);
  new DataView(buffer, byteOffset, 4).setUint32(0, on ? value : 0, true);
}
