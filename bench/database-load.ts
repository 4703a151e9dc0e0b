import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import type { DatabaseFunctions } from "../test/support/database-functions.ts";
import { cpuMicrosOf, databaseParts } from "./database-parts.ts";
import type { Table } from "./table.ts";

const concurrency = 200;
const maxConnections = 5;
/** Each way of each query is driven for so long, in windows by turns. */
const secondsEach = Number(process.env.BENCH_SECONDS ?? 60);
const windows = 6;

const people = 10_000;
const queries = {
  "row by its key": "select id, name from people where id = $1",
  "query of 5 ms": "select id, name from people, pg_sleep(0.005) where id = $1",
};

type Drive = () => Promise<string>;

/** 200 invocations at once over five connections, beside the same connections without sandboxes. */
export async function run(): Promise<Table> {
  const parts = await databaseParts(maxConnections);
  const { functions, server, databaseUrl, broker } = parts;
  const direct = postgres(databaseUrl, { max: maxConnections });
  await direct`create table people (id int primary key, name text)`;
  await direct`insert into people select n, 'name ' || n from generate_series(1, ${people}) as n`;
  const samples = sample(server.admin);
  const rows: Table["rows"] = [];
  for (const [name, text] of Object.entries(queries)) {
    const drives = { sandbox: await sandboxDrive(functions, text), driver: driverDrive(direct, text) };
    const totals = { sandbox: newTotal(), driver: newTotal() };
    const before = cpuMicrosOf(broker.pid!);
    for (let i = 0; i < windows; i++)
      for (const way of ["sandbox", "driver"] as const)
        await drive(drives[way], (secondsEach * 1000) / windows, totals[way]);
    const { sandbox, driver } = totals;
    const cpu = before === null ? null : (cpuMicrosOf(broker.pid!)! - before) / sandbox.done;
    const sandboxRate = sandbox.done / secondsEach;
    const driverRate = driver.done / secondsEach;
    rows.push({
      ...{ name, sandbox: sandboxRate, driver: driverRate, share: (100 * sandboxRate) / driverRate, cpu },
      errors: JSON.stringify(sandbox.errors),
    });
  }
  const most = await samples();
  await direct.end();
  await parts.close();
  return {
    title: `Database load: ${concurrency} invocations at once over ${maxConnections} connections, ${secondsEach} s each`,
    columns: [
      { key: "sandbox", label: "from sandboxes/s" },
      { key: "driver", label: "postgres.js/s" },
      { key: "share", label: "%", digits: 1 },
      { key: "cpu", label: "broker's CPU µs", digits: 1 },
      { key: "errors", label: "errors" },
    ],
    rows,
    notes: [
      `The broker's connections at the server, looked at every 10 ms: ${most} at most.`,
      "Server, broker, sandboxes and postgres.js share this machine's cores: what sandboxes compute, the server lacks.",
    ],
  };
}

async function sandboxDrive(functions: DatabaseFunctions, text: string): Promise<Drive> {
  const query = `sql.unsafe(${JSON.stringify(text)}, [1 + Math.floor(Math.random() * ${people})])`;
  const program = await functions.body(`return (await ${query}).length`);
  return async () => {
    const { outcome } = await functions.run(program, { timeoutMs: 5000 });
    if (outcome.kind === "completed") return "ok";
    return outcome.kind === "threw" ? (outcome.error.code ?? outcome.error.name) : outcome.kind;
  };
}

function driverDrive(sql: postgres.Sql, text: string): Drive {
  return async () => {
    const rows = await sql.unsafe(text, [1 + Math.floor(Math.random() * people)], { prepare: true });
    assert.equal(rows.length, 1);
    return "ok";
  };
}

const newTotal = () => ({ done: 0, errors: {} as Record<string, number> });

async function drive(one: Drive, forMs: number, total: ReturnType<typeof newTotal>): Promise<void> {
  const end = performance.now() + forMs;
  const worker = async () => {
    while (performance.now() < end) {
      const result = await one();
      if (result === "ok") total.done++;
      else total.errors[result] = (total.errors[result] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

function sample(admin: postgres.Sql): () => Promise<number> {
  let most = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      const [found] =
        await admin`select count(*)::int as n from pg_stat_activity where application_name = 'thimble-functions'`;
      most = Math.max(most, found!.n);
      await sleep(10);
    }
  })();
  return async () => {
    stopped = true;
    await done;
    return most;
  };
}
