import type { BuildInput, BuildResult } from "../compiler/compiler.ts";
import type { FunctionConfig } from "../compiler/types.ts";
import type { RunOptions } from "../runtime/execution.ts";
import type { InvocationRequest, InvocationResult } from "../runtime/invocation.ts";
import type { HostServices } from "../runtime/services.ts";
import type { Broker } from "./broker/broker.ts";
import type { PoolStats } from "./broker/pool.ts";

export type { BuildInput, PoolStats, RunOptions };

/**
 * What the gateway needs from its neighbours, as interfaces: the gateway decides who may run what and when, and knows
 * nothing of engines, bundlers or pools. `cli/wiring.ts` is where the real ones are put in.
 */

/** An artefact made ready to run; opaque to the gateway, but for a `sourceMap` (JSON text), where it has one. */
// biome-ignore lint/suspicious/noExplicitAny: opaque here, and the runtime's own class where it is made
export type Program = any;

export interface RuntimeStats {
  /** Sandboxes that exist. */
  instances: number;
  busy: number;
  idle: number;
}

/** Runs functions. */
export interface Runtime {
  /** Artefact bytes → something that can be run. Throws an error with a `code` for a bad artefact. Cheap to keep. */
  load(artifact: Uint8Array): Promise<Program>;
  /** Never rejects for what a guest does; rejects with code `overloaded` when there is no sandbox to be had. */
  run(program: Program, request: InvocationRequest, options: RunOptions): Promise<InvocationResult>;
  stats(): RuntimeStats;
  close(): Promise<void>;
}

/** Turns sources into an artefact. Throws an error with code `analysis_failed` (and `analysis`) or `compile_failed`. */
export interface Compiler {
  /** `lane`: for whom. Where builds wait, those of different lanes take turns. */
  build(input: BuildInput, lane: string): Promise<Pick<BuildResult, "artifact" | "analysis">>;
  /** The same function for the present engine, from the bundle that is in the artefact. */
  rebuild(artifact: Uint8Array): Promise<Uint8Array>;
  /** Gets ready for the first build. */
  warm?(): Promise<void>;
  close?(): Promise<void>;
}

/** Who a set of host services acts for. */
export interface ServicesTarget {
  functionName: string;
  version: number;
  config: FunctionConfig;
}

/** Hands out host services; each live version gets its own, since egress and database rules are the function's. */
export interface ServicesProvider {
  forFunction(target: ServicesTarget): HostServices;
  close(): Promise<void>;
}

/** What a process needs to run functions. */
export interface EdgeParts {
  runtime: Runtime;
  services: ServicesProvider;
}

/** The functions' database. */
export type FunctionDatabase = Broker;

/** Where artefacts come from. */
export interface ArtifactSource {
  /** Undefined when there is no such version. */
  artifact(functionId: string, version: number): Promise<Uint8Array | undefined>;
  /** The same function for the present engine, from the bundle that is in its artefact. */
  rebuilt(functionId: string, version: number): Promise<Uint8Array | undefined>;
}
