import { ArtifactError } from "../artifact.ts";
import { customSections, packSections } from "../container.ts";
import type { Analysis, FunctionConfig } from "../types.ts";

const formatVersion = 1;
const Section = {
  manifest: "thimble:manifest",
  glue: "thimble:glue",
  core: "thimble:core:",
  original: "thimble:original",
} as const;

/** The interface by which a component is called: WASI's, or the project's own. */
export type ComponentEntry = "wasi:http/incoming-handler" | "thimble:function/handler";

export interface ComponentManifest {
  format: number;
  kind: "component";
  /** Hash of the engine at the time: metering may have changed since. */
  engine: string;
  entry: ComponentEntry;
  /** The export's whole name. */
  exportName: string;
  config: FunctionConfig;
  analysis: Analysis;
}

/** A component, as it is stored. */
export interface ComponentArtifact {
  manifest: ComponentManifest;
  /** Body of a function that returns `instantiate`, checked. */
  glue: string;
  /** Its core modules by the names that the glue knows them by, metered. */
  cores: Record<string, Uint8Array<ArrayBuffer>>;
  /** As it came, to be made ready again by another version. */
  original: Uint8Array;
}

/** Writes one `.wasm` file, whose custom sections hold everything. */
export function encodeComponentArtifact({
  manifest,
  glue,
  cores,
  original,
}: Omit<ComponentArtifact, "manifest"> & {
  manifest: Omit<ComponentManifest, "format" | "kind">;
}): Uint8Array<ArrayBuffer> {
  const whole: ComponentManifest = { format: formatVersion, kind: "component", ...manifest };
  const text = (value: string) => new TextEncoder().encode(value);
  return packSections([
    [Section.manifest, text(JSON.stringify(whole))],
    [Section.glue, text(glue)],
    ...Object.keys(cores)
      .sort()
      .map((name): [string, Uint8Array] => [Section.core + name, cores[name]!]),
    [Section.original, original],
  ]);
}

/** @throws ArtifactError for anything that {@link encodeComponentArtifact} did not write. */
export function decodeComponentArtifact(bytes: Uint8Array): ComponentArtifact {
  try {
    const sections = customSections(bytes);
    const part = (name: string): Uint8Array => {
      const found = sections.find(([known]) => known === name);
      if (!found) throw new ArtifactError(`not an artefact: it has no section ${name}`);
      return found[1];
    };
    const text = (name: string) => new TextDecoder().decode(part(name));
    const manifest: ComponentManifest = JSON.parse(text(Section.manifest));
    if (manifest.format !== formatVersion) {
      throw new ArtifactError(`artefact format ${manifest.format} is not ${formatVersion}`);
    }
    const cores: ComponentArtifact["cores"] = Object.create(null);
    for (const [name, content] of sections) {
      if (name.startsWith(Section.core)) {
        cores[name.slice(Section.core.length)] = content as Uint8Array<ArrayBuffer>;
      }
    }
    return { manifest, glue: text(Section.glue), cores, original: part(Section.original) };
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError("not an artefact", { cause });
  }
}
