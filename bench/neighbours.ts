import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "./measure.ts";
import type { Row, Table } from "./table.ts";
import { ThimbleServer } from "./thimble-server.ts";

const spinning = 10;
const requests = 1_000;
const sources = {
  hello: `/** @function */\nexport default { fetch() { return Response.json({ hello: "world" }); } };`,
  spin: `/** @function */\nexport default () => { for (;;) {} };`,
};

/** What a function's callers notice of another function whose requests compute as long as they may. */
export async function run(): Promise<Table> {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(path.join(tmpdir(), "thimble-neighbours-"));
  undo.defer(() => rm(root, { recursive: true, force: true }));
  const files: Record<string, string> = {};
  for (const [name, source] of Object.entries(sources)) {
    files[name] = path.join(root, `${name}.js`);
    await writeFile(files[name], source);
  }
  const server = undo.use(await ThimbleServer.start(files, { THIMBLE_WORKERS: "1", LOG_LEVEL: "warn" }));
  const hello = server.urlOf("hello");
  await latencies(hello);
  const alone = await latencies(hello);
  let stopped = false;
  const spin = async () => {
    while (!stopped) await (await fetch(server.urlOf("spin"))).arrayBuffer();
  };
  const spinners = Array.from({ length: spinning }, spin);
  await sleep(500);
  const beside = await latencies(hello);
  stopped = true;
  await Promise.all(spinners);
  const row = (name: string, sorted: Float64Array): Row => ({
    name,
    median: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    most: sorted.at(-1)!,
  });
  return {
    title: `Noisy neighbours: hello, one request at a time, one worker process`,
    columns: [
      { key: "median", label: "median ms", digits: 2 },
      { key: "p99", label: "p99 ms", digits: 2 },
      { key: "most", label: "longest ms", digits: 2 },
    ],
    rows: [
      row("alone", alone),
      row(`beside ${spinning} requests of another function that spin for 5 s each`, beside),
    ],
    notes: [`${requests} requests each, with pauses of 2 ms.`],
  };
}

async function latencies(url: string): Promise<Float64Array> {
  const all = new Float64Array(requests);
  for (let i = 0; i < requests; i++) {
    const began = performance.now();
    await (await fetch(url)).arrayBuffer();
    all[i] = performance.now() - began;
    await sleep(2);
  }
  return all.sort();
}
