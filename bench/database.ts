import assert from "node:assert/strict";
import postgres from "postgres";
import { cpuMicrosOf, databaseParts, quantile } from "./database-parts.ts";
import type { Table } from "./table.ts";

const rounds = 60;
const queriesEach = 100;
const concurrency = 50;
const loadQueries = 60_000;

interface Figures {
  median: number;
  tenth: number;
}

/** What a query costs on its way from a sandbox through the broker, and the broker for it. */
export async function run(): Promise<Table> {
  const parts = await databaseParts(5);
  const { functions, broker, client, databaseUrl } = parts;
  const direct = postgres(databaseUrl, { max: 1 });
  const repeat = (count: number) =>
    functions.body(
      `let sum = 0; for (let i = 0; i < ${count}; i++) sum += (await sql\`select 1 as one\`)[0].one; return sum`,
    );
  const [one, many] = await Promise.all([repeat(1), repeat(queriesEach + 1)]);
  assert.equal(await functions.json(many), queriesEach + 1);
  assert.deepEqual([...(await direct`select 1 as one`)], [{ one: 1 }]);

  // one after the other in turns, so that what else the machine does hits all alike
  const times: Record<"sandbox" | "client" | "driver", number[]> = { sandbox: [], client: [], driver: [] };
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return (performance.now() - began) * 1000;
  };
  const never = new AbortController().signal;
  for (let round = 0; round < rounds; round++) {
    const alone = await timed(() => functions.run(one));
    const all = await timed(() => functions.run(many));
    times.sandbox.push((all - alone) / queriesEach);
    const session = client.openSession({ functionName: "bench", access: "write" });
    for (let i = 0; i < queriesEach; i++)
      times.client.push(await timed(() => session.query({ text: "select 1 as one", params: [] }, never)));
    session.close();
    for (let i = 0; i < queriesEach; i++) times.driver.push(await timed(async () => direct`select 1 as one`));
  }

  const twenty = await repeat(20);
  const load = async (count: number) => {
    let left = count / 20;
    const worker = async () => {
      while (left-- > 0)
        assert.equal((await functions.run(twenty, { timeoutMs: 60_000 })).outcome.kind, "completed");
    };
    const began = performance.now();
    await Promise.all(Array.from({ length: concurrency }, worker));
    return count / ((performance.now() - began) / 1000);
  };
  await load(loadQueries / 10);
  const before = cpuMicrosOf(broker.pid!);
  const perSecond = await load(loadQueries);
  const used = before === null ? null : cpuMicrosOf(broker.pid!)! - before;
  await direct.end();
  await parts.close();

  const [sandbox, between, driver] = [times.sandbox, times.client, times.driver].map((values) => ({
    median: quantile(values, 0.5),
    tenth: quantile(values, 0.1),
  })) as [Figures, Figures, Figures];
  const beyond = (figures: Figures) => figures.median - driver.median;
  return {
    title: "Database: select 1, one after the other, µs",
    columns: [
      { key: "median", label: "median", digits: 1 },
      { key: "tenth", label: "p10", digits: 1 },
      { key: "added", label: "added", digits: 1 },
    ],
    rows: [
      { name: "postgres.js, no sandbox and no broker", ...driver },
      { name: "through the broker, no sandbox", ...between, added: beyond(between) },
      { name: "from a sandbox, through the broker", ...sandbox, added: beyond(sandbox) },
      {
        name: `CPU of the broker for one query, ${concurrency} invocations at once`,
        median: used === null ? null : used / loadQueries,
      },
      { name: "queries per second then", median: perSecond },
    ],
    notes: [
      "Through the broker each statement has a connection that is reset behind it; postgres.js has one connection, keeps its state and prepares the statement once.",
      "p10: a tenth of the times is shorter, which shows less of what else the machine does.",
      `The sandbox's figure is that of ${queriesEach} queries of one invocation, without the invocation itself.`,
    ],
  };
}
