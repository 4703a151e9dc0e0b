import { moduleConfigProblem } from "../analyze/function-config.ts";
import { customSections } from "../container.ts";
import { AnalysisError, CompileError } from "../errors.ts";
import { javySources } from "../javy.ts";
import { pathProblem } from "../sources.ts";
import type { Analysis, Finding, FunctionConfig, SourceFiles } from "../types.ts";
import { defaultLimits, type Module, meterBytes, readModule, WasmError } from "../wasm/index.ts";
import { partFinding } from "./findings.ts";
import { inspectModule, isJavyPlugin } from "./inspect-module.ts";
import { encodeModuleArtifact, type ModuleArtifact } from "./module-artifact.ts";

/** Most bytes of the files that a module is given. */
const maxFileBytes = 16 * 1024 * 1024;
const maxFiles = 1_000;
/** Section in which a module says what limits it wants: JSON, as in `export const config`. */
export const configSection = "thimble:config";

/** A WebAssembly file that is deployed as it is: a WASI module, or a component. */
export interface ModuleInput {
  module: Uint8Array;
  /** Its name in findings. Default `module.wasm`. */
  fileName?: string | undefined;
  /** What a module finds in `/`, by path: `/`-separated, without `..`. */
  files?: Record<string, Uint8Array> | undefined;
  /** In place of what the module's section `thimble:config` says, setting by setting. */
  config?: FunctionConfig | undefined;
}

/**
 * Checks a WASI module and meters it. One that is linked to Javy's engine becomes a function in JavaScript: then its sources are returned.
 *
 * @throws AnalysisError with every import that is not allowed, and whatever else is wrong with its outside; CompileError for bytes that are no
 * module, use what can't be metered, or are larger than a limit.
 */
export function buildModule(
  input: ModuleInput,
  engineHash: string,
): { artifact: Uint8Array<ArrayBuffer>; analysis: Analysis } | { sources: SourceFiles } {
  const { module: bytes, fileName = "module.wasm", files = {} } = input;
  checkFiles(files);
  const module = read(bytes);
  if (module.imports.some(({ module: from }) => isJavyPlugin(from))) return { sources: javySources(module) };
  const inspection = inspectModule(module, fileName);
  const findings = [...inspection.findings];
  const config = { ...ownConfig(customSections(bytes), fileName, findings), ...input.config };
  const passed = !findings.some(({ severity }) => severity === "error");
  const analysis: Analysis = { passed, findings, config, module: inspection.summary };
  if (!passed) throw new AnalysisError(analysis);
  const metered = asCompileError(() => meterBytes(bytes));
  // the engine's own validation, before anything is stored
  try {
    new WebAssembly.Module(metered);
  } catch (cause) {
    throw new CompileError(`the module is not valid: ${(cause as Error).message.replace(/^.*?\(\): /, "")}`, {
      cause,
    });
  }
  const stdio = config.stdio ?? inspection.stdio;
  const manifest = { engine: engineHash, entry: inspection.entry, stdio, config, analysis };
  return { artifact: encodeModuleArtifact({ manifest, metered, original: bytes, files }), analysis };
}

/** The same module, metered by this version. */
export function rebuildModule({ original, files, manifest }: ModuleArtifact, engineHash: string) {
  const built = buildModule({ module: original, files, config: manifest.config }, engineHash);
  if ("sources" in built) throw new CompileError("the artefact's module is linked to another engine");
  return built;
}

function read(bytes: Uint8Array): Module {
  return asCompileError(() => readModule(bytes, defaultLimits));
}

/** @throws CompileError in place of a WasmError. */
export function asCompileError<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof WasmError)
      throw new CompileError(`the module can't be used: ${cause.message}`, { cause });
    throw cause;
  }
}

/** What a file's section `thimble:config` says. */
export function ownConfig(
  sections: readonly (readonly [name: string, bytes: Uint8Array])[],
  file: string,
  findings: Finding[],
): FunctionConfig {
  const section = sections.find(([name]) => name === configSection);
  if (!section) return {};
  const invalid = (problem: string, shown: string): FunctionConfig => {
    const hint = "Write it as JSON, with the settings of `export const config`.";
    findings.push(
      partFinding(
        file,
        "config-invalid",
        shown,
        `The section ${configSection} is of no use: ${problem}`,
        hint,
      ),
    );
    return {};
  };
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(section[1]);
    const value: unknown = JSON.parse(text);
    const problem = moduleConfigProblem(value);
    return problem === undefined ? (value as FunctionConfig) : invalid(problem, text);
  } catch {
    return invalid("it is no JSON", text);
  }
}

function checkFiles(files: Record<string, Uint8Array>): void {
  const paths = Object.keys(files);
  if (paths.length > maxFiles) throw new CompileError(`a module may have ${maxFiles} files at most`);
  const total = paths.reduce((sum, path) => sum + files[path]!.length, 0);
  if (total > maxFileBytes)
    throw new CompileError(`a module's files may have ${maxFileBytes} bytes together at most`);
  for (const path of paths) {
    const problem = pathProblem(path);
    if (problem) throw new CompileError(`the file name ${JSON.stringify(path)} ${problem}`);
    const parent = paths.find((other) => path.startsWith(`${other}/`));
    if (parent !== undefined) throw new CompileError(`${JSON.stringify(parent)} is both a file and a folder`);
  }
}
