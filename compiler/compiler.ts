import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Engine } from "../runtime/engine.ts";
import type { LogLine } from "../runtime/protocol.ts";
import { analyze, analyzeBundle } from "./analyze/index.ts";
import { decodeArtifact, encodeArtifact, kindOf } from "./artifact.ts";
import { bundle, MAX_BUNDLE_BYTES } from "./bundle.ts";
import { buildComponent, rebuildComponent } from "./component/build-component.ts";
import { decodeComponentArtifact } from "./component/component-artifact.ts";
import { isComponent } from "./component/component-names.ts";
import { AnalysisError, CompileError } from "./errors.ts";
import { buildImage } from "./image.ts";
import { checkSources } from "./sources.ts";
import { withPlace } from "./top-level-error.ts";
import type { Analysis, Bundle, Finding, SourceFiles } from "./types.ts";
import { buildModule, type ModuleInput, rebuildModule } from "./wasm-module/build-module.ts";
import { decodeModuleArtifact } from "./wasm-module/module-artifact.ts";

/** Characters of a source map: decoding one takes many times its size. */
const maxMapLength = 20 * 1024 * 1024;

/** A function in TypeScript or JavaScript. */
export interface ScriptInput {
  sources: SourceFiles;
  /** Made beside the function's node_modules; without one the sources are bundled here, and can't import packages. */
  bundle?: Bundle;
  /** A missing `@function` is an error, not a warning. */
  requireAnnotation: boolean;
}

/** What can be built. */
export type BuildInput = ScriptInput | ModuleInput;

export interface BuildResult {
  /** The compiled function: one WebAssembly module. */
  artifact: Uint8Array<ArrayBuffer>;
  analysis: Analysis;
  /** What top-level code logged. */
  logs: LogLine[];
}

/** Makes functions into artefacts. Trusts nothing of its input: it analyses the sources and the bundle, and builds the image itself. */
export class Compiler {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * @throws AnalysisError with every finding; CompileError when the sources can't be bundled or their top-level code fails.
   */
  async build(input: BuildInput): Promise<BuildResult> {
    if ("module" in input) return this.#buildModule(input);
    const { sources, bundle: given, requireAnnotation } = input;
    checkSources(sources.files, sources.entry);
    const analysis = analyze(sources, { requireAnnotation });
    if (!analysis.passed) throw new AnalysisError(analysis);
    const bundled = given ?? (await bundleFiles(sources));
    if (bundled.code.length > MAX_BUNDLE_BYTES || bundled.map.length > maxMapLength) {
      throw new CompileError("the bundle or its source map is too large");
    }
    const warnings = (bundled.warnings ?? []).map((finding) => ({
      ...finding,
      severity: "warning" as const,
    }));
    analysis.findings.push(...analyzeBundle(bundled, sources, analysis.findings), ...warnings);
    analysis.passed = !analysis.findings.some(({ severity }) => severity === "error");
    if (!analysis.passed) throw new AnalysisError(analysis);
    return this.#finish(sources, bundled, analysis);
  }

  /**
   * The same function for this engine, from what an artefact of another one holds.
   *
   * @throws ArtifactError for bytes that are none; CompileError when its top-level code fails now.
   */
  async rebuild(artifact: Uint8Array): Promise<BuildResult> {
    const { hash } = this.#engine;
    const kind = kindOf(artifact);
    if (kind === "module") return { ...rebuildModule(decodeModuleArtifact(artifact), hash), logs: [] };
    if (kind === "component") {
      return { ...(await rebuildComponent(decodeComponentArtifact(artifact), hash)), logs: [] };
    }
    const { manifest, sources, bundle: code, sourceMap } = decodeArtifact(artifact);
    const files = { entry: manifest.entry, files: sources };
    const analysis = { ...manifest.analysis };
    analysis.findings = analysis.findings.filter(({ rule }) => rule !== "warmup-undone");
    return this.#finish(files, { code, map: sourceMap }, analysis);
  }

  async #buildModule(input: ModuleInput): Promise<BuildResult> {
    const { hash } = this.#engine;
    if (isComponent(input.module)) return { ...(await buildComponent(input, hash)), logs: [] };
    const built = buildModule(input, hash);
    return "sources" in built ? this.build({ ...built, requireAnnotation: true }) : { ...built, logs: [] };
  }

  async #finish(sources: SourceFiles, bundled: Bundle, analysis: Analysis): Promise<BuildResult> {
    const built = await buildImage(this.#engine, bundled.code, analysis.config.warmup).catch((error) => {
      throw error instanceof CompileError ? withPlace(error, bundled) : error;
    });
    const { image, logs, warmupFailure } = built;
    if (warmupFailure !== undefined) analysis.findings.push(warmupFinding(sources, warmupFailure));
    const { hash, base } = this.#engine;
    const artifact = encodeArtifact({ engineHash: hash, base, image, sources, bundle: bundled, analysis });
    return { artifact, analysis, logs };
  }
}

/** The function is deployed all the same, from the image before its warm-up. */
function warmupFinding({ files, entry }: SourceFiles, reason: string): Finding {
  const lines = files[entry]!.split("\n");
  const index = Math.max(
    0,
    lines.findIndex((line) => line.includes("warmup")),
  );
  const sourceLine = lines[index]!.slice(0, 2_000);
  return {
    file: entry,
    line: index + 1,
    column: Math.max(0, sourceLine.indexOf("warmup")) + 1,
    rule: "warmup-undone",
    severity: "warning",
    message: `The warm-up has no effect: ${reason}`,
    hint: "Name a path that is answered without network, database, timers and randomness, or leave warmup out.",
    sourceLine,
  };
}

/** Bundles sources that came without a folder of their own. */
async function bundleFiles({ files, entry }: SourceFiles): Promise<Bundle> {
  const root = await mkdtemp(path.join(tmpdir(), "thimble-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(root, name);
      try {
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, text);
      } catch (cause) {
        throw new CompileError(`"${name}" can't be a file beside the others`, { cause });
      }
    }
    return (await bundle(root, entry, { confined: true })).bundle;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
