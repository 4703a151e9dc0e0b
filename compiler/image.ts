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

export interface BuiltImage {
  image: Image;
  /** What top-level code logged. */
  logs: LogLine[];
  /** Why the image is the one before the warm-up. */
  warmupFailure?: string;
}

/**
 * Compiles a bundle in one sandbox and runs it in another over the base image; the memory after that is the function's image.
 * Deterministic: no clock, no randomness, no network there, and no way to compile more code.
 *
 * With `warmup`, a path, that is requested once before the image is taken, with every host call refused. One that calls the host,
 * fails or is not answered counts as not done.
 *
 * @throws CompileError when the code can't be parsed, throws at the top level, registers nothing that can be called, or runs
 * into a limit.
 */
export async function buildImage(engine: Engine, code: string, warmup?: string): Promise<BuiltImage> {
  const start = (): BuildSandbox => {
    const instance = new Instance(engine);
    instance.restore(engine.plain);
    return new BuildSandbox(instance);
  };
  const compilation = start();
  setEvaluator(compilation.instance, engine.evaluator, true);
  const bytecode = compilation.compile(code, bundleFileName, { module: true, strip: false });
  const sandbox = start();
  await sandbox.run(bytecode);
  await sandbox.complete();
  const used = usedParts(code);
  if (used !== "")
    await sandbox.run(compilation.compile(used, bundleFileName, { module: false, strip: true }));
  const image = checkSize(sandbox.capture());
  const { logs } = sandbox;
  if (warmup === undefined) return { image, logs };
  const warmupFailure = await sandbox.warmUp(warmup);
  if (warmupFailure !== null) return { image, logs, warmupFailure };
  return { image: checkSize(sandbox.capture()), logs };
}

/** Parts of the guest library that a bundle seems to use: what it names is better in its image than loaded at each request. */
function usedParts(code: string): string {
  const streams =
    /(?:Readable|Writable|Transform|ompression|coder)Stream|QueuingStrategy|\.body\b|\.stream\(/;
  return [streams.test(code) ? "ReadableStream;" : "", /URLPattern/.test(code) ? "URLPattern;" : ""].join("");
}

function checkSize(image: Image): Image {
  if (image.bytes.length <= maxImageBytes) return image;
  const megabytes = (image.bytes.length / 1024 / 1024).toFixed(1);
  throw new CompileError(
    `top-level code leaves ${megabytes} MB of memory, which each request would have to copy; ${maxImageBytes / 1024 / 1024} MB is the limit`,
  );
}
