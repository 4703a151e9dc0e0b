import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { runNode } from "./child.ts";
import type { ColdResult } from "./cold-edge.ts";
import type { Row, Table } from "./table.ts";
import { artifactOf } from "./thimble.ts";

const distinct = 1_000;
const counts = [1_000, 10_000];

/** Functions that are deployed and requested for the first time in a worker's process: how long it takes, and what they keep. */
export async function run(): Promise<Table> {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), "thimble-cold-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < distinct; i++) {
    const source = `const words = ${JSON.stringify(Array.from({ length: 50 }, (_, j) => `word ${i} ${j}`))};
export default { fetch() { return Response.json({ function: ${i}, words: words.length }); } };`;
    await writeFile(path.join(folder, `${i}.wasm`), await artifactOf(source));
  }
  const rows: Row[] = [];
  for (const count of counts) {
    const args = ["--expose-gc", "cold-edge.ts", folder, String(distinct), String(count)];
    const result: ColdResult = JSON.parse(await runNode(args));
    rows.push({ name: `${count.toLocaleString("en-US")} functions`, ...result });
  }
  return {
    title: "Cold: each function's first request, over HTTP, one after the other",
    columns: [
      { key: "startMs", label: "start ms" },
      { key: "medianMs", label: "median ms", digits: 2 },
      { key: "p99Ms", label: "p99 ms", digits: 2 },
      { key: "warmMs", label: "later: median ms", digits: 2 },
      { key: "deployedKB", label: "kB each, deployed" },
      { key: "calledKB", label: "kB each, called" },
      { key: "rssMB", label: "process MB" },
    ],
    rows,
    notes: [
      "A worker's edge in a process of its own. Artefacts come from files; a server's come from its supervisor.",
      `Start: with that many functions known and no program loaded. ${distinct.toLocaleString("en-US")} different functions, under several names when there are more.`,
      "Memory: heap, array buffers and WebAssembly memory, after a collection; the process's resident memory is what the system counts.",
    ],
  };
}
