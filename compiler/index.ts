export { ArtifactError, decodeArtifact } from "./artifact.ts";
export { bundle } from "./bundle.ts";
export { formatFindings } from "./code-frame.ts";
export { type BuildInput, type BuildResult, Compiler, type ScriptInput } from "./compiler.ts";
export { loadEngine } from "./engine/load-engine.ts";
export { AnalysisError, CompileError } from "./errors.ts";
export { readSources } from "./sources.ts";
export type { Analysis, Bundle, Finding, FunctionConfig, ModuleSummary, SourceFiles } from "./types.ts";
export type { ModuleInput } from "./wasm-module/build-module.ts";
