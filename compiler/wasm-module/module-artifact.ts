import { ArtifactError } from "../artifact.ts";
import { customSections, packSections } from "../container.ts";
import type { Analysis, FunctionConfig, Stdio } from "../types.ts";

const formatVersion = 1;
const Section = {
  manifest: "thimble:manifest",
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
    [Section.manifest, new TextEncoder().encode(JSON.stringify(whole))],
    [Section.metered, metered],
    [Section.original, original],
    ...Object.keys(files)
      .sort()
      .map((path): [string, Uint8Array] => [Section.file + path, files[path]!]),
  ]);
}

/** @throws ArtifactError for anything that {@link encodeModuleArtifact} did not write. */
export function decodeModuleArtifact(bytes: Uint8Array): ModuleArtifact {
  try {
    const sections = customSections(bytes);
    const part = (name: string): Uint8Array => {
      const found = sections.find(([known]) => known === name);
      if (!found) throw new ArtifactError(`not an artefact: it has no section ${name}`);
      return found[1];
    };
    const manifest: ModuleManifest = JSON.parse(new TextDecoder().decode(part(Section.manifest)));
    if (manifest.format !== formatVersion) {
      throw new ArtifactError(`artefact format ${manifest.format} is not ${formatVersion}`);
    }
    const files: Record<string, Uint8Array> = Object.create(null);
    for (const [name, content] of sections) {
      if (name.startsWith(Section.file)) files[name.slice(Section.file.length)] = content;
    }
    const metered = part(Section.metered) as Uint8Array<ArrayBuffer>;
    return { manifest, metered, original: part(Section.original), files };
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError("not an artefact", { cause });
  }
}
