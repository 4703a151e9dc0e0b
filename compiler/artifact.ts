import { type Difference, difference, type Image } from "../runtime/image.ts";
import { type Segment, Segments } from "../runtime/segments.ts";
import { customSections } from "./container.ts";
import type { Analysis, FunctionConfig, SourceFiles } from "./types.ts";
import { Assembler, emptyModule, type Module, readModule, writeModule } from "./wasm/index.ts";

const formatVersion = 1;
const Section = {
  manifest: "thimble:manifest",
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

/** Bytes that are no artefact. */
export class ArtifactError extends Error {
  readonly code = "artifact_invalid";
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArtifactError";
  }
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
      text(Section.manifest, JSON.stringify(manifest)),
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
  try {
    const section = customSections(bytes).find(([name]) => name === Section.manifest);
    if (!section) throw new ArtifactError(`not an artefact: it has no section ${Section.manifest}`);
    // a script's manifest does not say
    const { kind = "script" } = JSON.parse(new TextDecoder().decode(section[1]));
    if (!kinds.has(kind))
      throw new ArtifactError(`not an artefact: there is no kind ${JSON.stringify(kind)}`);
    return kind;
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError("not an artefact", { cause });
  }
}

/** @throws ArtifactError for anything that {@link encodeArtifact} did not write. */
export function decodeArtifact(bytes: Uint8Array): Artifact {
  try {
    const module = readModule(bytes);
    const text = (name: string): string => {
      const section = module.customs.find((custom) => custom.name === name);
      if (!section) throw new ArtifactError(`not an artefact: it has no section ${name}`);
      return new TextDecoder("utf-8", { fatal: true }).decode(section.bytes);
    };
    const manifest: Manifest = JSON.parse(text(Section.manifest));
    if (manifest.format !== formatVersion) {
      throw new ArtifactError(`artefact format ${manifest.format} is not ${formatVersion}`);
    }
    return {
      manifest,
      segments: module.data.map((segment) => ({
        address: constantAddress(segment.offset),
        bytes: segment.bytes,
      })),
      bundle: text(Section.bundle),
      sourceMap: text(Section.map),
      sources: JSON.parse(text(Section.sources)),
    };
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError("not an artefact", { cause });
  }
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
