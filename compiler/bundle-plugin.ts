import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import type { Plugin } from "rolldown";
import { parseSource, refuseHostile } from "./analyze/parse.ts";
import { SourceText } from "./analyze/source-text.ts";
import {
  ENTRY_SPECIFIER,
  hostModuleId,
  isBareBuiltin,
  isHostModule,
  isVirtual,
  missingModuleId,
  ownModuleId,
  virtualModule,
} from "./bundle-modules.ts";
import { isInPackage, isInside, moduleId, realFile, shownPath } from "./bundle-paths.ts";
import type { BundleReport } from "./bundle-report.ts";
import { needsStripping, stripTypes } from "./strip-types.ts";
import type { TypeScriptSettings } from "./tsconfig.ts";

export interface FunctionPluginOptions {
  root: string;
  /** Relative to `root`. */
  entry: string;
  settings: TypeScriptSettings;
  report: BundleReport;
  /** Whatever lies outside of `root` is as if it were not there. */
  confined: boolean;
}

/**
 * Everything that is special about bundling a function: the registering entry, `thimble:db`, stand-ins for host modules, TypeScript
 * through swc, and the refusal of sources that would overflow the bundler's native stack. Errors go to the report, all of them, while the bundler goes on.
 */
export function functionPlugin({ root, entry, settings, report, confined }: FunctionPluginOptions): Plugin {
  const entryPath = join(root, entry);
  return {
    name: "thimble",
    async resolveId(written, importer, { kind }) {
      const specifier = written.replace(/^npm:\/?((?:@[^/]+\/)?[^/@]+)(?:@[^/]+)?/, "$1");
      const own = ownModuleId(specifier);
      if (own !== undefined && (specifier !== ENTRY_SPECIFIER || importer === undefined)) return own;
      if (isHostModule(specifier)) return host(specifier, importer);
      if (specifier.startsWith("thimble:")) return missing(written, importer, kind);
      const resolved = await this.resolve(specifier, importer && realFile(importer), {
        kind,
        skipSelf: true,
      });
      if (confined && resolved && !isInside(root, resolved.id)) return missing(written, importer, kind);
      if (resolved && !resolved.external && isAbsolute(resolved.id.replace(/^\0/, ""))) {
        return { ...resolved, id: moduleId(root, resolved.id) };
      }
      if (isBareBuiltin(specifier)) return host(specifier, importer);
      return missing(written, importer, kind);
    },
    async load(id) {
      if (isVirtual(id)) return virtualModule(id, entryPath);
      return realFile(id) === id
        ? null
        : { code: await readFile(realFile(id), "utf8"), moduleType: moduleType(id) };
    },
    transform(code, id, { moduleType }) {
      if (isVirtual(id) || id.startsWith("\0")) return null;
      const own = !isInPackage(shownPath(root, id));
      if (own) report.addFile(id, code);
      else report.remember(id, code);
      if (moduleType !== "js" && moduleType !== "jsx" && moduleType !== "ts" && moduleType !== "tsx")
        return null;
      const shown = shownPath(root, id);
      const refusal = refuseHostile(shown, code);
      if (refusal) return report.fail(refusal);
      const { text } = new SourceText(shown, code);
      if (!needsStripping(realFile(id))) return text === code ? null : { code: text, map: null };
      try {
        return { ...stripTypes(shown, text, settings), moduleType: "js" };
      } catch (error) {
        const parsed = parseSource(shown, code);
        if ("rule" in parsed) return report.fail(parsed);
        throw error;
      }
    },
  };

  function host(specifier: string, importer: string | undefined): string {
    const id = hostModuleId(specifier);
    const supported = /\/node:(?:process|buffer)$/.test(id);
    if (!supported && importer !== undefined && !isVirtual(importer)) {
      report.addImportWarning(importer, specifier, {
        rule: "unsupported-module",
        message: `"${specifier}" is not supported in a sandbox: using it throws`,
        hint: "Leave it if the function never gets there; otherwise use web standards or another package.",
      });
    }
    return id;
  }

  function missing(specifier: string, importer: string | undefined, kind: string): string {
    const from = importer ?? entryPath;
    if (isInPackage(shownPath(root, from)) && kind !== "import-statement") {
      report.addImportWarning(from, specifier, {
        rule: "missing-module",
        message: `"${specifier}" is not installed: requiring it throws`,
        hint: "Leave it if it is an optional dependency; otherwise install it.",
      });
    } else report.addUnresolved(from, specifier, entry);
    return missingModuleId(specifier);
  }
}

/** Rolldown's name for what a file holds; only code files are named `index` or `mod` here. */
function moduleType(id: string): "js" | "jsx" | "ts" | "tsx" | "json" {
  const extension = /\.[cm]?(jsx?|tsx?|json)$/.exec(realFile(id))?.[1];
  return (extension as "js" | "jsx" | "ts" | "tsx" | "json" | undefined) ?? "js";
}
