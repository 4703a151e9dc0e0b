import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runNode, Server } from "./child.ts";
import type { LoadResult } from "./http-load.ts";
import { median } from "./measure.ts";
import type { Row, Table } from "./table.ts";
import { ThimbleServer } from "./thimble-server.ts";

const rounds = 5;
const durationMs = 3_000;
const connections = 32;
const input = JSON.stringify({ action: "greet", name: "Ada" });
const output = JSON.stringify({ action: "greet", message: "Hello, Ada!", query: {} });
const example = fileURLToPath(new URL("../examples/simple-function", import.meta.url));

const settings = { FUNCTION_MAX_CONCURRENT: String(connections), THIMBLE_WORKERS: "1" };

/** Requests a second of a whole server, beside a server that does the same without a sandbox. */
export async function run(): Promise<Table> {
  await using bare = await Server.start<{ url: string }>(["http-bare.ts"]);
  await using thimble = await ThimbleServer.start({ hello: example }, settings);
  await using logging = await ThimbleServer.start({ hello: example }, { ...settings, LOG_LEVEL: "debug" });
  const servers = [
    { name: "bare Hono on @hono/node-server", url: bare.ready.url },
    { name: "Thimble", url: thimble.urlOf("hello") },
    { name: "Thimble, LOG_LEVEL=debug: a log line for each request", url: logging.urlOf("hello") },
  ];
  for (const { name, url } of servers) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: input });
    assert.equal(await response.text(), output, name);
    await load(url, 1_000);
  }
  const results = new Map<string, LoadResult[]>(servers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, url } of servers) results.get(name)!.push(await load(url, durationMs));
  }
  const rows: Row[] = servers.map(({ name }) => {
    const all = results.get(name)!;
    const of = (key: keyof LoadResult) => median(all.map((result) => result[key]));
    return { name, perSecond: of("perSecond"), median: of("medianMs"), p99: of("p99Ms") };
  });
  const bareMs = 1e6 / (rows[0]!.perSecond as number);
  for (const row of rows) {
    const perSecond = row.perSecond as number;
    row.ratio = perSecond / (rows[0]!.perSecond as number);
    row.extra = 1e6 / perSecond - bareMs;
  }
  return {
    title: `HTTP: examples/simple-function, one worker process, ${connections} connections`,
    columns: [
      { key: "perSecond", label: "requests/s" },
      { key: "ratio", label: "of bare Hono's", digits: 2 },
      { key: "extra", label: "more µs for each", digits: 0 },
      { key: "median", label: "median ms", digits: 2 },
      { key: "p99", label: "p99 ms", digits: 2 },
    ],
    rows,
    notes: [
      `Medians of ${rounds} turns of ${durationMs / 1e3} s, the servers by turns; client and server share the machine's cores.`,
    ],
  };
}

async function load(url: string, forMs: number): Promise<LoadResult> {
  return JSON.parse(await runNode(["http-load.ts", "POST", input, String(connections), String(forMs), url]));
}
