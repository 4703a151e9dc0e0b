import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { runNode, Server } from "./child.ts";
import { type EdgeHandler, handlers } from "./edge-handlers.ts";
import type { LoadResult } from "./http-load.ts";
import { median } from "./measure.ts";
import type { Row, Table } from "./table.ts";
import { ThimbleServer } from "./thimble-server.ts";
import { Workerd } from "./workerd.ts";

const rounds = 5;
const durationMs = 2_000;
const connections = 32;
const nodeModules = fileURLToPath(new URL("../node_modules", import.meta.url));

/** Someone who answers a handler's requests. */
interface Contender {
  name: string;
  urls: string[];
}

/** Requests a second of whole servers, side by side: the same handler, equal numbers of processes that run it. */
export async function run(): Promise<Table> {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(path.join(tmpdir(), "thimble-edge-"));
  undo.defer(() => rm(root, { recursive: true, force: true }));
  await symlink(nodeModules, path.join(root, "node_modules"));
  const functions = await writeFunctions(root);
  const counts = availableParallelism() > 1 ? [1, 2] : [1];
  const rows: Row[] = [];
  for (const workers of counts) {
    await using thimble = await ThimbleServer.start(functions, {
      THIMBLE_WORKERS: String(workers),
      FUNCTION_MAX_CONCURRENT: String(connections),
      LOG_LEVEL: "warn",
    });
    for (const [i, handler] of handlers.entries()) {
      await using servers = new AsyncDisposableStack();
      rows.push(
        ...(await compare(handler, workers, await contend(handler, i, workers, thimble, root, servers))),
      );
    }
  }
  return {
    title: `The edge: requests/s, ${connections} connections, equal numbers of worker processes`,
    columns: [
      { key: "perSecond", label: "requests/s" },
      { key: "ratio", label: "of workerd's", digits: 2 },
      { key: "median", label: "median ms", digits: 2 },
      { key: "p99", label: "p99 ms", digits: 2 },
    ],
    rows,
    notes: [
      `Medians of ${rounds} turns of ${durationMs / 1e3} s, the servers by turns; client and servers share the machine's cores. Answers are compared first.`,
      "Thimble records each execution in its database meanwhile; the others record nothing.",
    ],
  };
}

/** Each handler as a function, with isolation by request and by instance: their folders by name. */
async function writeFunctions(root: string): Promise<Record<string, string>> {
  const functions: Record<string, string> = {};
  for (const [i, { module, warmup }] of handlers.entries()) {
    for (const isolation of ["request", "instance"]) {
      const name = `f${i}-${isolation}`;
      const config = { isolation, ...(warmup === null ? {} : { warmup }) };
      functions[name] = path.join(root, name);
      await mkdir(functions[name]);
      const source = module.replace("export default", "/** @function */\nexport default");
      await writeFile(
        path.join(functions[name], "index.js"),
        `export const config = ${JSON.stringify(config)};\n${source}\n`,
      );
    }
  }
  return functions;
}

async function contend(
  handler: EdgeHandler,
  index: number,
  workers: number,
  thimble: ThimbleServer,
  root: string,
  servers: AsyncDisposableStack,
): Promise<Contender[]> {
  const several = async (start: () => Promise<{ url: string }>) =>
    (await Promise.all(Array.from({ length: workers }, start))).map(({ url }) => url);
  const module = await bundled(root, handler.module);
  const contenders: Contender[] = [
    {
      name: "workerd, one isolate for all",
      urls: await several(async () => servers.use(await Workerd.start(module))),
    },
    { name: "Thimble, a pristine sandbox for each", urls: [thimble.urlOf(`f${index}-request`)] },
    { name: "Thimble, isolation: instance", urls: [thimble.urlOf(`f${index}-instance`)] },
  ];
  const { script } = handler;
  if (script === null) return contenders;
  const peers = {
    "quickjs-emscripten, a context for each": "quickjs",
    "isolated-vm, a context for each": "isolated-vm",
    "Node, no sandbox": "none",
  };
  for (const [name, kind] of Object.entries(peers)) {
    const start = async () => {
      const server = servers.use(await Server.start<{ url: string }>(["edge-peer.ts", kind, script]));
      return server.ready;
    };
    try {
      contenders.push({ name, urls: await several(start) });
    } catch (error) {
      console.error(`left out: ${name}: ${(error as Error).message}`);
    }
  }
  return contenders;
}

async function bundled(root: string, module: string): Promise<string> {
  const input = path.join(root, "worker.js");
  await writeFile(input, module);
  const build = await rolldown({ input, platform: "browser", logLevel: "silent" });
  const { output } = await build.generate({ format: "esm" });
  await build.close();
  return output[0].code;
}

async function compare(handler: EdgeHandler, workers: number, contenders: Contender[]): Promise<Row[]> {
  const { method, body, output } = handler;
  for (const { name, urls } of contenders) {
    for (const url of urls) {
      const response = await fetch(url, { method, ...(method === "POST" ? { body } : {}) });
      assert.equal(await response.text(), output, name);
    }
    await load(handler, urls, 1_000);
  }
  const results = contenders.map((): LoadResult[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { urls }] of contenders.entries()) results[i]!.push(await load(handler, urls, durationMs));
  }
  const of = (i: number, key: keyof LoadResult) => median(results[i]!.map((result) => result[key]));
  return contenders.map(({ name }, i) => ({
    name: `${handler.name}, ${workers} worker${workers > 1 ? "s" : ""}: ${name}`,
    perSecond: of(i, "perSecond"),
    ratio: of(i, "perSecond") / of(0, "perSecond"),
    median: of(i, "medianMs"),
    p99: of(i, "p99Ms"),
  }));
}

async function load({ method, body }: EdgeHandler, urls: string[], forMs: number): Promise<LoadResult> {
  return JSON.parse(
    await runNode(["http-load.ts", method, body, String(connections), String(forMs), ...urls]),
  );
}
