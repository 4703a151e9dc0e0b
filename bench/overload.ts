import { runNode } from "./child.ts";
import { EnduranceServer } from "./endurance-server.ts";
import { median } from "./measure.ts";
import type { OpenLoadResult } from "./open-load.ts";
import type { Row, Table } from "./table.ts";

const peakRounds = 3;
const peakMs = 5_000;
const overloadMs = 30_000;
const factor = 3;
/** Enough that it is the server, and not a lack of connections, that bounds what comes. */
const connections = 3_000;

const functions = {
  "hello: a few lines": `export default () => ({ hello: "world" });`,
  "a loop of about 2 ms": `export default () => { let n = 0; for (let i = 0; i < 30_000; i++) n += i % 7; return { n }; }`,
};

/** What is left of the throughput when three times as much comes as can be answered. */
export async function run(): Promise<Table> {
  const rows: Row[] = [];
  const notes: string[] = [];
  for (const [name, source] of Object.entries(functions)) {
    await using server = await EnduranceServer.start({ THIMBLE_WORKERS: "1" });
    await server.deploy("f", source);
    const url = server.urlOf("f");
    const peaks: number[] = [];
    for (let round = 0; round < peakRounds; round++) peaks.push((await load(url, 8, peakMs, 0)).perSecond);
    const peak = median(peaks);
    const beforeMb = await server.memoryMb();
    const watched = watchMemory(server);
    const { answers, perSecond, p99Ms, hung, unsent } = await load(
      url,
      connections,
      overloadMs,
      factor * peak,
    );
    const mostMb = await watched();
    const sum = Object.values(answers).reduce((a, b) => a + b, 0);
    notes.push(`${name}: ${JSON.stringify(answers)}, ${unsent} found no free connection.`);
    rows.push({
      ...{ name, peak, perSecond, kept: perSecond / peak, p99Ms },
      refused: ((answers["429"] ?? 0) + (answers["503"] ?? 0)) / sum,
      other: sum - (answers["200"] ?? 0) - (answers["429"] ?? 0) - (answers["503"] ?? 0),
      ...{ hung, beforeMb, mostMb, afterMb: await server.memoryMb() },
    });
  }
  return {
    title: `overload: ${factor} times the peak for ${overloadMs / 1e3} s, one worker, ${connections.toLocaleString("en")} connections`,
    columns: [
      { key: "peak", label: "peak/s" },
      { key: "perSecond", label: "answered/s" },
      { key: "kept", label: "of the peak", digits: 2 },
      { key: "refused", label: "refused of all", digits: 2 },
      { key: "other", label: "other answers" },
      { key: "hung", label: "hung" },
      { key: "p99Ms", label: "p99 ms of answers", digits: 0 },
      { key: "beforeMb", label: "worker MB before", digits: 0 },
      { key: "mostMb", label: "most", digits: 0 },
      { key: "afterMb", label: "after", digits: 0 },
    ],
    rows,
    notes: [
      ...notes,
      `The peak: the median of ${peakRounds} turns with 8 connections, each of which sends when it has its answer. Client and server share the cores.`,
    ],
  };
}

async function load(url: string, clients: number, forMs: number, rate: number): Promise<OpenLoadResult> {
  return JSON.parse(await runNode(["open-load.ts", url, String(clients), String(forMs), String(rate)]));
}

/** The most that the workers took until it is asked. */
function watchMemory(server: EnduranceServer): () => Promise<number> {
  let most = 0;
  let going = true;
  const watching = (async () => {
    while (going) {
      most = Math.max(most, await server.memoryMb());
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  })();
  return async () => {
    going = false;
    await watching;
    return most;
  };
}
