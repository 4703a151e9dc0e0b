import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { bundle } from "../../compiler/bundle.ts";
import { stripTypes } from "../../compiler/strip-types.ts";
import { readTypeScriptSettings } from "../../compiler/tsconfig.ts";
import type { HostServices } from "../../runtime/index.ts";
import { compiler, sandboxes } from "./sandbox.ts";

// what the bundler writes in its place
process.env.NODE_ENV = "production";

export interface Sent {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** What is compared of an answer. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type Answering = (sent: Sent) => Promise<Answer>;

const { runtime, run } = sandboxes();

/** The function as `thimble deploy` makes it, each request in a sandbox. */
export async function inSandbox(file: string, services?: Partial<HostServices>): Promise<Answering> {
  const [root, entry] = [path.dirname(file), path.basename(file)];
  const made = await bundle(root, entry, { withFiles: false });
  const sources = { entry, files: { [entry]: await readFile(file, "utf8") } };
  const { artifact } = await compiler.build({ sources, bundle: made.bundle, requireAnnotation: true });
  const program = await runtime.load(artifact);
  return async ({ path: target = "/", method = "GET", headers = {}, body = "" }) => {
    const list = Object.entries({ host: "localhost", ...headers });
    if (body !== "") list.push(["content-length", `${Buffer.byteLength(body)}`]);
    const request = {
      method,
      url: `http://localhost${target}`,
      headers: list as [string, string][],
      body: Buffer.from(body),
    };
    const { outcome } = await run(program, { request, ...(services ? { services } : {}) });
    if (outcome.kind !== "completed") throw new Error(`no answer: ${JSON.stringify(outcome)}`);
    const { response } = outcome;
    const got = new Response(null, { headers: response.headers });
    return answer(response.status, got.headers, Buffer.from(response.body as Uint8Array).toString());
  };
}

/** The same module in Node: its default function or `fetch`, or the server that it lets listen. */
export async function inNode(file: string): Promise<Answering & AsyncDisposable> {
  const servers: http.Server[] = [];
  const { listen } = http.Server.prototype;
  http.Server.prototype.listen = function (this: http.Server) {
    servers.push(this);
    return Reflect.apply(listen, this, [0, "127.0.0.1"]);
  } as typeof listen;
  let module: { default?: unknown };
  try {
    module = await importModule(file);
    const main = module.default as { listen?(port: number): unknown; fetch?: unknown } | undefined;
    if (servers.length === 0 && typeof main?.listen === "function" && typeof main.fetch !== "function")
      main.listen(0);
    // a server that listens after something else did
    if (main === undefined) while (servers.length === 0) await new Promise((next) => setImmediate(next));
  } finally {
    http.Server.prototype.listen = listen;
  }
  const answering = servers[0] ? overHttp(servers[0]) : inProcess(module.default);
  return Object.assign(answering, {
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  });
}

/** JSX is for the compiler to write out; the rest Node reads itself. */
async function importModule(file: string): Promise<{ default?: unknown }> {
  if (!file.endsWith(".tsx")) return import(pathToFileURL(file).href);
  const settings = await readTypeScriptSettings(path.dirname(file));
  const { code } = stripTypes(file, await readFile(file, "utf8"), settings);
  const rooted = code.replace(
    /(from\s+)"((?:@[^/"]+\/)?[^"./][^"]*)"/g,
    (_, from, name) => `${from}"${import.meta.resolve(name)}"`,
  );
  return import(`data:text/javascript;base64,${Buffer.from(rooted).toString("base64")}`);
}

function overHttp(server: http.Server): Answering {
  return async ({ path: target = "/", method = "GET", headers = {}, body = "" }) => {
    if (!server.listening) await new Promise((listening) => server.once("listening", listening));
    const { port } = server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      const given = body === "" ? headers : { ...headers, "content-length": `${Buffer.byteLength(body)}` };
      const request = http.request(
        { host: "127.0.0.1", port, path: target, method, headers: { host: "localhost", ...given } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => {
            const got = new Headers();
            for (const [name, values] of Object.entries(response.headersDistinct))
              for (const value of values ?? []) got.append(name, value);
            resolve(answer(response.statusCode!, got, Buffer.concat(chunks).toString()));
          });
        },
      );
      request.on("error", reject);
      request.end(body);
    });
  };
}

/** Packages that run on old versions of Node bring a Response of their own. */
const isResponse = (value: unknown): value is Response =>
  typeof (value as Response | null)?.text === "function" && (value as Response).headers !== undefined;

type Handler = (request: Request, ...rest: unknown[]) => unknown;

function inProcess(main: unknown): Answering {
  const handle = (
    typeof main === "function" ? main : (main as { fetch: Handler }).fetch.bind(main)
  ) as Handler;
  return async ({ path: target = "/", method = "GET", headers = {}, body }) => {
    const request = new Request(`http://localhost${target}`, {
      method,
      headers: { host: "localhost", ...headers },
      body: body ?? null,
    });
    const context = { waitUntil: () => {}, passThroughOnException: () => {} };
    const value = await handle(request, typeof main === "function" ? context : {}, context);
    const response = isResponse(value)
      ? value
      : typeof value === "string"
        ? new Response(value, { headers: { "content-type": "text/plain;charset=UTF-8" } })
        : Response.json(value);
    return answer(response.status, response.headers, await response.text());
  };
}

/** Headers that are the server's business, not the function's. */
const ofServer = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);

function answer(status: number, headers: Headers, body: string): Answer {
  const kept = [...headers]
    .map(([name, value]) => [name.toLowerCase(), value])
    .filter(([name]) => !ofServer.has(name!));
  return { status, headers: Object.fromEntries(kept), body };
}
