import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { analyze, analyzeBundle } from "../../compiler/analyze/index.ts";
import { bundle } from "../../compiler/bundle.ts";
import { CompileError } from "../../compiler/errors.ts";
import type { Finding, SourceFiles } from "../../compiler/types.ts";

/** A function of the corpus: a file, or a folder with an `index` file. */
export interface CorpusFunction {
  name: string;
  root: string;
  sources: SourceFiles;
  /** `file:line rule`, from comments: `expect: rule` on the line itself, `expect-next: rule` above it, `expect-in: file:line rule` anywhere. */
  expected: string[];
  /** From `runtime: reason`: what no data flow sees, and what must come to nothing when it runs. */
  runtime: string | undefined;
}

const corpus = fileURLToPath(new URL("../fixtures/analysis/", import.meta.url));

export function corpusFunctions(kind: "good" | "bad"): CorpusFunction[] {
  return readdirSync(join(corpus, kind))
    .sort()
    .map((name) => {
      const path = join(corpus, kind, name);
      const isFolder = statSync(path).isDirectory();
      const root = isFolder ? path : join(corpus, kind);
      const names = isFolder ? filesBelow(path).map((file) => relative(root, file)) : [name];
      const files = Object.fromEntries(names.map((file) => [file, readFileSync(join(root, file), "utf8")]));
      const entry = isFolder ? names.find((file) => /^index\.\w+$/.test(file))! : name;
      return { name, root, sources: { entry, files }, ...expectations(files) };
    });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    const path = join(folder, item.name);
    return item.isDirectory() ? filesBelow(path) : [path];
  });
}

function expectations(files: Record<string, string>): Pick<CorpusFunction, "expected" | "runtime"> {
  const expected: string[] = [];
  let runtime: string | undefined;
  for (const [file, text] of Object.entries(files)) {
    for (const [index, line] of text.split("\n").entries()) {
      const [, next, rules] = /\bexpect(-next)?: ([\w, -]+)/.exec(line) ?? [];
      for (const rule of rules?.split(",") ?? [])
        expected.push(`${file}:${index + (next ? 2 : 1)} ${rule.trim()}`);
      const [, elsewhere] = /\bexpect-in: (\S+ [\w-]+)/.exec(line) ?? [];
      if (elsewhere) expected.push(elsewhere);
      runtime ??= /^\/\/ runtime: (.+)/.exec(line)?.[1];
    }
  }
  return { expected: expected.sort(), runtime };
}

/** Everything that a deployment's analysis says: of the sources, and of the bundle where it can be made. */
export async function findingsOf({ root, sources }: CorpusFunction): Promise<Finding[]> {
  const { findings } = analyze(sources, { requireAnnotation: true });
  try {
    const { bundle: made } = await bundle(root, sources.entry);
    return [...findings, ...analyzeBundle(made, sources, findings)];
  } catch (error) {
    // Packages that are not installed, and files that do not parse.
    if (error instanceof CompileError) return findings;
    throw error;
  }
}

export const placeOf = ({ file, line, rule }: Finding) => `${file}:${line} ${rule}`;
