import { type Artifact, decodeArtifact, imageOf, type Manifest } from "../compiler/artifact.ts";
import type { Engine } from "./engine.ts";
import { RuntimeError } from "./errors.ts";
import type { Difference } from "./image.ts";

/** A function ready to run. Its image is what it has besides its engine's. */
export interface Program {
  readonly manifest: Manifest;
  readonly image: Difference;
  /** Source map of the bundle, for stacks. */
  readonly sourceMap: string;
}

/** @throws RuntimeError `artifact_invalid` or `engine_mismatch`. */
export function loadProgram(engine: Engine, bytes: Uint8Array): Program {
  let artifact: Artifact;
  try {
    artifact = decodeArtifact(bytes);
    if (artifact.manifest.engine !== engine.hash) {
      throw new RuntimeError("engine_mismatch", "the function was built for another version of the engine");
    }
    const { manifest, sourceMap } = artifact;
    return { manifest, sourceMap, image: imageOf(artifact, engine.base) };
  } catch (cause) {
    if (cause instanceof RuntimeError) throw cause;
    throw new RuntimeError("artifact_invalid", "the artefact can't be read", { cause });
  }
}
