import { posix } from "node:path";
import { FILES_SPECIFIER } from "./bundle-modules.ts";

/** Where the function's folder lies in a sandbox. */
const mount = "/app";

/** What a module can ask about itself, and identifiers of the same length, which keep all positions in the file what they are. */
const members = {
  "import.meta.url": "__thimble_url__",
  "import.meta.dirname": "__thimble_dirname__",
  "import.meta.filename": "__thimble_filename__",
} as const;

const mentions = /\bimport\.meta\.(?:url|dirname|filename)\b/g;
const readsFiles = /\bDeno\s*\.\s*(?:readTextFile|readFile|open)/;

/** Prefix of modules that say where another one lies. */
export const META_SPECIFIER = "thimble:meta/";

/**
 * Gives a module's `import.meta.url`, `dirname` and `filename` the values that they have in a sandbox. What it takes is imported at the end
 * of the file. Files of the function that may look for others beside them get those too.
 */
export function withMeta(shown: string, code: string, own: boolean): string {
  const found = new Set<keyof typeof members>();
  const text = code.replace(mentions, (mention) => {
    found.add(mention as keyof typeof members);
    return members[mention as keyof typeof members];
  });
  const names = [...found].map((name) => `${name.slice("import.meta.".length)} as ${members[name]}`);
  const imports =
    names.length > 0
      ? [`import { ${names.join(", ")} } from ${JSON.stringify(META_SPECIFIER + shown)};`]
      : [];
  if (own && (names.length > 0 || readsFiles.test(code)))
    imports.push(`import ${JSON.stringify(FILES_SPECIFIER)};`);
  return imports.length > 0 ? `${text}\n${imports.join(" ")}` : code;
}

/** The code of a module `thimble:meta/…`. */
export function metaModule(shown: string): string {
  const filename = posix.join(mount, shown);
  const url = `file://${encodeURI(filename)}`;
  return `export const url = ${JSON.stringify(url)}, filename = ${JSON.stringify(filename)}, dirname = ${JSON.stringify(posix.dirname(filename))};\n`;
}

/** CommonJS: `__dirname` and `__filename` as variables on the first line. */
export function withDirname(shown: string, code: string): string {
  if (!/\b__(?:dirname|filename)\b/.test(code) || /^\s*(?:import|export)\b/m.test(code)) return code;
  const filename = posix.join(mount, shown);
  const strict = /^\s*(?:#!.*\n|\/\/.*\n|\/\*[\s\S]*?\*\/|\s)*["']use strict["']/.test(code)
    ? '"use strict"; '
    : "";
  return `${strict}var __filename = ${JSON.stringify(filename)}, __dirname = ${JSON.stringify(posix.dirname(filename))}; ${code}`;
}
