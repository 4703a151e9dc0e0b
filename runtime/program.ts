import { decodeArtifact, imageOf, kindOf, type Manifest } from "../compiler/artifact.ts";
import { type ComponentProgram, loadComponent } from "./component/component-program.ts";
import type { Engine } from "./engine.ts";
import { RuntimeError } from "./errors.ts";
import type { Difference } from "./image.ts";
import { loadModule, type ModuleProgram } from "./wasi/module-program.ts";

/** Something that can be run. */
export type Program = ScriptProgram | ModuleProgram | ComponentProgram;

/** A function in JavaScript ready to run: an artefact whose image has been laid over its engine's. */
export interface ScriptProgram {
  readonly kind: "script";
  readonly manifest: Manifest;
  readonly image: Difference;
  /** Source map of the bundle, for stacks. */
  readonly sourceMap: string;
}

/** @throws RuntimeError `artifact_invalid` or `engine_mismatch`. */
export async function loadProgram(engine: Engine, bytes: Uint8Array): Promise<Program> {
  try {
    switch (kindOf(bytes)) {
      case "script":
        return loadScript(engine, bytes);
      case "module":
        return await loadModule(bytes, engine.hash);
      case "component":
        return await loadComponent(bytes, engine.hash);
    }
  } catch (cause) {
    if (cause instanceof RuntimeError) throw cause;
    throw new RuntimeError("artifact_invalid", "the artefact can't be read", { cause });
  }
}

function loadScript(engine: Engine, bytes: Uint8Array): ScriptProgram {
  const artifact = decodeArtifact(bytes);
  if (artifact.manifest.engine !== engine.hash) {
    throw new RuntimeError("engine_mismatch", "the function was built for another version of the engine");
  }
  const { manifest, sourceMap } = artifact;
  return { kind: "script", manifest, sourceMap, image: imageOf(artifact, engine.base) };
}
