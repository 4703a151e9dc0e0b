import { type Difference, difference, type Image } from "../runtime/image.ts";
import { type Segment, Segments } from "../runtime/segments.ts";
import { ArtifactError, ArtifactSections, manifestSection, readingArtifact } from "./artifact-sections.ts";
import { customSections } from "./container.ts";
import type { Analysis, FunctionConfig, SourceFiles } from "./types.ts";
import { Assembler, emptyModule, type Module, readModule, writeModule } from "./wasm/index.ts";

const formatVersion = 1;
const Section = {
  bundle: "thimble:bundle",
  map: "thimble:source-map",
  sources: "thimble:sources",
} as const;
const engineImport = "thimble:engine";

/** What an artefact says about itself. */
export interface Manifest {
  format: number;
  /** Hash of the engine whose base image the data segments lie upon. */
  engine: string;
  entry: string;
  config: FunctionConfig;
  analysis: Analysis;
  /** The image's size, pages, and its globals (64-bit ones as decimal strings). */
  pages: number;
  globals: (number | string)[];
}

/** A compiled function, as it is stored: one WebAssembly module. */
export interface Artifact {
  manifest: Manifest;
  /** The image's difference to the base image. */
  segments: Segment[];
  bundle: string;
  sourceMap: string;
  sources: Record<string, string>;
}

/**
 * Writes a function as one WebAssembly module: an imported memory that names the engine by its hash, so that a wrong engine can't
 * be linked; data segments for what the function added to the engine's memory; and custom sections with the rest.
 * The same input gives the same bytes.
 */
export function encodeArtifact(input: {
  engineHash: string;
  base: Image;
  image: Image;
  sources: SourceFiles;
  bundle: { code: string; map: string };
  analysis: Analysis;
}): Uint8Array<ArrayBuffer> {
  const { image, analysis, sources, bundle } = input;
  const manifest: Manifest = {
    format: formatVersion,
    engine: input.engineHash,
    entry: sources.entry,
    config: analysis.config,
    analysis,
    pages: image.pages,
    globals: image.globals.map((value) => (typeof value === "bigint" ? value.toString() : value)),
  };
  const text = (name: string, value: string) => ({ name, bytes: new TextEncoder().encode(value) });
  const files = Object.entries(sources.files).sort(([a], [b]) => (a < b ? -1 : 1));
  const module: Module = {
    ...emptyModule(),
    imports: [{ module: engineImport, name: input.engineHash, kind: "memory", memory: { min: image.pages } }],
    data: difference(input.base, image).map(({ address, bytes }) => ({
      mode: "active",
      offset: new Assembler().i32(address).end().finish(),
      bytes,
    })),
    customs: [
      text(manifestSection, JSON.stringify(manifest)),
      text(Section.sources, JSON.stringify(Object.fromEntries(files))),
      text(Section.bundle, bundle.code),
      text(Section.map, bundle.map),
    ],
  };
  return writeModule(module);
}

/** What an artefact is of: a function in JavaScript, a WASI module, or a component. */
export type ArtifactKind = "script" | "module" | "component";
const kinds = new Set<ArtifactKind>(["script", "module", "component"]);

/** @throws ArtifactError for bytes that are no artefact. */
export function kindOf(bytes: Uint8Array): ArtifactKind {
  return readingArtifact(() => {
    // a script's manifest does not say
    const { kind = "script" } = JSON.parse(new ArtifactSections(customSections(bytes)).text(manifestSection));
    if (!kinds.has(kind))
      throw new ArtifactError(`not an artefact: there is no kind ${JSON.stringify(kind)}`);
    return kind;
  });
}

/** @throws ArtifactError for anything that {@link encodeArtifact} did not write. */
export function decodeArtifact(bytes: Uint8Array): Artifact {
  return readingArtifact(() => {
    const module = readModule(bytes);
    const sections = new ArtifactSections(module.customs.map((custom) => [custom.name, custom.bytes]));
    const manifest = sections.manifest<Manifest>(formatVersion);
    return {
      manifest,
      segments: module.data.map((segment) => ({
        address: constantAddress(segment.offset),
        bytes: segment.bytes,
      })),
      bundle: sections.text(Section.bundle),
      sourceMap: sections.text(Section.map),
      sources: JSON.parse(sections.text(Section.sources)),
    };
  });
}

/** The image of an artefact, as the difference to the base image of its engine. */
export function imageOf({ manifest, segments }: Artifact, base: Image): Difference {
  const end = manifest.pages * 65_536;
  for (const { address, bytes } of segments) {
    if (address < base.start || address + bytes.length > end)
      throw new ArtifactError("a segment lies outside the image");
  }
  const globals = manifest.globals.map((value) => (typeof value === "string" ? BigInt(value) : value));
  if (globals.length !== base.globals.length) throw new ArtifactError("wrong number of globals");
  return { segments: new Segments(segments), pages: manifest.pages, globals };
}

/** Address in `i32.const address; end`. */
function constantAddress(expression: Uint8Array): number {
  if (expression[0] !== 0x41) throw new ArtifactError("a segment has no constant address");
  let value = 0;
  for (let i = 1, shift = 0; i < expression.length - 1; i++, shift += 7)
    value |= (expression[i]! & 0x7f) << shift;
  return value >>> 0;
}
