import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseJsonWithComments } from "./tsconfig.ts";

/** Specifiers of the function's own files on the left, what they stand for on the right. */
export class ImportMap {
  readonly #root: string;
  readonly #entries: [from: string, to: string][];

  constructor(root: string, imports: Record<string, unknown>) {
    this.#root = root;
    this.#entries = Object.entries(imports)
      .filter((entry): entry is [string, string] => typeof entry[1] === "string")
      .sort(([a], [b]) => b.length - a.length);
  }

  /**
   * What a specifier stands for: itself, or what the longest key gives that equals it or ends in a slash and begins it
   * (https://html.spec.whatwg.org/multipage/webappapis.html#import-maps). Paths are led to from the function's folder.
   */
  lead(specifier: string): string {
    for (const [from, to] of this.#entries) {
      if (specifier !== from && !(from.endsWith("/") && specifier.startsWith(from))) continue;
      const target = to + specifier.slice(from.length);
      return /^\.{1,2}\//.test(target) ? resolve(this.#root, target) : target;
    }
    return specifier;
  }
}

/** The `imports` of the `deno.json` or `deno.jsonc` in a function's folder, or of the file that its `importMap` names. */
export async function readImportMap(root: string): Promise<ImportMap> {
  for (const name of ["deno.json", "deno.jsonc"]) {
    const settings = await readObject(join(root, name));
    if (!settings) continue;
    const { importMap, imports } = settings;
    const local = typeof importMap === "string" && !/^[a-z]+:|^\/|(^|\/)\.\.(\/|$)/i.test(importMap);
    const file = local ? await readObject(join(root, importMap)) : undefined;
    return new ImportMap(root, { ...object(file?.imports), ...object(imports) });
  }
  return new ImportMap(root, {});
}

async function readObject(file: string): Promise<Record<string, unknown> | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : object(parseJsonWithComments(text));
}

const object = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
