import type { Engine } from "../runtime/engine.ts";
import type { Image } from "../runtime/image.ts";
import { Instance } from "../runtime/instance.ts";
import type { LogLine } from "../runtime/protocol.ts";
import { BuildSandbox } from "./engine/build-sandbox.ts";

/** File name of the bundle in stacks of guest errors. */
export const bundleFileName = "function.js";

/**
 * Evaluates a bundle in a fresh sandbox over the base image; the memory after that is the function's image.
 * Deterministic: no clock, no randomness, no network there.
 *
 * @throws CompileError when the top-level code throws, registers nothing that can be called, or runs into a limit.
 */
export async function buildImage(engine: Engine, code: string): Promise<{ image: Image; logs: LogLine[] }> {
  const instance = new Instance(engine.module, engine.globals);
  instance.restore(engine.base);
  const sandbox = new BuildSandbox(instance);
  await sandbox.evaluateModule(code, bundleFileName);
  return { image: sandbox.capture(), logs: sandbox.logs };
}
