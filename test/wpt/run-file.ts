import { readFile } from "node:fs/promises";
import path from "node:path";
import { BuildSandbox } from "../../compiler/engine/build-sandbox.ts";
import { setEvaluator } from "../../compiler/engine/evaluator.ts";
import { loadEngine } from "../../compiler/engine/load-engine.ts";
import { differenceTo } from "../../runtime/image.ts";
import { HostError, Runtime, type ScriptProgram } from "../../runtime/index.ts";
import { Instance } from "../../runtime/instance.ts";
import type { FetchRequest, HeaderList } from "../../runtime/protocol.ts";

/** The result of one subtest, or of a whole file that could not be run. */
export interface Subtest {
  name: string;
  passed: boolean;
  message: string;
}

const engine = await loadEngine();
const runtime = new Runtime(engine);

const origin = "http://web-platform.test:8000";
const timeoutMs = 60_000;
/** When subtests that have not ended count as failed, ms. */
const harnessTimeoutMs = 30_000;

/** What the harness expects of a page or a worker: an address that relative URLs start from, and how older tests read a Blob. */
const scope = (file: string) => `
  const name = ${JSON.stringify(path.basename(file))};
  const location = new URL(${JSON.stringify(`${origin}/${file}`)});
  const absolute = (input) => (typeof input === "string" ? new URL(input, location).href : input);
  const realFetch = globalThis.fetch;
  globalThis.fetch = (input, init) => realFetch(absolute(input), init);
  globalThis.Request = new Proxy(Request, {
    construct: (target, [input, ...rest], made) => Reflect.construct(target, [absolute(input), ...rest], made),
  });
  const redirect = Response.redirect;
  Response.redirect = (url, ...rest) => redirect.call(Response, absolute(String(url)), ...rest);
  globalThis.FileReader = class FileReader extends EventTarget {
    #read(result) {
      result.then((value) => {
        this.result = value;
        const event = new Event("load");
        this.onload?.(event);
        this.dispatchEvent(event);
        this.onloadend?.(event);
      });
    }
    readAsText(blob) { this.#read(blob.text()); }
    readAsArrayBuffer(blob) { this.#read(blob.arrayBuffer()); }
  };
  globalThis.GLOBAL = { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false };
`;

const collect = `
  add_completion_callback((tests, status) => {
    const results = tests.map(({ name, status, message }) => ({ name, passed: status === 0, message: message ?? "status " + status }));
    if (status.status === 1) results.push({ name: "harness", passed: false, message: status.message });
    resolve(Response.json(results));
  });
  setTimeout(() => timeout(), ${harnessTimeoutMs});
`;

/** Runs one `.any.js` file of the tests below `root` in a sandbox. */
export async function runFile(root: string, file: string, source: string): Promise<Subtest[]> {
  const failed = (message: string): Subtest[] => [{ name: file, passed: false, message }];
  try {
    const scripts = [...source.matchAll(/^\/\/ META: script=(.*)$/gm)].map(([, script]) =>
      script!.startsWith("/") ? script!.slice(1) : path.posix.join(path.posix.dirname(file), script!),
    );
    const texts = await Promise.all(
      ["resources/testharness.js", ...scripts].map((name) =>
        readFile(path.join(root, name.split("?")[0]!), "utf8"),
      ),
    );
    const [harness, ...helpers] = texts.map((text) => text.replaceAll("{{host}}", "web-platform.test"));
    // one sloppy function for all, as scripts of one page share their declarations
    const code = `globalThis[Symbol.for("thimble.register")]({ default: () => new Promise((resolve) => {
      (function () { ${scope(file)} ${harness}
      ${collect}
      ${helpers.join("\n;")}
      ${source}
      })();
    })});`;
    const program = await build(code);
    const result = await runtime.run(
      program,
      { method: "GET", url: `${origin}/${file}`, headers: [], body: new Uint8Array(0) },
      {
        limits: {
          timeoutMs,
          cpuMs: null,
          memoryLimitBytes: 1024 * 1024 * 1024,
          fuel: null,
          responseLimitBytes: 64 * 1024 * 1024,
        },
        env: {},
        context: { requestId: "wpt", functionName: "wpt", version: 1 },
        services: {
          fetch: (request, body) => answer(root, request, body as Uint8Array),
          openDatabase: () => ({ query: refuse, release() {}, close() {} }),
        },
      },
    );
    const { outcome } = result;
    if (outcome.kind !== "completed") return failed(JSON.stringify(outcome).slice(0, 500));
    return JSON.parse(Buffer.from(outcome.response.body as Uint8Array).toString());
  } catch (error) {
    return failed(String(error));
  }
}

const refuse = async (): Promise<never> => {
  throw new HostError("unavailable", "there is no database here");
};

/** The files of the tests, and what `inspect-headers.py` and `echo-content.py` of their server do. */
async function answer(root: string, { url, headers }: FetchRequest, body: Uint8Array) {
  const head = { status: 200, statusText: "OK", headers: [] as HeaderList, url, redirected: false };
  const asked = new URL(url);
  if (asked.pathname.endsWith("/echo-content.py")) return { head, body };
  if (!asked.pathname.endsWith("/inspect-headers.py")) return { head, body: await fileAt(root, url) };
  for (const name of asked.searchParams.get("headers")?.split("|") ?? []) {
    const value = headers.find(([sent]) => sent.toLowerCase() === name.toLowerCase())?.[1];
    if (value !== undefined) head.headers.push([`x-request-${name}`, value]);
  }
  return { head, body: new Uint8Array(0) };
}

async function fileAt(root: string, url: string): Promise<Uint8Array> {
  try {
    return await readFile(path.join(root, new URL(url).pathname));
  } catch (cause) {
    throw new HostError("not_found", `there is no ${url}`, { name: "TypeError", cause });
  }
}

/** A program from a script, which no builder would take: the harness is no module. */
async function build(code: string): Promise<ScriptProgram> {
  const start = (): BuildSandbox => {
    const instance = new Instance(engine);
    instance.restore(engine.plain);
    return new BuildSandbox(instance);
  };
  const compilation = start();
  setEvaluator(compilation.instance, engine.evaluator, true);
  const sandbox = start();
  await sandbox.run(compilation.compile(code, "wpt.js", { module: false, strip: false }));
  await sandbox.complete();
  return {
    kind: "script",
    manifest: {} as ScriptProgram["manifest"],
    image: differenceTo(engine.base, sandbox.capture()),
    sourceMap: "",
  };
}
