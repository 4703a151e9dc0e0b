export type { Cancellation } from "./cancellation.ts";
export type { ComponentProgram } from "./component/component-program.ts";
export { Engine } from "./engine.ts";
export { RuntimeError, type RuntimeErrorCode } from "./errors.ts";
export type { RunOptions } from "./execution.ts";
export { createEgress, type Egress, type EgressOptions, type EgressPolicy } from "./host/egress/egress.ts";
export type {
  InvocationLimits,
  InvocationMetrics,
  InvocationRequest,
  InvocationResponse,
  InvocationResult,
  Outcome,
} from "./invocation.ts";
export type { Reuse } from "./pool.ts";
export type { Program, ScriptProgram } from "./program.ts";
export { Runtime, type RuntimeOptions } from "./runtime.ts";
export { type DatabaseSession, HostError, type HostServices } from "./services.ts";
export type { ModuleProgram } from "./wasi/module-program.ts";
