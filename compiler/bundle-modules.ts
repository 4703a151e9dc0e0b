import { builtinModules } from "node:module";
import { JAVY_SPECIFIER, javyModule } from "./javy.ts";

/** Ids of modules that are made here; the NUL keeps other resolvers away. */
const PREFIX = "\0thimble:";
const ENTRY_ID = `${PREFIX}entry`;
const DATABASE_ID = `${PREFIX}db`;
const JAVY_ID = `${PREFIX}javy`;
const POSTGRES_ID = `${PREFIX}postgres`;
/** What a package's `browser` field leaves out. */
export const EMPTY_ID = `${PREFIX}empty`;
/** The function's files that are no code, for `node:fs` and its like. */
export const FILES_ID = `${PREFIX}files`;

const builtins = new Set(builtinModules.filter((name) => !name.startsWith("_") && !name.includes(":")));

/** The entry of every bundle: evaluating it registers the function's exports with the sandbox, so that the bundle exports nothing. */
export const ENTRY_SPECIFIER = "thimble:entry";
export const FILES_SPECIFIER = "thimble:files";

/** Specifiers that never name a file: `node:fs`, `bun:ffi`, `cloudflare:sockets`. */
export const isHostModule = (specifier: string) =>
  /^(node|bun|cloudflare):/.test(specifier) || specifier === "bun";

/** `fs`, `stream/web`: a package of that name in the function's node_modules comes first. */
export const isBareBuiltin = (specifier: string) => builtins.has(specifier);

export const isVirtual = (id: string) => id.startsWith(PREFIX);

/** The module id of one of our own specifiers. */
export function ownModuleId(specifier: string): string | undefined {
  if (specifier === ENTRY_SPECIFIER) return ENTRY_ID;
  // the package's interface over the host's pool: the package itself would need a socket
  if (specifier === "postgres") return POSTGRES_ID;
  if (specifier === FILES_SPECIFIER) return FILES_ID;
  // types only
  if (specifier === "thimble") return EMPTY_ID;
  if (specifier === JAVY_SPECIFIER) return JAVY_ID;
  return specifier === "thimble:db" ? DATABASE_ID : undefined;
}

/** A module of Node as `require` gives it: its default export. */
export const requiredModuleId = (name: string) => `${PREFIX}require/${name.replace(/^node:/, "")}`;

/** How {@link requiredModuleId} asks for the module itself. */
export const NODE_SPECIFIER = "thimble:node/";

/** A module that a sandbox does not have. */
export function hostModuleId(specifier: string): string {
  return `${PREFIX}host/${specifier.startsWith("bun") || specifier.includes(":") ? specifier : `node:${specifier}`}`;
}

/** An optional dependency of a package that is not installed: requiring it throws, as it would in Node. */
export const missingModuleId = (specifier: string) => `${PREFIX}missing/${specifier}`;

/** The code of a virtual module. `entryPath` is what the entry imports. */
export function virtualModule(id: string, entryPath: string): { code: string; moduleType: "js" } {
  return { code: virtualCode(id.slice(PREFIX.length), entryPath), moduleType: "js" };
}

function virtualCode(name: string, entryPath: string): string {
  if (name === "entry") {
    return `import * as ns from ${JSON.stringify(entryPath)};\nglobalThis[Symbol.for("thimble.register")](ns);\n`;
  }
  if (name === "db") {
    return 'const { sql } = globalThis[Symbol.for("thimble.modules")]["thimble:db"];\nexport { sql };\nexport default sql;\n';
  }
  if (name === "postgres") {
    return 'const postgres = globalThis[Symbol.for("thimble.modules")].postgres;\nexport const { PostgresError } = postgres;\nexport default postgres;\n';
  }
  if (name === "javy") return javyModule;
  if (name === "empty") return "module.exports = {};\n";
  const specifier = name.slice(name.indexOf("/") + 1);
  if (name.startsWith("require/"))
    return `module.exports = require(${JSON.stringify(NODE_SPECIFIER + specifier)}).default;\n`;
  if (name.startsWith("missing/")) {
    const message = JSON.stringify(`Cannot find module '${specifier}'`);
    return `throw Object.assign(new Error(${message}), { code: "MODULE_NOT_FOUND" });\nmodule.exports = {};\n`;
  }
  return `${unsupported(specifier)}module.exports = Object.create(unsupported(""));\n`;
}

/**
 * A stand-in whose every member can be read, copied and extended, and throws once it is called, constructed or made a primitive:
 * packages that import a module without using it work. The module is an object with the stand-in as its prototype, which is
 * where the bundler's CommonJS interop looks for names that the module does not have itself.
 */
function unsupported(specifier: string): string {
  const message = JSON.stringify(`${specifier} is not supported in a sandbox`);
  return `function unsupported(path) {
  const refuse = () => {
    throw new Error(${message} + (path && " (" + path + ")"));
  };
  const members = new Map();
  return new Proxy(function () {}, {
    apply: refuse,
    construct: refuse,
    get(target, key) {
      if (key === Symbol.toPrimitive) return refuse;
      if (typeof key === "symbol" || key === "then" || key === "__esModule") return undefined;
      if (key === "prototype") return target.prototype;
      if (!members.has(key)) members.set(key, unsupported(path ? path + "." + key : key));
      return members.get(key);
    },
  });
}
`;
}
