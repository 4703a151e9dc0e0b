import { Compiler } from "../compiler/compiler.ts";
import { loadEngine } from "../compiler/engine/load-engine.ts";
import {
  HostError,
  type HostServices,
  type InvocationLimits,
  type InvocationRequest,
  type InvocationResult,
  type Program,
  Runtime,
  type ScriptProgram,
} from "../runtime/index.ts";

export const engine = await loadEngine();
export const compiler = new Compiler(engine);
export const runtime = new Runtime(engine);

export const limits: InvocationLimits = {
  timeoutMs: 5_000,
  cpuMs: null,
  memoryLimitBytes: 128 * 1024 * 1024,
  fuel: null,
  responseLimitBytes: 10 * 1024 * 1024,
};

const refuse = async (): Promise<never> => {
  throw new HostError("unavailable", "there is nothing outside of a benchmark");
};
const services: HostServices = {
  fetch: refuse,
  openDatabase: () => ({ query: refuse, release() {}, close() {} }),
};
const context = { requestId: "r1", functionName: "bench", version: 1 };

/** What a compiler takes in, of a function given as the text of its only file. */
export function sourcesOf(source: string) {
  return { entry: "index.js", files: { "index.js": source } };
}

export async function artifactOf(source: string): Promise<Uint8Array<ArrayBuffer>> {
  return (await compiler.build({ sources: sourcesOf(source), requireAnnotation: false })).artifact;
}

export async function programOf(source: string): Promise<ScriptProgram> {
  return (await runtime.load(await artifactOf(source))) as ScriptProgram;
}

/** A request with a JSON body, or a GET without one, as an HTTP client would send it. */
export function requestWith(body: Uint8Array): InvocationRequest {
  return {
    method: body.length > 0 ? "POST" : "GET",
    url: "http://127.0.0.1:8787/f/bench",
    headers: [
      ["host", "127.0.0.1:8787"],
      ["content-type", "application/json"],
      ["accept", "*/*"],
    ],
    body,
  };
}

/** One request in a pristine sandbox. */
export function invoke(
  program: Program,
  request: InvocationRequest,
  timeoutMs = limits.timeoutMs,
): Promise<InvocationResult> {
  return runtime.run(program, request, { limits: { ...limits, timeoutMs }, env: {}, context, services });
}

/** The response's body; throws when there was no response. */
export function bodyOf({ outcome }: InvocationResult): Uint8Array {
  if (outcome.kind !== "completed") throw new Error(`no response: ${JSON.stringify(outcome)}`);
  const { body } = outcome.response;
  if (!(body instanceof Uint8Array)) throw new Error("the response is a stream");
  return body;
}
