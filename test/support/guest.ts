import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { EvalFlags, type JSValueHandle, QuickJS } from "quickjs-wasi";
import { type InputOptions, rolldown } from "rolldown";
import { bundleParts } from "../../compiler/engine/prelude.ts";
import { readResponseHead } from "../../runtime/guest-message.ts";
import type {
  FetchResponse,
  GuestError,
  LogLine,
  QueryResponse,
  RequestHead,
} from "../../runtime/protocol.ts";
import { Event, encodeHead, Op, Refused, RequestFlag, type ResponseHead } from "../../runtime/protocol.ts";
import { encodeResult, type QueryCall, readQueryCall } from "../../runtime/query-message.ts";

async function load(name: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(fileURLToPath(import.meta.resolve(`quickjs-wasi/${name}`))));
}
const engine = load("quickjs.wasm");
const names = ["url", "encoding", "headers"];
const extensions = Promise.all(names.map(async (name) => ({ name, wasm: await load(`${name}.so`) })));

/** One script from a module graph. */
async function bundle(options: InputOptions, format: "iife" | "esm"): Promise<string> {
  const build = await rolldown({ platform: "neutral", logLevel: "silent", ...options });
  const { output } = await build.generate({
    format,
    minify: { compress: true, mangle: false, codegen: true },
  });
  await build.close();
  return output[0].code;
}
const parts = bundleParts();
const library = bundle(
  { input: fileURLToPath(new URL("../../runtime/guest/main.ts", import.meta.url)) },
  "iife",
);

/** One of the functions in examples/. */
export function bundleExample(name: string): Promise<string> {
  const input = fileURLToPath(new URL(`../../examples/${name}/index.ts`, import.meta.url));
  return bundle({ input, external: ["thimble:db"] }, "esm");
}

/** A function with its npm dependencies. */
export function bundleSource(source: string): Promise<string> {
  const entry = fileURLToPath(new URL("function.ts", import.meta.url));
  const plugin = {
    name: "source",
    resolveId: (id: string) => (id === entry ? id : undefined),
    load: (id: string) => (id === entry ? source : undefined),
  };
  return bundle({ input: entry, plugins: [plugin] }, "esm");
}

const modules: Record<string, string> = {
  "thimble:db":
    'const m = globalThis[Symbol.for("thimble.modules")]["thimble:db"]; export const sql = m.sql; export default sql;',
  postgres: 'export default globalThis[Symbol.for("thimble.modules")].postgres;',
};

const startingOps = new Set<Op>([
  Op.timer,
  Op.fetch,
  Op.query,
  Op.read,
  Op.write,
  Op.turn,
  Op.transcode,
  Op.flush,
  Op.crypto,
]);

export interface HostCall {
  op: Op;
  text: string;
  bytes: Uint8Array;
  /** The operation number that the guest got. */
  id: number;
}
export interface Answer {
  head: ResponseHead;
  body: string;
  bytes: Uint8Array;
}
export interface TestRequest {
  method?: string;
  path?: string;
  headers?: RequestHead["headers"];
  env?: Record<string, string>;
  body?: string | Uint8Array;
}

/** The guest library in a plain engine; the test plays the host. */
export class Guest {
  readonly calls: HostCall[] = [];
  readonly logs: LogLine[] = [];
  readonly vm: QuickJS;
  answer: Answer | undefined;
  failure: GuestError | undefined;
  done = false;
  building = true;
  #dispatch: JSValueHandle;
  #nextId = 1;
  /** Operations that complete once the microtask queue is empty. */
  #soon: number[] = [];

  private constructor(vm: QuickJS, code: string, scripts: string[]) {
    this.vm = vm;
    const install = vm.evalCode(
      '(host, random, load, latin1) => { for (const [name, value] of Object.entries({ host, random, load, latin1 })) globalThis[Symbol.for("thimble." + name)] = value; }',
    );
    const host = vm.newFunction("host", (...args) => vm.newNumber(this.#host(args)));
    const random = vm.newFunction("random", () => vm.newNumber(0.5));
    // the index of a part stands for its length
    const load = vm.newFunction("load", (index) => vm.evalCode(scripts[index!.toNumber()]!));
    const latin1 = vm.newFunction("latin1", (text) =>
      /[^\0-\xff]/.test(text!.toString()) ? vm.false : vm.true,
    );
    vm.callFunction(install, vm.undefined, host, random, load, latin1);
    vm.evalCode(code, "thimble:guest");
    this.#dispatch = vm.evalCode(
      '{ const key = Symbol.for("thimble.dispatcher"), dispatch = globalThis[key]; delete globalThis[key]; dispatch }',
    );
  }

  /** With a function, given as the source of its module. */
  static async of(source: string): Promise<Guest> {
    const load = (name: string) => (name === "function.js" ? source : modules[name]!);
    const normalize = (_base: string, name: string) => name;
    const wasm = await engine;
    const vm = await QuickJS.create({
      wasm,
      extensions: await extensions,
      moduleLoader: { load, normalize },
    });
    const guest = new Guest(vm, await library, await parts);
    const code = 'import * as ns from "function.js"; globalThis[Symbol.for("thimble.register")](ns);';
    const evaluated = vm.evalCode(code, "entry.js", EvalFlags.TYPE_MODULE);
    vm.executePendingJobs();
    const result = await vm.resolvePromise(evaluated);
    if ("error" in result) throw new Error(result.error.toString());
    guest.dispatch(Event.built, 0, "", new Uint8Array());
    if (guest.failure) throw new Error(`${guest.failure.name}: ${guest.failure.message}`);
    guest.building = false;
    return guest;
  }

  #host([opHandle, textHandle, bytesHandle]: JSValueHandle[]): number {
    const op = opHandle!.toNumber() as Op;
    const text = textHandle && !textHandle.isUndefined ? textHandle.toString() : "";
    const bytes =
      !bytesHandle || bytesHandle.isUndefined
        ? new Uint8Array()
        : bytesHandle.isString
          ? Buffer.from(bytesHandle.toString())
          : bytesHandle.toUint8Array().slice();
    if (op === Op.load) return Number(text);
    const starts = startingOps.has(op);
    if (this.building && (starts || op === Op.random)) return Refused.building;
    const id = starts ? this.#nextId++ : 0;
    this.calls.push({ op, text, bytes, id });
    if (op === Op.respond) {
      this.answer = {
        head: readResponseHead(Buffer.from(text)),
        body: new TextDecoder().decode(bytes),
        bytes,
      };
    } else if (op === Op.fail) this.failure = JSON.parse(text);
    else if (op === Op.log) this.logs.push(JSON.parse(text));
    else if (op === Op.done) this.done = true;
    else if (op === Op.turn) this.#soon.push(id);
    else if (op === Op.write && text === "0" && this.answer) {
      const all = Buffer.concat([this.answer.bytes, bytes]);
      this.answer = { ...this.answer, bytes: all, body: all.toString() };
      this.#soon.push(id);
    } else if (op === Op.random) {
      for (let i = 0; i < bytes.length && i < 64; i++)
        this.vm.setProp(bytesHandle!, String(i), this.vm.newNumber(i));
    }
    return id;
  }

  dispatch(event: Event, id: number, text: string, bytes: Uint8Array): void {
    const { vm } = this;
    vm.callFunction(
      this.#dispatch,
      vm.undefined,
      vm.newNumber(event),
      vm.newNumber(id),
      vm.newString(text),
      bytes.length > 0 ? vm.newUint8Array(bytes) : vm.null,
    );
    vm.executePendingJobs();
    const next = this.#soon.shift();
    if (next !== undefined) this.dispatch(Event.complete, next, "", new Uint8Array());
  }

  request({ method, path = "/", headers = [], env = {}, body = "" }: TestRequest = {}): this {
    const shown = method ?? (body.length > 0 ? "POST" : "GET");
    const head = encodeHead({
      method: shown,
      url: `http://localhost:8787${path}`,
      headers,
      context: { requestId: "req-1", functionName: "hello", version: 3 },
      now: 0,
    });
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    this.dispatch(Event.variables, 0, JSON.stringify(env), new Uint8Array());
    this.dispatch(Event.request, shown === "HEAD" ? RequestFlag.head : 0, head, bytes);
    return this;
  }

  /** The last call of an operation that is still to be answered. */
  last(op: Op): HostCall {
    const call = this.calls.findLast((known) => known.op === op);
    if (!call) throw new Error(`The guest made no call of operation ${op}`);
    return call;
  }
  complete(call: HostCall, head: FetchResponse | QueryResponse | "" = "", body = ""): this {
    const text =
      head === "" ? "" : "rows" in head ? encodeResult(head, queryOf(call).rows) : JSON.stringify(head);
    this.dispatch(Event.complete, call.id, text, new TextEncoder().encode(body));
    return this;
  }
  reject(call: HostCall, error: GuestError): this {
    this.dispatch(Event.reject, call.id, JSON.stringify(error), new Uint8Array());
    return this;
  }
  abort(): this {
    this.dispatch(Event.abort, 0, "", new Uint8Array());
    return this;
  }

  /** The response's body as JSON; fails the test with what happened instead when there is none. */
  json(): unknown {
    if (!this.answer) throw new Error(`No response; failure: ${JSON.stringify(this.failure)}`);
    return JSON.parse(this.answer.body);
  }
}

/** The JSON that a function answers to one request. */
export async function run(source: string, request?: TestRequest): Promise<unknown> {
  return (await Guest.of(source)).request(request).json();
}

/** What a call of `Op.query` asks for. */
export const queryOf = ({ text }: HostCall): QueryCall => readQueryCall(Buffer.from(text));
