export { Builder, type BuilderOptions } from "./compiler/builder/builder.ts";
export { AnalysisError, CompileError } from "./compiler/errors.ts";
export type {
  Analysis,
  BuildResult,
  Finding,
  FunctionConfig,
  ModuleInput,
  SourceFiles,
} from "./compiler/index.ts";
export { type CompileInput, type CompileOptions, compile } from "./embed/compile.ts";
export { createRuntime, type EmbeddedRuntime, type EmbeddedRuntimeOptions } from "./embed/create-runtime.ts";
export {
  type CallOptions,
  FunctionFailure,
  type FunctionLimits,
  LoadedFunction,
} from "./embed/loaded-function.ts";
export type {
  InvocationMetrics,
  InvocationRequest,
  InvocationResult,
  Outcome,
} from "./runtime/invocation.ts";
export type { LogLine } from "./runtime/protocol.ts";
export { type DatabaseSession, HostError, type HostServices } from "./runtime/services.ts";
