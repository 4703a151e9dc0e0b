import { realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type OutputChunk, type RolldownError, rolldown } from "rolldown";
import { ENTRY_SPECIFIER } from "./bundle-modules.ts";
import { isInPackage, shownPath } from "./bundle-paths.ts";
import { functionPlugin } from "./bundle-plugin.ts";
import { BundleReport } from "./bundle-report.ts";
import { CompileError } from "./errors.ts";
import { readImportMap } from "./import-map.ts";
import { readTypeScriptSettings } from "./tsconfig.ts";
import type { Bundle, Finding } from "./types.ts";

/** Most bytes of UTF-8 that a bundle may have. */
export const MAX_BUNDLE_BYTES = 5 * 1024 * 1024;

export interface BundleOptions {
  /** Nothing outside of the folder may be imported, packages included: for sources that came from elsewhere. Default false. */
  confined?: boolean;
  /** What lies in the folder besides code can be read at run time (`node:fs`), if the function does so. Default true. */
  withFiles?: boolean;
}

export interface BundleResult {
  /** With warnings about host modules (`unsupported-module`) and packages that are not there (`missing-module`). */
  bundle: Bundle & { warnings: Finding[] };
  /** The function's own files that the entry reaches, by path relative to its folder; those in no folder below it start with `outside/`. */
  files: Record<string, string>;
}

/**
 * Makes one ES module of a function and everything it imports, for an engine without DOM and Node. Evaluating it calls
 * `globalThis[Symbol.for("thimble.register")]` with the entry's namespace. The output depends on the files' content and their places
 * relative to `root` only.
 * @param root the function's folder
 * @param entry path of the entry file, relative to `root`
 * @throws {CompileError} for syntax errors, imports that lead nowhere and bundles over {@link MAX_BUNDLE_BYTES}
 */
export async function bundle(
  root: string,
  entry: string,
  { confined = false, withFiles = true }: BundleOptions = {},
): Promise<BundleResult> {
  const folder = await realpath(root).catch((cause: unknown) => {
    throw new CompileError(`there is no folder "${root}"`, { cause });
  });
  const report = new BundleReport(folder);
  const settings = await readTypeScriptSettings(folder);
  const importMap = await readImportMap(folder);
  const chunk = await build(
    folder,
    report,
    functionPlugin({ root: folder, entry, settings, importMap, report, confined, withFiles }),
  );
  if (report.errors.length > 0) throw report.toError();
  const code = withoutMapComment(chunk.code);
  const bytes = Buffer.byteLength(code);
  if (bytes > MAX_BUNDLE_BYTES) {
    throw new CompileError(`the bundle has ${bytes} bytes; ${MAX_BUNDLE_BYTES} is the limit`);
  }
  return {
    bundle: { code, map: portableMap(folder, chunk, report.platform), warnings: report.warnings },
    files: report.sortedFiles(),
  };
}

async function build(
  root: string,
  report: BundleReport,
  plugin: ReturnType<typeof functionPlugin>,
): Promise<OutputChunk> {
  try {
    await using build = await rolldown({
      cwd: root,
      input: { function: ENTRY_SPECIFIER },
      platform: "neutral",
      tsconfig: false,
      logLevel: "silent",
      plugins: [plugin],
      moduleTypes: { ".txt": "text", ".md": "text", ".html": "text", ".css": "text", ".sql": "text" },
      resolve: {
        conditionNames: ["workerd", "edge-light", "deno", "worker", "browser"],
        mainFields: ["browser", "module", "main"],
        aliasFields: [["browser"]],
        extensionAlias: {
          ".js": [".js", ".ts", ".tsx"],
          ".mjs": [".mjs", ".mts"],
          ".cjs": [".cjs", ".cts"],
          ".jsx": [".jsx", ".tsx"],
        },
      },
      transform: {
        target: "es2023",
        define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
        inject: { Buffer: ["node:buffer", "Buffer"] },
      },
      experimental: { attachDebugInfo: "none", importAttributes: true },
    });
    const { output } = await build.generate({
      format: "es",
      codeSplitting: false,
      sourcemap: true,
      sourcemapPathTransform: (source, mapPath) => resolve(dirname(mapPath), source),
      minify: false,
    });
    return output[0];
  } catch (cause) {
    if (report.errors.length > 0) throw report.toError(cause);
    throw fromBundler(root, cause, report);
  }
}

/** The bundler's own errors (duplicate declarations, missing exports …) with the place, if it gives one. */
function fromBundler(root: string, cause: unknown, report: BundleReport): CompileError {
  const errors = (cause as { errors?: RolldownError[] }).errors ?? [];
  for (const { id, loc, message, code } of errors) {
    const path = loc?.file ?? id;
    if (path === undefined) continue;
    const rule =
      code === "MISSING_EXPORT" ? "missing-export" : code === "PARSE_ERROR" ? "syntax-error" : "bundle-error";
    report.addError(
      path,
      { line: loc?.line ?? 1, column: (loc?.column ?? 0) + 1 },
      {
        rule,
        message: firstLine(message).replaceAll(`${root}/`, ""),
        hint: "Correct the code at this place.",
      },
    );
  }
  if (report.errors.length > 0) return report.toError(cause);
  const reason = firstLine(errors[0]?.message ?? (cause as Error).message).replaceAll(`${root}/`, "");
  return new CompileError(`the function cannot be bundled: ${reason}`, { cause });
}

const firstLine = (text: string) => /\S.*/.exec(text)?.[0].replace(/^\[[A-Z_]+\] /, "") ?? "unknown reason";

const withoutMapComment = (code: string) => code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");

function portableMap(root: string, { map }: OutputChunk, platform: ReadonlySet<string>): string {
  if (!map) throw new CompileError("the bundler gave no source map");
  const sources = map.sources.map((source) => {
    const shown = shownPath(root, source);
    return platform.has(source) && !shown.startsWith("thimble:") ? `thimble:${shown}` : shown;
  });
  return JSON.stringify({
    version: 3,
    file: "bundle.js",
    sources,
    sourcesContent: map.sourcesContent,
    names: map.names,
    mappings: map.mappings,
    ignoreList: sources.flatMap((source, index) =>
      isInPackage(source) || source.startsWith("thimble:") ? [index] : [],
    ),
  });
}
