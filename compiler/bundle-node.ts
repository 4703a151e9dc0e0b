import { sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the modules that stand for Node's, one file for each: `stream/promises` is `stream-promises.ts`. */
const folder = fileURLToPath(new URL("../runtime/guest/node/", import.meta.url));

const supported = new Set([
  "assert",
  "assert/strict",
  "async_hooks",
  "buffer",
  "console",
  "constants",
  "crypto",
  "diagnostics_channel",
  "events",
  "fs",
  "fs/promises",
  "http",
  "https",
  "module",
  "net",
  "os",
  "path",
  "path/posix",
  "perf_hooks",
  "process",
  "punycode",
  "querystring",
  "stream",
  "stream/consumers",
  "stream/promises",
  "stream/web",
  "string_decoder",
  "sys",
  "timers",
  "timers/promises",
  "tty",
  "url",
  "util",
  "util/types",
  "zlib",
]);

/** Modules with little in them that works. */
export const isMostlyMissing = (specifier: string): boolean => specifier.replace(/^node:/, "") === "net";

/** The file that stands for a module of Node, named with or without `node:`; undefined for what a sandbox does not have. */
export function nodeModuleFile(specifier: string): string | undefined {
  const name = specifier.replace(/^node:/, "");
  return supported.has(name) ? `${folder}${name.replace("/", "-")}.ts` : undefined;
}

/** Where a file of the platform itself lies below its folder of guest code; undefined for all others. */
export function platformPath(path: string): string | undefined {
  return path.startsWith(folder) ? path.slice(folder.length).split(sep).join("/") : undefined;
}

/**
 * Packages that the platform's own modules are made of ask for modules of Node by names that lead to packages of the same name:
 * `buffer`, `string_decoder/`.
 */
export const asPlatformImport = (specifier: string): string => specifier.replace(/^([a-z_]+)\/$/, "$1");
