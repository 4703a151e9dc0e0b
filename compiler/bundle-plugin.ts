import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Plugin } from "rolldown";
import { parseSource, refuseHostile } from "./analyze/parse.ts";
import { SourceText } from "./analyze/source-text.ts";
import { keepContextAtAwaits } from "./async-context.ts";
import { type ContentType, contentModuleId, contentOf, contentTypes } from "./bundle-content.ts";
import { functionFiles } from "./bundle-files.ts";
import { META_SPECIFIER, metaModule, withDirname, withMeta } from "./bundle-meta.ts";
import {
  EMPTY_ID,
  ENTRY_SPECIFIER,
  FILES_ID,
  hostModuleId,
  isBareBuiltin,
  isHostModule,
  isVirtual,
  missingModuleId,
  NODE_SPECIFIER,
  ownModuleId,
  requiredModuleId,
  virtualModule,
} from "./bundle-modules.ts";
import { asPlatformImport, isMostlyMissing, nodeModuleFile } from "./bundle-node.ts";
import { isInPackage, isInside, moduleId, realFile, shownPath } from "./bundle-paths.ts";
import type { BundleReport } from "./bundle-report.ts";
import type { ImportMap } from "./import-map.ts";
import { withJavy } from "./javy.ts";
import { needsStripping, stripTypes } from "./strip-types.ts";
import type { TypeScriptSettings } from "./tsconfig.ts";

export interface FunctionPluginOptions {
  root: string;
  /** Relative to `root`. */
  entry: string;
  settings: TypeScriptSettings;
  importMap: ImportMap;
  report: BundleReport;
  /** Whatever lies outside of `root` is as if it were not there. */
  confined: boolean;
  /** The folder's files that are no code can be read at run time. */
  withFiles: boolean;
}

const asyncHooks = nodeModuleFile("async_hooks");

/**
 * Everything that is special about bundling a function: the registering entry, `thimble:db`, Node's modules and stand-ins for those that
 * there are not, files that are imported as what they are, TypeScript through swc, and the refusal of sources that would overflow the
 * bundler's native stack. Errors go to the report, all of them, while the bundler goes on.
 */
export function functionPlugin(options: FunctionPluginOptions): Plugin {
  const { root, entry, settings, importMap, report, confined } = options;
  const entryPath = join(root, entry);
  const { platform } = report;
  const isOwn = (id: string) => !platform.has(id) && !isInPackage(shownPath(root, id));

  return {
    name: "thimble",
    async resolveId(written, importer, { kind, attributes }) {
      const fromPlatform = importer !== undefined && platform.has(importer);
      if (written.startsWith(META_SPECIFIER)) return `\0${written}`;
      const mapped = importer !== undefined && isOwn(importer) ? importMap.lead(written) : written;
      const specifier = packageName(fromPlatform ? asPlatformImport(mapped) : mapped);
      const own = ownModuleId(specifier);
      if (own !== undefined && (specifier !== ENTRY_SPECIFIER || importer === undefined)) return own;
      const required = specifier.startsWith(NODE_SPECIFIER);
      const name = required ? specifier.slice(NODE_SPECIFIER.length) : specifier;
      const node = required || isHostModule(name) || isBareBuiltin(name) ? nodeModuleFile(name) : undefined;
      if (node !== undefined) {
        platform.add(node);
        if (isMostlyMissing(name)) warnOfMissing(name, importer);
        return kind === "require-call" && !required ? requiredModuleId(name) : node;
      }
      if (isHostModule(specifier)) return host(specifier, importer);
      if (specifier.startsWith("thimble:")) return missing(written, mapped, importer, kind);
      if (attributes.type === "text" || attributes.type === "bytes") {
        const file = resolve(dirname(importer ? realFile(importer) : entryPath), specifier);
        if (!/^\.{0,2}\//.test(specifier) || (confined && !isInside(root, file)))
          return missing(written, mapped, importer, kind);
        return contentModuleId(attributes.type, file);
      }
      const found = await this.resolve(specifier, importer && realFile(importer), { kind, skipSelf: true });
      const leftOut = found && /^\0rolldown\/empty[^?]*\??(.*)$/.exec(found.id);
      // files of its own that a package leaves out in browsers are for Node, whose modules are there
      const ownFile = leftOut && /^\.\.?\//.test(specifier) ? await fileOf(leftOut[1]!) : undefined;
      if (leftOut && ownFile === undefined) return EMPTY_ID;
      const resolved = ownFile === undefined ? found : { ...found!, id: ownFile };
      if (confined && !fromPlatform && resolved && !isInside(root, resolved.id))
        return missing(written, mapped, importer, kind);
      if (resolved && !resolved.external && isAbsolute(resolved.id.replace(/^\0/, ""))) {
        const id = moduleId(root, resolved.id);
        if (fromPlatform) platform.add(id);
        return { ...resolved, id };
      }
      if (isBareBuiltin(specifier)) return host(specifier, importer);
      return missing(written, mapped, importer, kind);
    },
    async load(id) {
      if (id === FILES_ID) return files();
      if (id.startsWith(`\0${META_SPECIFIER}`))
        return { code: metaModule(id.slice(META_SPECIFIER.length + 1)), moduleType: "js" };
      if (isVirtual(id)) return virtualModule(id, entryPath);
      const content = contentOf(id);
      if (content) return loadContent(content.type, content.file);
      return realFile(id) === id
        ? null
        : { code: await readFile(realFile(id), "utf8"), moduleType: moduleType(id) };
    },
    transform(code, id, { moduleType }) {
      if (isVirtual(id) || id.startsWith("\0") || contentOf(id)) return null;
      const shown = shownPath(root, id);
      const own = isOwn(id);
      if (own) report.addFile(id, code);
      else report.remember(id, code);
      if (moduleType !== "js" && moduleType !== "jsx" && moduleType !== "ts" && moduleType !== "tsx")
        return null;
      const refusal = refuseHostile(shown, code);
      if (refusal) return report.fail(refusal);
      const { text } = new SourceText(shown, code);
      const located = withJavy(withDirname(shown, withMeta(shown, text, own)));
      if (!needsStripping(realFile(id))) return located === code ? null : { code: located, map: null };
      try {
        return { ...stripTypes(shown, located, settings), moduleType: "js" };
      } catch (error) {
        const parsed = parseSource(shown, code);
        if ("rule" in parsed) return report.fail(parsed);
        throw error;
      }
    },
    renderChunk: (code, { moduleIds }) =>
      moduleIds.some((id) => id === asyncHooks) ? keepContextAtAwaits(code) : null,
  };

  async function files(): Promise<{ code: string; moduleType: "js" }> {
    const { code, leftOut } = options.withFiles
      ? await functionFiles(root)
      : { code: "export {};", leftOut: [] };
    for (const file of leftOut) report.addLeftOut(file);
    return { code, moduleType: "js" };
  }

  async function loadContent(type: ContentType, file: string) {
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes === undefined) {
      report.addUnresolved(entryPath, shownPath(root, file), entry);
      return { code: "export default undefined;", moduleType: "js" as const };
    }
    if (type === "text" && isOwn(file)) report.addFile(file, bytes.toString("utf8"));
    return { code: contentTypes[type](bytes), moduleType: "js" as const };
  }

  function host(specifier: string, importer: string | undefined): string {
    warnOfMissing(specifier, importer);
    return hostModuleId(specifier);
  }

  function warnOfMissing(specifier: string, importer: string | undefined): void {
    if (importer !== undefined && !isVirtual(importer) && !platform.has(importer)) {
      report.addImportWarning(importer, specifier, {
        rule: "unsupported-module",
        message: `"${specifier}" is not supported in a sandbox: using it throws`,
        hint: "Leave it if the function never gets there; otherwise use web standards or another package.",
      });
    }
  }

  /** `meant` is what the import map makes of the specifier. */
  function missing(specifier: string, meant: string, importer: string | undefined, kind: string): string {
    const from = importer ?? entryPath;
    if (isInPackage(shownPath(root, from)) && kind !== "import-statement") {
      report.addImportWarning(from, specifier, {
        rule: "missing-module",
        message: `"${specifier}" is not installed: requiring it throws`,
        hint: "Leave it if it is an optional dependency; otherwise install it.",
      });
    } else report.addUnresolved(from, specifier, entry, meant);
    return missingModuleId(specifier);
  }
}

/**
 * `npm:hono@4/jsx` is the installed package `hono/jsx`; `jsr:@std/path@1` is what JSR's tool installs it as, `@jsr/std__path`
 * (https://jsr.io/docs/npm-compatibility).
 */
function packageName(specifier: string): string {
  return specifier
    .replace(/^npm:\/?((?:@[^/]+\/)?[^/@]+)(?:@[^/]+)?/, "$1")
    .replace(/^jsr:\/?@([^/]+)\/([^/@]+)(?:@[^/]+)?/, "@jsr/$1__$2");
}

/** A file whose name may lack its extension. */
async function fileOf(path: string): Promise<string | undefined> {
  for (const extension of ["", ".js", ".cjs", ".json", "/index.js"]) {
    const found = await stat(path + extension).catch(() => undefined);
    if (found?.isFile()) return path + extension;
  }
  return undefined;
}

/** Rolldown's name for what a file holds; only code files are named `index` or `mod` here. */
function moduleType(id: string): "js" | "jsx" | "ts" | "tsx" | "json" {
  const extension = /\.[cm]?(jsx?|tsx?|json)$/.exec(realFile(id))?.[1];
  return (extension as "js" | "jsx" | "ts" | "tsx" | "json" | undefined) ?? "js";
}
