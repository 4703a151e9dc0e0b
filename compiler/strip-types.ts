import { type Options, transformSync } from "@swc/core";
import { parserFor } from "./analyze/parse.ts";
import type { TypeScriptSettings } from "./tsconfig.ts";

/** Files that swc turns into plain JavaScript before the bundler sees them. */
export const needsStripping = (path: string) => /\.(?:[cm]?ts|tsx|jsx)$/.test(path);

/**
 * TypeScript and JSX to ES2023, with a source map back to the file. `name` is the file's name in that map.
 * @throws what swc throws for a syntax error
 */
export function stripTypes(
  name: string,
  source: string,
  settings: TypeScriptSettings,
): { code: string; map: string } {
  const react = {
    runtime: settings.jsxRuntime,
    ...(settings.jsxRuntime === "automatic" && settings.jsxImportSource
      ? { importSource: settings.jsxImportSource }
      : {}),
    ...(settings.jsxFactory ? { pragma: settings.jsxFactory } : {}),
    ...(settings.jsxFragmentFactory ? { pragmaFrag: settings.jsxFragmentFactory } : {}),
  };
  const options: Options = {
    filename: name,
    sourceFileName: name,
    swcrc: false,
    configFile: false,
    isModule: true,
    sourceMaps: true,
    jsc: {
      target: "es2023",
      parser: parserFor(name),
      keepClassNames: true,
      experimental: { keepImportAttributes: true },
      transform: {
        legacyDecorator: settings.legacyDecorators,
        decoratorMetadata: settings.decoratorMetadata,
        ...(settings.legacyDecorators ? {} : { decoratorVersion: "2022-03" }),
        useDefineForClassFields: settings.defineClassFields,
        verbatimModuleSyntax: settings.verbatimModuleSyntax,
        react,
      },
    },
  };
  const { code, map } = transformSync(source, options);
  return { code, map: map ?? "" };
}
