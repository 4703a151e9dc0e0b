import { Builder } from "../compiler/builder/builder.ts";
import type { BuildInput, BuildResult } from "../compiler/compiler.ts";
import type { SourceFiles } from "../compiler/types.ts";
import type { ModuleInput } from "../compiler/wasm-module/build-module.ts";

/** A folder or file by its path; sources as text; a WebAssembly module or component, as bytes or with its files and settings. */
export type CompileInput = string | SourceFiles | Uint8Array | ModuleInput;

export interface CompileOptions {
  /** Whether a missing `@function` is an error. Default false. */
  requireAnnotation?: boolean;
  /**
   * Who builds. Default: a process of its own, shared by all calls, under Node's permission model, which ends when it has been idle for 30 s: parsers
   * are native code that is fed with other people's sources.
   */
  builder?: Pick<Builder, "build">;
}

let shared: Builder | null = null;

/**
 * Makes a function into an artefact, which can be stored and given to a runtime of the same version. npm packages are bundled from beside a
 * folder or file that is given by its path.
 *
 * @throws AnalysisError with every finding, CompileError.
 */
export async function compile(input: CompileInput, options: CompileOptions = {}): Promise<BuildResult> {
  const { requireAnnotation = false } = options;
  shared ??= new Builder();
  const { builder = shared } = options;
  return builder.build(await buildInput(input, requireAnnotation));
}

async function buildInput(input: CompileInput, requireAnnotation: boolean): Promise<BuildInput> {
  if (input instanceof Uint8Array) return { module: input };
  if (typeof input !== "string") return "module" in input ? input : { sources: input, requireAnnotation };
  const [{ readSources }, { bundle }] = await Promise.all([
    import("../compiler/sources.ts"),
    import("../compiler/bundle.ts"),
  ]);
  const { root, sources } = await readSources(input);
  const made = await bundle(root, sources.entry);
  return { sources: { entry: sources.entry, files: made.files }, bundle: made.bundle, requireAnnotation };
}
