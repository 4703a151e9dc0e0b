import { packageOf } from "../bundle-paths.ts";
import { originalPlaces } from "../source-places.ts";
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
  // A map may lead to the line beside, where types were taken out.
  const seen = new Set(
    known.flatMap((finding) => [-1, 0, 1].map((by) => identity({ ...finding, line: finding.line + by }))),
  );
  const findings: Finding[] = [];
  for (const mapped of leadBack(inBundle, bundle.map, sources)) {
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

/** Leads findings in the bundle back to the sources; what the map leads nowhere stays where it is. */
function leadBack(findings: readonly Finding[], mapText: string, sources: SourceFiles): Finding[] {
  const map = readMap(mapText);
  const wanted = findings.map(({ line, column }) => ({ line: line - 1, column: column - 1 }));
  const texts = new Map<string, SourceText>();
  const lineOf = ({ file, line }: Position, source: number): string => {
    const own = Object.hasOwn(sources.files, file) ? sources.files[file] : map.contents[source];
    const text = texts.get(file) ?? new SourceText(file, own ?? "");
    texts.set(file, text);
    return text.line(line);
  };
  return originalPlaces(map.mappings, wanted).map((place, index) => {
    const finding = findings[index]!;
    const file = place && map.files[place.source];
    if (file === undefined) return finding;
    const position = { file, line: place!.line + 1, column: place!.column + 1 };
    const dependency = packageOf(file);
    return {
      ...finding,
      ...position,
      ...(dependency === undefined ? {} : { severity: "warning", package: dependency, hint: PACKAGE_HINT }),
      sourceLine: lineOf(position, place!.source),
    };
  });
}

/** What there is of a source map that can be used; one that cannot be read leads nowhere. */
function readMap(text: string): {
  mappings: string;
  files: (string | undefined)[];
  contents: (string | undefined)[];
} {
  let map: { mappings?: unknown; sources?: unknown; sourcesContent?: unknown } | null = null;
  try {
    map = JSON.parse(text);
  } catch {}
  const texts = (list: unknown) =>
    Array.isArray(list) ? list.map((item) => (typeof item === "string" ? item : undefined)) : [];
  const mappings = map?.mappings;
  return {
    mappings: typeof mappings === "string" ? mappings : "",
    files: texts(map?.sources),
    contents: texts(map?.sourcesContent),
  };
}
