import { connect } from "node:net";
import { EnduranceServer } from "./endurance-server.ts";
import type { Row, Table } from "./table.ts";

const durationMs = Number(process.env.SOAK_SECONDS ?? 600) * 1e3;
const clients = 24;
const deployEveryMs = 5_000;
const tenths = 10;

const functions: Record<string, { source: string; config?: Record<string, unknown>; share: number }> = {
  hello: { source: `export default () => ({ hello: "world" });`, share: 50 },
  waits: {
    source: `export default async () => { await new Promise((resolve) => setTimeout(resolve, 5)); return "waited"; }`,
    share: 20,
  },
  throws: { source: `export default () => { throw new Error("as told"); }`, share: 10 },
  spins: { source: `export default () => { for (;;) {} }`, config: { timeoutMs: 20 }, share: 2 },
  allocates: {
    source: `export default () => { const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1)); }`,
    config: { memoryMb: 16 },
    share: 2,
  },
  recurses: { source: `export default () => { const f = () => f() + 1; return f(); }`, share: 2 },
  streams: {
    source: `export default async (request: Request) => new Response(request.body);`,
    share: 6,
  },
  left: {
    source: `export default async () => { await new Promise((resolve) => setTimeout(resolve, 1000)); return "late"; }`,
    config: { concurrency: 100 },
    share: 8,
  },
};

const wanted: Record<string, number[]> = {
  hello: [200],
  waits: [200, 429],
  throws: [500],
  spins: [504, 429],
  allocates: [500, 429],
  recurses: [500],
  streams: [200],
};

/** Mixed requests for ten minutes: what stays behind. `SOAK_SECONDS` is another time. */
export async function run(): Promise<Table> {
  await using server = await EnduranceServer.start({ THIMBLE_WORKERS: "2", FUNCTION_MAX_CONCURRENT: "30" });
  for (const [name, { source, config }] of Object.entries(functions))
    await server.deploy(name, source, config);
  const names = Object.entries(functions).flatMap(([name, { share }]) => Array<string>(share).fill(name));
  let count = 0;
  const unexpected: Record<string, number> = {};
  let deployments = 0;
  const end = Date.now() + durationMs;
  const client = async (first: number) => {
    for (let i = first; Date.now() < end; i += 7) {
      const name = names[(i * 37) % names.length]!;
      count++;
      if (name === "left") await leave(server.urlOf(name));
      else {
        const answer = await ask(server.urlOf(name), name);
        if (answer !== undefined) unexpected[answer] = (unexpected[answer] ?? 0) + 1;
      }
    }
  };
  const deploying = (async () => {
    while (Date.now() < end) {
      await server.deploy("hello", `export default () => ({ hello: "world", n: ${deployments % 50} });`);
      deployments++;
      await sleep(deployEveryMs);
    }
  })();
  const samples: { at: number; memoryMb: number; descriptors: number; count: number; instances: number }[] =
    [];
  const began = Date.now();
  const sampling = (async () => {
    while (Date.now() < end) {
      await sleep(1_000);
      samples.push({
        at: Date.now() - began,
        memoryMb: await server.memoryMb(),
        descriptors: await server.descriptors(),
        count,
        instances: (await server.stats()).sandboxes.instances,
      });
    }
  })();
  await Promise.all([...Array.from({ length: clients }, (_, i) => client(i * 1009)), deploying, sampling]);
  await sleep(8_000);
  const { activeExecutions, sandboxes } = await server.stats();
  const rows: Row[] = [];
  for (let tenth = 0; tenth < tenths; tenth++) {
    const within = samples.filter(
      ({ at }) => Math.min(tenths - 1, Math.floor((at / durationMs) * tenths)) === tenth,
    );
    const mean = (key: keyof (typeof samples)[0]) =>
      within.reduce((sum, sample) => sum + sample[key], 0) / within.length;
    rows.push({
      name: `${tenth + 1}`,
      requests: within.at(-1)?.count ?? 0,
      memoryMb: mean("memoryMb"),
      descriptors: mean("descriptors"),
      instances: mean("instances"),
    });
  }
  const ratio = (rows.at(-1)!.memoryMb as number) / (rows[1]!.memoryMb as number);
  return {
    title: `soak: ${count.toLocaleString("en")} mixed requests in ${durationMs / 1e3} s, two workers, ${deployments} deployments meanwhile`,
    columns: [
      { key: "requests", label: "requests so far" },
      { key: "memoryMb", label: "workers' MB, mean", digits: 1 },
      { key: "descriptors", label: "descriptors, mean", digits: 1 },
      { key: "instances", label: "sandboxes, mean", digits: 1 },
    ],
    rows,
    notes: [
      `Memory in the last tenth: ${ratio.toFixed(3)} times that in the second.`,
      `Unexpected answers: ${JSON.stringify(unexpected)}. At the end: ${activeExecutions} executions, ${sandboxes.busy} busy sandboxes, ${await server.descriptors()} descriptors.`,
    ],
  };
}

/** The answer, when it is not one that this function is to give. */
async function ask(url: string, name: string): Promise<string | undefined> {
  try {
    const streams = name === "streams";
    const body = "x".repeat(100_000);
    const response = await fetch(url, streams ? { method: "POST", body } : {});
    const text = await response.text();
    const good = wanted[name]!.includes(response.status) && (!streams || text === body);
    return good ? undefined : `${name} ${response.status} ${text.slice(0, 60)}`;
  } catch (error) {
    return `${name} ${(error as Error).cause ?? error}`;
  }
}

/** A client that goes away before it has its answer. */
function leave(url: string): Promise<void> {
  const { hostname, port, host, pathname } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on("error", () => {});
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    setTimeout(() => socket.destroy(), 10);
    socket.on("close", () => resolve());
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
