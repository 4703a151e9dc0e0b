import { ArtifactSections, manifestSection, readingArtifact } from "../artifact-sections.ts";
import { customSections, packSections } from "../container.ts";
import type { Analysis, FunctionConfig } from "../types.ts";

const formatVersion = 1;
const Section = {
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
    [manifestSection, text(JSON.stringify(whole))],
    [Section.glue, text(glue)],
    ...Object.keys(cores)
      .sort()
      .map((name): [string, Uint8Array] => [Section.core + name, cores[name]!]),
    [Section.original, original],
  ]);
}

/** @throws ArtifactError for anything that {@link encodeComponentArtifact} did not write. */
export function decodeComponentArtifact(bytes: Uint8Array): ComponentArtifact {
  return readingArtifact(() => {
    const sections = new ArtifactSections(customSections(bytes));
    return {
      manifest: sections.manifest<ComponentManifest>(formatVersion),
      glue: sections.text(Section.glue),
      cores: sections.startingWith(Section.core) as ComponentArtifact["cores"],
      original: sections.bytes(Section.original),
    };
  });
}
