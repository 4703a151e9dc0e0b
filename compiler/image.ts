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
 * Deterministic: no clock, no randomness, no network there.
 *
 * With `warmup`, a path, that is requested once before the image is taken, with every host call refused. One that calls the host,
 * fails or is not answered counts as not done.
 *
 * What fails without a way to compile code (validators, templates, serializers of packages) is tried again with one. What is made then
 * is part of the image, and the image can make no more.
 *
 * @throws CompileError when the code can't be parsed, throws at the top level, registers nothing that can be called, or runs
 * into a limit.
 */
export async function buildImage(engine: Engine, code: string, warmup?: string): Promise<BuiltImage> {
  const compilation = start(engine);
  setEvaluator(compilation.instance, engine.evaluator, true);
  const scripts: Scripts = {
    bundle: compilation.compile(code, bundleFileName, { module: true, strip: false }),
    parts: script(compilation, usedParts(code)),
    guard: script(compilation, guard),
    unguard: script(compilation, unguard),
  };
  const first = await settled(evaluate(engine, scripts, warmup, false));
  if ("built" in first && first.built.warmupFailure === undefined) return first.built;
  const second = await settled(evaluate(engine, scripts, warmup, true));
  if ("built" in second && (!("built" in first) || second.built.warmupFailure === undefined))
    return second.built;
  if ("built" in first) return first.built;
  throw first.error;
}

interface Scripts {
  bundle: Uint8Array;
  parts: Uint8Array;
  guard: Uint8Array;
  unguard: Uint8Array;
}

/**
 * Packages find out whether they can make code by making none; what they then make is made at a request, where they can't.
 * They are told the truth about that.
 */
const guard = `{
  const check = (texts) => {
    if (texts.length === 0 || texts.at(-1) === "") throw new TypeError("eval is not supported");
  };
  globalThis.Function = new Proxy(Function, {
    apply(target, self, texts) { check(texts); return Reflect.apply(target, self, texts); },
    construct(target, texts) { check(texts); return Reflect.construct(target, texts); },
  });
}`;
const unguard = "globalThis.Function = Function.prototype.constructor;";

function start(engine: Engine): BuildSandbox {
  const instance = new Instance(engine);
  instance.restore(engine.plain);
  return new BuildSandbox(instance);
}

const script = (sandbox: BuildSandbox, code: string): Uint8Array =>
  sandbox.compile(code, bundleFileName, { module: false, strip: true });

type Settled = { built: BuiltImage } | { error: CompileError };

async function settled(work: Promise<BuiltImage>): Promise<Settled> {
  try {
    return { built: await work };
  } catch (error) {
    if (error instanceof CompileError) return { error };
    throw error;
  }
}

async function evaluate(
  engine: Engine,
  scripts: Scripts,
  warmup: string | undefined,
  mayCompile: boolean,
): Promise<BuiltImage> {
  const sandbox = start(engine);
  const compiling = async (on: boolean): Promise<void> => {
    if (!mayCompile) return;
    if (on) setEvaluator(sandbox.instance, engine.evaluator, true);
    await sandbox.run(on ? scripts.guard : scripts.unguard);
    if (!on) setEvaluator(sandbox.instance, engine.evaluator, false);
  };
  await compiling(true);
  await sandbox.run(scripts.bundle);
  await sandbox.complete();
  await sandbox.run(scripts.parts);
  await compiling(false);
  const image = checkSize(sandbox.capture());
  const { logs } = sandbox;
  if (warmup === undefined) return { image, logs };
  await compiling(true);
  const warmupFailure = await sandbox.warmUp(warmup);
  if (warmupFailure !== null) return { image, logs, warmupFailure };
  await compiling(false);
  return { image: checkSize(sandbox.capture()), logs };
}

/** Parts of the guest library that a bundle seems to use: what it names is better in its image than loaded at each request. */
function usedParts(code: string): string {
  const streams =
    /(?:Readable|Writable|Transform|ompression|coder)Stream|QueuingStrategy|\.body\b|\.stream\(/;
  const languages = /\bIntl\b|\btoLocale[A-Z]|\blocaleCompare\b/;
  return [
    streams.test(code) ? "ReadableStream;" : "",
    /URLPattern/.test(code) ? "URLPattern;" : "",
    languages.test(code) ? "Intl;" : "",
    /\bconsole\b|\binspect/.test(code)
      ? 'globalThis[Symbol.for("thimble.modules")]["thimble:node"].inspection();'
      : "",
  ].join("");
}

function checkSize(image: Image): Image {
  if (image.bytes.length <= maxImageBytes) return image;
  const megabytes = (image.bytes.length / 1024 / 1024).toFixed(1);
  throw new CompileError(
    `top-level code leaves ${megabytes} MB of memory, which each request would have to copy; ${maxImageBytes / 1024 / 1024} MB is the limit`,
  );
}
