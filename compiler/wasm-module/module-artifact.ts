import { ArtifactSections, manifestSection, readingArtifact } from "../artifact-sections.ts";
import { customSections, packSections } from "../container.ts";
import type { Analysis, FunctionConfig, Stdio } from "../types.ts";

const formatVersion = 1;
const Section = {
  metered: "thimble:metered",
  original: "thimble:original",
  file: "thimble:file:",
} as const;

/** How a module is entered: a command's `_start`; or, after `_initialize`, a reactor's `handler`. */
export type ModuleEntry = "command" | "reactor";

export interface ModuleManifest {
  format: number;
  kind: "module";
  /** Hash of the engine at the time: metering may have changed since. */
  engine: string;
  entry: ModuleEntry;
  stdio: Stdio;
  config: FunctionConfig;
  analysis: Analysis;
}

/** A WASI module, as it is stored. */
export interface ModuleArtifact {
  manifest: ModuleManifest;
  /** Ready to be compiled. */
  metered: Uint8Array<ArrayBuffer>;
  /** As it came, to be metered again by another version. */
  original: Uint8Array;
  /** What the module finds in `/`, by path. */
  files: Record<string, Uint8Array>;
}

/** Writes one `.wasm` file, whose custom sections hold everything. The same input gives the same bytes. */
export function encodeModuleArtifact({
  manifest,
  metered,
  original,
  files,
}: Omit<ModuleArtifact, "manifest"> & {
  manifest: Omit<ModuleManifest, "format" | "kind">;
}): Uint8Array<ArrayBuffer> {
  const whole: ModuleManifest = { format: formatVersion, kind: "module", ...manifest };
  return packSections([
    [manifestSection, new TextEncoder().encode(JSON.stringify(whole))],
    [Section.metered, metered],
    [Section.original, original],
    ...Object.keys(files)
      .sort()
      .map((path): [string, Uint8Array] => [Section.file + path, files[path]!]),
  ]);
}

/** @throws ArtifactError for anything that {@link encodeModuleArtifact} did not write. */
export function decodeModuleArtifact(bytes: Uint8Array): ModuleArtifact {
  return readingArtifact(() => {
    const sections = new ArtifactSections(customSections(bytes));
    return {
      manifest: sections.manifest<ModuleManifest>(formatVersion),
      metered: sections.bytes(Section.metered) as Uint8Array<ArrayBuffer>,
      original: sections.bytes(Section.original),
      files: sections.startingWith(Section.file),
    };
  });
}
