import { posix } from "node:path";

/** What an expression may be when it runs. An expression has a set of them; the empty set says that nothing is known. */
export type Value =
  | { kind: "text"; text: string }
  | { kind: "number"; number: number }
  | Reference
  /** A function or class of the file's own. */
  | { kind: "function"; node: object }
  | { kind: "instance"; of: object }
  | { kind: "object"; node: object }
  | { kind: "list"; items: readonly Values[] }
  /** A Proxy with a `get`. */
  | { kind: "proxy"; target: Values; get: object }
  /** A Map, or an object that is made from data. */
  | { kind: "record"; entries: ReadonlyMap<string, Values> }
  | { kind: "bound"; target: Value; args: readonly Operand[] }
  /** What Object.getPrototypeOf and __proto__ give; of nothing, when nothing is known of the object. */
  | { kind: "prototype"; of: Value | undefined }
  /** The constructor of something unknown. */
  | { kind: "constructor"; ofPrototype: boolean }
  | { kind: "descriptor"; of: Value }
  | { kind: "descriptors"; of: Value };

export type Values = readonly Value[];

/** An argument: what it is known to be, or the expression that says so. */
export type Operand = Values | { expression: object };

/**
 * Something that the file does not define: `Deno.Command` for a global, `fs#promises.readFile` for what a module gives. Names that
 * mean the same have the same path: `globalThis.Deno.Command`, `import process from "node:process"`.
 */
export interface Reference {
  kind: "reference";
  /** The module's name without `node:`; undefined for globals. */
  module: string | undefined;
  names: readonly string[];
  path: string;
}

const GLOBAL_OBJECTS = new Set(["globalThis", "self", "window", "global"]);
/** Longer member chains name nothing that a rule knows. */
const MAX_NAMES = 8;

/** Names for one and the same thing; the longer ones first. */
const SAME_GLOBAL: readonly [from: readonly string[], to: readonly string[]][] = [
  [["process", "mainModule"], ["module"]],
  [["require", "main"], ["module"]],
  [["module", "parent"], ["module"]],
  [["module", "require"], ["require"]],
  [["import.meta", "require"], ["require"]],
];

export const isGlobalObject = ({ module, names }: Reference) =>
  module === undefined && names.length === 1 && GLOBAL_OBJECTS.has(names[0]!);

export function globalReference(...written: string[]): Reference {
  let names = written;
  while (names.length > 1 && GLOBAL_OBJECTS.has(names[0]!)) names = names.slice(1);
  for (const [from, to] of SAME_GLOBAL) {
    if (from.every((name, index) => names[index] === name)) names = [...to, ...names.slice(from.length)];
  }
  if (names[0] === "module" && names[1] === "constructor")
    return moduleReference("module", ...names.slice(2));
  return { kind: "reference", module: undefined, names, path: names.join(".") };
}

export function moduleReference(specifier: string, ...written: string[]): Reference {
  const [module, folder] = moduleName(specifier);
  let names = folder === undefined ? written : [folder, ...written];
  while (names[0] === "default" || (module === "module" && names[0] === "Module")) names = names.slice(1);
  if (module === "process") return globalReference("process", ...names);
  if (module === "bun") return globalReference("Bun", ...names);
  if (module === "module" && names[0] === "prototype" && names[1] === "require")
    return globalReference("require");
  return { kind: "reference", module, names, path: `${module}#${names.join(".")}` };
}

/** `node:fs/promises` is the member `promises` of `fs`; a package keeps its name. */
function moduleName(specifier: string): [name: string, folder?: string] {
  const name = specifier.replace(/^node:/, "");
  if (name === "fs/promises") return ["fs", "promises"];
  if (name === "path/posix" || name === "path/win32") return ["path"];
  return [name];
}

export function memberOf({ module, names }: Reference, name: string): Reference | undefined {
  if (names.length >= MAX_NAMES) return undefined;
  return module === undefined ? globalReference(...names, name) : moduleReference(module, ...names, name);
}

export const text = (value: string): Value => ({ kind: "text", text: value });

/** Values of one expression that are followed. */
export const MAX_VALUES = 8;

export const limited = (values: Values): Value[] => values.slice(0, MAX_VALUES);

/** As strings: what `+`, templates and computed names make of them. */
export const stringsOf = (values: Values): string[] =>
  values.flatMap((value) => {
    if (value.kind === "text") return [value.text];
    if (value.kind === "list" && value.items.length === 1) return stringsOf(value.items[0]!);
    return value.kind === "number" ? [String(value.number)] : [];
  });

/** The texts among values. */
export const textsOf = (values: Values): string[] =>
  values.flatMap((value) => (value.kind === "text" ? [value.text] : []));

export const referencesOf = (values: Values): Reference[] =>
  values.flatMap((value) => (value.kind === "reference" ? [value] : []));

/** Where the function's folder lies in a sandbox. */
export const FOLDER = "/app";

const ALLOWED_ROOTS = [FOLDER, "/tmp", "/dev/null"];

/** Whether a path or file URL leads out of the function's folder and of /tmp. */
export function leavesFolder(path: string): boolean {
  if (/^[a-z]:[\\/]/i.test(path)) return true;
  const absolute = posix.resolve(FOLDER, /^file:/i.test(path) ? pathOfUrl(path) : path);
  return !ALLOWED_ROOTS.some((root) => absolute === root || absolute.startsWith(`${root}/`));
}

export function pathOfUrl(url: string): string {
  const path = url.replace(/^file:(?:\/\/[^/]*)?/i, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
