import { SourceMap, type SourceMapPayload } from "node:module";
import { packageOf } from "../bundle-paths.ts";
import type { Bundle, Finding, Position, SourceFiles } from "../types.ts";
import { checkAccess, fileContext } from "./checks.ts";
import { parseSource } from "./parse.ts";
import { sortFindings } from "./sort-findings.ts";
import { SourceText } from "./source-text.ts";

/** The name under which findings are shown that the source map leads nowhere. */
export const BUNDLE_FILE = "bundle.js";

/**
 * The rules for all code over a finished bundle, with every finding led back to its source: that is how packages are seen, files that
 * were not sent, and what goes from file to file. Findings in packages are warnings — what they ask for does not exist in a sandbox
 * and throws there, if they ever get there; all others are errors, also when the map leads nowhere. What the sources' own
 * analysis has found (`known`) is left out.
 *
 * The map comes from whoever made the bundle: it decides the place that is shown and error or warning, so rely on the sandbox, not on this.
 */
export function analyzeBundle(
  bundle: Bundle,
  sources: SourceFiles,
  known: readonly Finding[] = [],
): Finding[] {
  const source = parseSource(BUNDLE_FILE, bundle.code);
  if ("rule" in source) return [source];
  const inBundle: Finding[] = [];
  checkAccess(fileContext(source, inBundle, undefined));
  if (inBundle.length === 0) return [];
  const places = new OriginalPlaces(bundle.map, sources);
  // A map may lead to the line beside, where types were taken out.
  const seen = new Set(
    known.flatMap((finding) => [-1, 0, 1].map((by) => identity({ ...finding, line: finding.line + by }))),
  );
  const findings: Finding[] = [];
  for (const finding of inBundle) {
    const mapped = places.lead(finding);
    const key = identity(mapped);
    if (seen.has(key) || isPlatform(mapped.file)) continue;
    seen.add(key);
    findings.push(mapped);
  }
  return sortFindings(findings);
}

const PACKAGE_HINT =
  "It throws if the function gets there. Leave it if it never does; otherwise use another package.";

/** What the bundler has added of the platform's own. */
const isPlatform = (file: string) => file.startsWith("thimble:");

const identity = ({ rule, file, line }: Finding) => `${rule}\0${file}\0${line}`;

class OriginalPlaces {
  readonly #map: SourceMap | undefined;
  readonly #texts = new Map<string, SourceText>();

  constructor(map: string, sources: SourceFiles) {
    let payload: Partial<SourceMapPayload> | undefined;
    try {
      payload = JSON.parse(map) as SourceMapPayload;
      this.#map = new SourceMap(payload as SourceMapPayload);
    } catch {
      // A map that cannot be read leads nowhere; the findings stay where they are in the bundle.
    }
    const contents: unknown[] = Array.isArray(payload?.sourcesContent) ? payload.sourcesContent : [];
    for (const [index, file] of (Array.isArray(payload?.sources) ? payload.sources : []).entries()) {
      const content = contents[index];
      if (typeof content === "string") this.#texts.set(file, new SourceText(file, content));
    }
    for (const [file, text] of Object.entries(sources.files))
      this.#texts.set(file, new SourceText(file, text));
  }

  lead(finding: Finding): Finding {
    const position = this.#original(finding);
    if (!position) return finding;
    const dependency = packageOf(position.file);
    return {
      ...finding,
      ...position,
      ...(dependency === undefined ? {} : { severity: "warning", package: dependency, hint: PACKAGE_HINT }),
      sourceLine: this.#texts.get(position.file)?.line(position.line) ?? "",
    };
  }

  #original({ line, column }: Position): Position | undefined {
    const entry = this.#map?.findEntry(line - 1, column - 1);
    if (!entry || !("originalSource" in entry) || typeof entry.originalSource !== "string") return undefined;
    return { file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  }
}
