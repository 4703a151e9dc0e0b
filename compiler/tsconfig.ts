import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The settings that change what TypeScript and JSX mean at run time. */
export interface TypeScriptSettings {
  /** `experimentalDecorators`. Default false: standard decorators. */
  legacyDecorators: boolean;
  /** `emitDecoratorMetadata`. Default false. */
  decoratorMetadata: boolean;
  /** `useDefineForClassFields`. Default true. */
  defineClassFields: boolean;
  /** `verbatimModuleSyntax`. Default false: imports that are used as types only are dropped. */
  verbatimModuleSyntax: boolean;
  /** `jsx: "react"` is classic; everything else, and the default, automatic. */
  jsxRuntime: "automatic" | "classic";
  jsxImportSource: string | undefined;
  jsxFactory: string | undefined;
  jsxFragmentFactory: string | undefined;
}

/** Reads `tsconfig.json` (or `deno.json`) in a function's folder. A missing file, or one that is no JSON, gives the defaults; `extends` is not followed. */
export async function readTypeScriptSettings(root: string): Promise<TypeScriptSettings> {
  const options =
    (await compilerOptions(root, "tsconfig.json")) ?? (await compilerOptions(root, "deno.json")) ?? {};
  const text = (name: string) => (typeof options[name] === "string" ? options[name] : undefined);
  return {
    legacyDecorators: options.experimentalDecorators === true,
    decoratorMetadata: options.emitDecoratorMetadata === true,
    defineClassFields: options.useDefineForClassFields !== false,
    verbatimModuleSyntax: options.verbatimModuleSyntax === true,
    jsxRuntime: options.jsx === "react" || text("jsxFactory") ? "classic" : "automatic",
    jsxImportSource: text("jsxImportSource"),
    jsxFactory: text("jsxFactory"),
    jsxFragmentFactory: text("jsxFragmentFactory"),
  };
}

async function compilerOptions(root: string, name: string): Promise<Record<string, unknown> | undefined> {
  const text = await readFile(join(root, name), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = parseJsonWithComments(text) as { compilerOptions?: Record<string, unknown> } | null;
  return parsed?.compilerOptions ?? {};
}

/** JSON with comments and trailing commas, as tsconfig files have them; null for what is none. */
export function parseJsonWithComments(text: string): unknown {
  const plain = text
    .replace(/^\ufeff/, "")
    .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "$1")
    .replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, "$1");
  try {
    return JSON.parse(plain);
  } catch {
    return null;
  }
}
