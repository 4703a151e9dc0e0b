import { Compiler } from "../../compiler/compiler.ts";
import { loadEngine } from "../../compiler/engine/load-engine.ts";
import {
  type DatabaseSession,
  HostError,
  type HostServices,
  type InvocationLimits,
  type InvocationRequest,
  type InvocationResult,
  type Program,
  Runtime,
  type RuntimeOptions,
  type ScriptProgram,
} from "../../runtime/index.ts";
import type { Reuse } from "../../runtime/pool.ts";

export const engine = await loadEngine();
export const compiler = new Compiler(engine);

/** A database that answers like this. */
export function databaseOf(query: DatabaseSession["query"]): HostServices["openDatabase"] {
  return () => ({ query, release() {}, close() {} });
}

/** Services of a host that offers nothing. */
export const noServices: HostServices = {
  fetch: async () => {
    throw new HostError("unavailable", "no network in this test");
  },
  openDatabase: databaseOf(async () => {
    throw new HostError("unavailable", "no database in this test");
  }),
};

export const limits: InvocationLimits = {
  timeoutMs: 5_000,
  cpuMs: null,
  memoryLimitBytes: 128 * 1024 * 1024,
  fuel: null,
  responseLimitBytes: 10 * 1024 * 1024,
};

/** Artefact of a function given as the text of its `index.ts`. */
export async function artifactOf(source: string): Promise<Uint8Array<ArrayBuffer>> {
  const sources = { entry: "index.ts", files: { "index.ts": source } };
  return (await compiler.build({ sources, requireAnnotation: false })).artifact;
}

export interface Bench {
  runtime: Runtime;
  program(source: string): Promise<ScriptProgram>;
  run(program: Program, options?: RunOptions): Promise<InvocationResult>;
}

export interface RunOptions extends Partial<InvocationLimits> {
  request?: Partial<InvocationRequest>;
  env?: Record<string, string>;
  services?: Partial<HostServices>;
  signal?: AbortSignal;
  reuse?: Reuse;
}

/** A runtime of its own, with short ways to make and run functions. */
export function sandboxes(options?: RuntimeOptions): Bench {
  const runtime = new Runtime(engine, options);
  return {
    runtime,
    program: async (source) => (await runtime.load(await artifactOf(source))) as ScriptProgram,
    run: async (program, { request, env = {}, services, signal, reuse, ...own } = {}) => {
      const result = await runtime.run(
        program,
        { method: "GET", url: "http://localhost/", headers: [], body: new Uint8Array(0), ...request },
        {
          limits: { ...limits, ...own },
          env,
          context: { requestId: "r1", functionName: "test", version: 1 },
          services: { ...noServices, ...services },
          ...(signal ? { signal } : {}),
          ...(reuse ? { reuse } : {}),
        },
      );
      return collected(result);
    },
  };
}

/** The result with a streamed body read to its end. */
export async function collected(result: InvocationResult): Promise<InvocationResult> {
  const { outcome } = result;
  if (outcome.kind !== "completed" || outcome.response.body instanceof Uint8Array) return result;
  const body = new Uint8Array(await new Response(outcome.response.body as BodyInit).arrayBuffer());
  return { ...result, outcome: { kind: "completed", response: { ...outcome.response, body } } };
}

/** The body of a response that is whole. */
export function bytesOf({ outcome }: InvocationResult): Uint8Array {
  if (outcome.kind !== "completed") throw new Error(`no response: ${JSON.stringify(outcome)}`);
  if (!(outcome.response.body instanceof Uint8Array)) throw new Error("the response is a stream");
  return outcome.response.body;
}

/** The response's body as text; throws with the outcome when there was no response. */
export const text = (result: InvocationResult): string => Buffer.from(bytesOf(result)).toString();

export const json = (result: InvocationResult) => JSON.parse(text(result));
