import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { CompileError } from "./errors.ts";
import type { SourceFiles } from "./types.ts";

/** Most files that a function may have. */
export const MAX_SOURCE_FILES = 1000;
/** Most bytes of UTF-8 that a function's files may have together. */
export const MAX_SOURCE_BYTES = 10 * 1024 * 1024;

const SOURCE_EXTENSIONS = new Set([".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"]);
const CODE_FILE = /\.[cm]?[jt]sx?$/;
const ENTRY_EXTENSIONS = ["ts", "tsx", "mts", "js", "mjs", "jsx"];
const ENTRY_NAMES = ["index", "main", "function", "handler", "app", "server", "worker", "mod"];
const ENTRY_FOLDERS = ["", "src/"];
const SKIPPED_FOLDERS = new Set(["node_modules", "dist", "build", "coverage"]);

/** A function as it lies on disk. */
export interface FunctionFolder {
  /** Absolute, real path of the folder that the file names are relative to. */
  root: string;
  sources: SourceFiles;
  /** A folder rather than one file, whose neighbours are none of the function's business. */
  isWhole: boolean;
}

/**
 * Reads a function: a folder (entry from package.json's `module` or `main`, else index, main, function, handler … in the
 * folder or its `src`), or one file. Of a folder every source file is read except hidden ones and those in
 * node_modules and build output; of a file only itself (the bundler reaches what it imports).
 * @throws {CompileError} when there is nothing there, a file that holds no code, no entry is found, or {@link checkSources} refuses it
 */
export async function readSources(path: string): Promise<FunctionFolder> {
  const absolute = await realpath(resolve(path)).catch((cause: unknown) => {
    throw new CompileError(`there is no file or folder "${path}"`, { cause });
  });
  const isFile = (await stat(absolute)).isFile();
  if (isFile && !CODE_FILE.test(absolute)) {
    const what = absolute.endsWith(".wasm")
      ? "is no WebAssembly"
      : "is no TypeScript, JavaScript or WebAssembly";
    throw new CompileError(`"${path}" ${what}`);
  }
  const root = isFile ? dirname(absolute) : absolute;
  const entry = isFile ? basename(absolute) : await findEntry(root, path);
  const paths = isFile ? [entry] : await listSources(root);
  if (!paths.includes(entry)) paths.push(entry);
  const files: Record<string, string> = Object.create(null);
  for (const file of paths.sort()) files[file] = await readFile(join(root, file), "utf8");
  const sources: SourceFiles = { entry, files };
  checkSources(files, entry);
  return { root, sources, isWhole: !isFile };
}

async function findEntry(root: string, shown: string): Promise<string> {
  for (const candidate of [...(await packageEntries(root)), ...conventionalEntries()]) {
    const found = await stat(join(root, candidate)).catch(() => undefined);
    if (found?.isFile()) return candidate;
  }
  throw new CompileError(
    `no entry file in "${shown}": name one in package.json ("main"), or add index.ts, main.ts, function.ts or handler.ts`,
  );
}

function conventionalEntries(): string[] {
  return ENTRY_FOLDERS.flatMap((folder) =>
    ENTRY_NAMES.flatMap((name) => ENTRY_EXTENSIONS.map((extension) => `${folder}${name}.${extension}`)),
  );
}

async function packageEntries(root: string): Promise<string[]> {
  const text = await readFile(join(root, "package.json"), "utf8").catch(() => undefined);
  if (text === undefined) return [];
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw new CompileError("package.json is not valid JSON", { cause });
  }
  if (typeof manifest !== "object" || manifest === null) return [];
  const { module, main } = manifest as { module?: unknown; main?: unknown };
  return [module, main]
    .filter((value) => typeof value === "string")
    .map((value) => relative(root, resolve(root, value)).split(sep).join("/"))
    .filter((value) => pathProblem(value) === undefined);
}

async function listSources(root: string): Promise<string[]> {
  const found: string[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const item of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? item.name : `${folder}/${item.name}`;
      if (item.name.startsWith(".")) continue;
      if (item.isDirectory()) {
        if (!SKIPPED_FOLDERS.has(item.name)) folders.push(path);
      } else if (item.isFile() && SOURCE_EXTENSIONS.has(extname(item.name)) && !isLockFile(item.name)) {
        found.push(path);
        if (found.length > MAX_SOURCE_FILES) throw tooManyFiles();
      }
    }
  }
  return found;
}

const isLockFile = (name: string) => name === "package-lock.json" || name === "npm-shrinkwrap.json";
const tooManyFiles = () => new CompileError(`a function may have ${MAX_SOURCE_FILES} files at most`);

/**
 * Checks files that came from outside: relative `/`-separated paths without `..`, at most {@link MAX_SOURCE_FILES} of them and
 * {@link MAX_SOURCE_BYTES} together, with the entry among them.
 * @throws {CompileError} naming the first thing wrong
 */
export function checkSources(files: Record<string, string>, entry: string): void {
  const paths = Object.keys(files);
  if (paths.length > MAX_SOURCE_FILES) throw tooManyFiles();
  let bytes = 0;
  const places = new Places();
  for (const path of paths) {
    const problem = pathProblem(path) ?? places.clashOf(path);
    if (problem) throw new CompileError(`the file name ${JSON.stringify(path)} ${problem}`);
    const text: unknown = files[path];
    if (typeof text !== "string") throw new CompileError(`the file ${JSON.stringify(path)} is not text`);
    bytes += Buffer.byteLength(text);
    if (bytes > MAX_SOURCE_BYTES) {
      throw new CompileError(`a function's files may have ${MAX_SOURCE_BYTES} bytes together at most`);
    }
  }
  if (!Object.hasOwn(files, entry)) {
    throw new CompileError(`the entry ${JSON.stringify(entry)} is not among the files`);
  }
}

/** Files that would be one on machines whose names ignore case or the way that accents are written, or both file and folder. */
class Places {
  readonly #files = new Map<string, string>();
  readonly #folders = new Map<string, string>();

  clashOf(path: string): string | undefined {
    const place = path.normalize("NFC").toLowerCase();
    const parts = place.split("/");
    const above = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
    const other =
      this.#files.get(place) ??
      this.#folders.get(place) ??
      above.map((folder) => this.#files.get(folder)).find(Boolean);
    if (other !== undefined) return `is at the place of ${JSON.stringify(other)}`;
    const written = path.split("/");
    for (const [index, folder] of above.entries()) {
      const name = written.slice(0, index + 1).join("/");
      const known = this.#folders.get(folder);
      if (known !== undefined && known !== name)
        return `is in a folder at the place of ${JSON.stringify(known)}`;
      this.#folders.set(folder, name);
    }
    this.#files.set(place, path);
    return undefined;
  }
}

/** What is wrong with a file name that came from outside; undefined when nothing is. */
export function pathProblem(path: string): string | undefined {
  if (path === "") return "is empty";
  if (path.length > 1024) return "is too long";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(path)) return "holds a control character";
  if (!path.isWellFormed()) return "holds half of a character";
  if (path.includes("\\")) return "holds a backslash; separate folders by /";
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path)) return "is absolute";
  const parts = path.split("/");
  if (parts.some((part) => Buffer.byteLength(part) > 255)) return "has a part that is too long";
  if (parts.includes("..")) return "leads out of the folder";
  if (parts.includes(".") || parts.includes("")) return "has an empty part";
  if (parts.includes("__proto__")) return "is reserved";
  return undefined;
}
