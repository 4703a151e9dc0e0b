import type { Engine } from "../runtime/engine.ts";
import type { Image } from "../runtime/image.ts";
import { Instance } from "../runtime/instance.ts";
import type { LogLine } from "../runtime/protocol.ts";
import { BuildSandbox } from "./engine/build-sandbox.ts";
import { setEvaluator } from "./engine/evaluator.ts";
import { CompileError } from "./errors.ts";

/** File name of the bundle in stacks of guest errors. */
export const bundleFileName = "function.js";

/** Each request copies the image: at this size that takes about 1 ms. */
const maxImageBytes = 16 * 1024 * 1024;

/**
 * Compiles a bundle in one sandbox and runs it in another over the base image; the memory after that is the function's image.
 * Deterministic: no clock, no randomness, no network there, and no way to compile more code.
 *
 * @throws CompileError when the code can't be parsed, throws at the top level, registers nothing that can be called, or runs
 * into a limit.
 */
export async function buildImage(engine: Engine, code: string): Promise<{ image: Image; logs: LogLine[] }> {
  const start = (): BuildSandbox => {
    const instance = new Instance(engine.module, engine.globals);
    instance.restore(engine.base);
    return new BuildSandbox(instance);
  };
  const compilation = start();
  setEvaluator(compilation.instance, engine.evaluator, true);
  const bytecode = compilation.compile(code, bundleFileName, { module: true, strip: false });
  const sandbox = start();
  await sandbox.run(bytecode);
  const image = sandbox.capture();
  if (image.bytes.length > maxImageBytes) {
    const megabytes = (image.bytes.length / 1024 / 1024).toFixed(1);
    throw new CompileError(
      `top-level code leaves ${megabytes} MB of memory, which each request would have to copy; ${maxImageBytes / 1024 / 1024} MB is the limit`,
    );
  }
  return { image, logs: sandbox.logs };
}
