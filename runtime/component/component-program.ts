import {
  type ComponentManifest,
  decodeComponentArtifact,
} from "../../compiler/component/component-artifact.ts";
import { glueParameters } from "../../compiler/component/glue-parameters.ts";
import { RuntimeError } from "../errors.ts";

type CoreImports = Record<string, Record<string, unknown>>;
type Instantiated = { exports: Record<string, unknown> };

/** What the glue returns: links the core modules, and gives the component's exports. */
export type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Record<string, object>,
  instantiateCore: (
    module: WebAssembly.Module,
    imports?: CoreImports,
  ) => Instantiated | Promise<Instantiated>,
) => Promise<Record<string, unknown>> | Record<string, unknown>;

/** A component ready to run. */
export interface ComponentProgram {
  readonly kind: "component";
  readonly manifest: ComponentManifest;
  readonly cores: Readonly<Record<string, WebAssembly.Module>>;
  /** The glue's code, with what it gets in place of globals. */
  readonly glue: (...parameters: unknown[]) => Instantiate;
}

/** @throws ArtifactError; RuntimeError `engine_mismatch`; what compiling throws. */
export async function loadComponent(bytes: Uint8Array, engineHash: string): Promise<ComponentProgram> {
  const { manifest, cores, glue } = decodeComponentArtifact(bytes);
  if (manifest.engine !== engineHash) {
    throw new RuntimeError("engine_mismatch", "the component was made ready by another version");
  }
  const compiled = await Promise.all(
    Object.entries(cores).map(async ([name, core]) => [name, await WebAssembly.compile(core)] as const),
  );
  // checked when it was built: see compiler/component/glue.ts
  const code = new Function(...glueParameters, `"use strict";\n${glue}`) as ComponentProgram["glue"];
  return { kind: "component", manifest, cores: Object.fromEntries(compiled), glue: code };
}
