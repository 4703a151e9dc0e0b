import { decodeModuleArtifact, type ModuleManifest } from "../../compiler/wasm-module/module-artifact.ts";
import { RuntimeError } from "../errors.ts";
import { Volume } from "./file-system.ts";

/** A WASI module ready to run. */
export interface ModuleProgram {
  readonly kind: "module";
  readonly manifest: ModuleManifest;
  readonly module: WebAssembly.Module;
  /** What it finds in `/`. */
  readonly files: Volume;
}

/** @throws ArtifactError; RuntimeError `engine_mismatch`; what compiling throws. */
export async function loadModule(bytes: Uint8Array, engineHash: string): Promise<ModuleProgram> {
  const { manifest, metered, files } = decodeModuleArtifact(bytes);
  if (manifest.engine !== engineHash) {
    throw new RuntimeError("engine_mismatch", "the module was metered by another version");
  }
  return { kind: "module", manifest, module: await WebAssembly.compile(metered), files: Volume.of(files) };
}
