import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Broker, type BrokerConfig, openBroker, type SessionTarget } from "../gateway/broker/broker.ts";
import { leadingWords } from "../gateway/broker/statement.ts";
import type { QueryParam } from "../runtime/protocol.ts";
import { freePort, PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";

const never = new AbortController().signal;

type Access = SessionTarget["access"];

/** One statement in a session of its own. */
async function run(
  broker: Broker,
  text: string,
  params: QueryParam[] = [],
  access: Access = "write",
  signal = never,
) {
  const session = broker.openSession({ functionName: "test", access });
  try {
    return await session.query({ text, params }, signal);
  } finally {
    session.close();
  }
}

async function value(broker: Broker, text: string, params: QueryParam[] = []) {
  return (await run(broker, text, params)).rows[0]?.[0];
}

const withCode = (code: string) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, code, String(error));
  return true;
};

interface Backend {
  open(overrides?: Partial<BrokerConfig>): Broker;
  broker: Broker;
}

/** What holds on the embedded database and on a server alike. */
function commonSuite(backend: Backend) {
  it("answers with columns, rows, count and command", async () => {
    const answer = await run(backend.broker, "select 1 as a, 'x'::text as a");
    assert.deepEqual(answer.columns, [
      { name: "a", type: 23 },
      { name: "a", type: 25 },
    ]);
    assert.deepEqual(answer.rows, [[1, "x"]]);
    assert.equal(answer.count, 1);
    assert.equal(answer.command, "SELECT");
  });

  const decoded: [sql: string, value: unknown][] = [
    ["null::int", null],
    ["7::int2", 7],
    ["-7::int4", -7],
    ["9007199254740991::int8", 9007199254740991],
    ["9007199254740993::int8", { $bigint: "9007199254740993" }],
    ["1.5::float4", 1.5],
    ["0.1::float8", 0.1],
    ["'NaN'::float8", "NaN"],
    ["true", true],
    ["false", false],
    ["'a\"b\\c'::text", 'a"b\\c'],
    ["12345678901234567890.123::numeric", "12345678901234567890.123"],
    ["'2024-02-29'::date", { $date: "2024-02-29" }],
    ["'infinity'::date", "infinity"],
    ["'2024-02-29 12:34:56.123456+02'::timestamptz", { $date: "2024-02-29T10:34:56.123456Z" }],
    ["'2024-02-29 12:34:56'::timestamp", "2024-02-29 12:34:56"],
    ["'\\x00ff10'::bytea", { $bytes: "AP8Q" }],
    ["''::bytea", { $bytes: "" }],
    ['\'{"a": [1, null], "b": "x"}\'::json', { $json: { a: [1, null], b: "x" } }],
    ["'null'::jsonb", { $json: null }],
    ["array[1, null, 3]", [1, null, 3]],
    [
      "array[[1, 2], [3, 4]]",
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ["array['a', 'NULL', null, 'b,\"{}\\']::text[]", ["a", "NULL", null, 'b,"{}\\']],
    ["'{}'::text[]", []],
    ["'[5:6]={1,2}'::int[]", [1, 2]],
    ["array['\\x01'::bytea]", [{ $bytes: "AQ==" }]],
    ['array[\'{"a":"}"}\'::jsonb]', [{ $json: { a: "}" } }]],
    ["'6c84fb90-12c4-11e1-840d-7b25c5ee775a'::uuid", "6c84fb90-12c4-11e1-840d-7b25c5ee775a"],
    ["interval '1 day 2 hours'", "1 day 02:00:00"],
  ];
  it("decodes every type to the protocol's form", async () => {
    for (const [sql, expected] of decoded) {
      assert.deepEqual(await value(backend.broker, `select ${sql}`), expected, sql);
    }
  });

  const encoded: [sql: string, param: QueryParam, value: unknown][] = [
    ["$1::int", 5, 5],
    ["$1::int", null, null],
    ["$1::int", "5", 5],
    ["$1::text", 5, "5"],
    ["$1::bool", true, true],
    ["$1::int8", { $bigint: "9007199254740993" }, { $bigint: "9007199254740993" }],
    ["$1::bytea", { $bytes: "AP8Q" }, { $bytes: "AP8Q" }],
    ["$1::timestamptz", { $date: "2024-02-29T10:34:56.123Z" }, { $date: "2024-02-29T10:34:56.123Z" }],
    ["$1::int[]", [1, null, 3], [1, null, 3]],
    ["$1::text[]", ['a"\\,{}', "NULL", ""], ['a"\\,{}', "NULL", ""]],
    ["$1::jsonb", [1, "a", null, [true]], { $json: [1, "a", null, [true]] }],
    ["$1::jsonb", '{"a":1}', { $json: { a: 1 } }],
    ["$1::jsonb", true, { $json: true }],
    ["$1::bytea[]", [{ $bytes: "AP8Q" }], [{ $bytes: "AP8Q" }]],
  ];
  it("encodes every kind of parameter", async () => {
    for (const [sql, param, expected] of encoded) {
      assert.deepEqual(await value(backend.broker, `select ${sql}`, [param]), expected, sql);
    }
  });

  it("reports the rows that a statement affected", async () => {
    await run(backend.broker, "create table if not exists affected (n int)");
    const insert = await run(backend.broker, "insert into affected select generate_series(1, 3)");
    assert.deepEqual([insert.command, insert.count, insert.rows], ["INSERT", 3, []]);
    assert.equal((await run(backend.broker, "delete from affected where n > 1")).count, 2);
  });

  it("passes on the server's SQLSTATE and message, and goes on working", async () => {
    await assert.rejects(run(backend.broker, "selekt 1"), {
      name: "PostgresError",
      code: "42601",
      message: 'syntax error at or near "selekt"',
    });
    await assert.rejects(run(backend.broker, "select $1::int", ["x"]), withCode("22P02"));
    await assert.rejects(run(backend.broker, "select $1::int, $2::int", [1]), withCode("08P01"));
    assert.equal(await value(backend.broker, "select 1"), 1);
  });

  it("refuses several statements in one text, with and without parameters", async () => {
    await assert.rejects(run(backend.broker, "select 1; select 2"), withCode("42601"));
    await assert.rejects(run(backend.broker, "select $1::int; select 2", [1]), withCode("42601"));
  });

  it("refuses COPY, transaction control, and malformed requests before a connection is taken", async () => {
    for (const text of [
      "copy (select 1) to stdout",
      " ;/* a /* b */ */ -- c\n CoPy x from stdin",
      "begin",
      "COMMIT",
    ])
      await assert.rejects(run(backend.broker, text), withCode("db_unsupported"), text);
    const bad: unknown[] = [{ text: "" }, { text: "select 1\0" }, { text: "x".repeat(100_001) }, { text: 1 }];
    for (const request of bad)
      await assert.rejects(
        run(backend.broker, (request as { text: string }).text),
        withCode("db_invalid_request"),
      );
    for (const param of [{}, { $bigint: "1; drop" }, undefined, Number.NaN] as QueryParam[])
      await assert.rejects(run(backend.broker, "select $1", [param]), withCode("db_invalid_request"));
    await assert.rejects(
      run(backend.broker, "select 1", new Array(1001).fill(1)),
      withCode("db_invalid_request"),
    );
    await assert.rejects(run(backend.broker, "select 1", [], false), withCode("db_denied"));
  });

  it("lets a reader read and not write", async () => {
    const broker = backend.broker;
    await run(broker, "create table if not exists guarded (n int)");
    await run(
      broker,
      `create or replace function sneak() returns void language plpgsql as $$
       begin perform set_config('transaction_read_only', 'off', true); insert into guarded values (1); end $$`,
    );
    assert.deepEqual((await run(broker, "select 1", [], "read")).rows, [[1]]);
    const attempts: [text: string, code: string][] = [
      ["insert into guarded values (1)", "25006"],
      ["select sneak()", "25001"],
      ["set transaction read write", "25001"],
      ["do $$ begin commit; insert into guarded values (1); end $$", "2D000"],
      [
        "with x as (select set_config('transaction_read_only', 'off', true)) insert into guarded select 1 from x",
        "25006",
      ],
    ];
    for (const [text, code] of attempts)
      await assert.rejects(run(broker, text, [], "read"), withCode(code), text);
    assert.equal(await value(broker, "select count(*) from guarded"), 0);
  });

  it("leaves nothing of one caller's session to the next", async () => {
    const broker = backend.open({ maxConnections: 1 });
    try {
      await run(broker, "set search_path = nowhere");
      await run(broker, "create temp table private (n int)");
      await run(broker, "prepare secret as select 42");
      await run(broker, "select pg_advisory_lock(7)");
      await run(broker, "set statement_timeout = 0");
      assert.notEqual(await value(broker, "show search_path"), "nowhere");
      await assert.rejects(run(broker, "select * from private"), withCode("42P01"));
      await assert.rejects(run(broker, "execute secret"), withCode("26000"));
      assert.equal(await value(broker, "select count(*) from pg_locks where locktype = 'advisory'"), 0);
      assert.equal(await value(broker, "select count(*) from pg_listening_channels()"), 0);
      assert.equal((await broker.stats()).totalConnections, 1);
    } finally {
      if (broker !== backend.broker) await broker.close();
    }
  });

  it("stops a result of too many bytes or rows", async () => {
    await assert.rejects(
      run(backend.broker, "select repeat('x', 1000) from generate_series(1, 9000)"),
      withCode("db_result_too_large"),
    );
    await assert.rejects(
      run(backend.broker, "select repeat('x', 50000000)"),
      withCode("db_result_too_large"),
    );
    await assert.rejects(
      run(backend.broker, "select generate_series(1, 10001)"),
      withCode("db_too_many_rows"),
    );
    assert.equal((await run(backend.broker, "select generate_series(1, 10000)")).rows.length, 10_000);
  });

  it("rejects an aborted caller at once, waiting or running", async () => {
    await assert.rejects(
      run(backend.broker, "select 1", [], "read", AbortSignal.abort()),
      withCode("db_aborted"),
    );
    const startMs = performance.now();
    await assert.rejects(
      run(backend.broker, "select pg_sleep(1)", [], "read", AbortSignal.timeout(50)),
      withCode("db_aborted"),
    );
    assert.ok(performance.now() - startMs < 500);
    assert.equal(await value(backend.broker, "select 1"), 1);
  });
}

describe("broker on the embedded database", () => {
  let dataDir: string;
  const backend = {} as Backend;
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "thimble-broker-"));
    backend.broker = openBroker({ databaseUrl: null, dataDir, timeoutMs: 2000 });
    // One session for one directory: the suite's own brokers are this one.
    backend.open = () => backend.broker;
    // The first query makes the database, which may take longer than getting a connection may.
    await until(async () => (await value(backend.broker, "select 1").catch(() => 0)) === 1);
  });
  after(async () => {
    await backend.broker.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("is started before the first query when that is wanted", async () => {
    const other = await mkdtemp(join(tmpdir(), "thimble-warm-"));
    const broker = openBroker({ databaseUrl: null, dataDir: other });
    broker.warm();
    await until(async () => existsSync(join(other, "functions-db", "PG_VERSION")));
    await until(async () => (await value(broker, "select 1").catch(() => 0)) === 1);
    await broker.close();
    await rm(other, { recursive: true, force: true });
  });

  commonSuite(backend);

  it("has one connection, whatever was asked for, and serves it in order", async () => {
    assert.equal((await backend.broker.stats()).maxConnections, 1);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        await run(backend.broker, "select 1");
        order.push(i);
      }),
    );
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });

  it("answers a time-out on time although the session is busy, and kills what never ends", {
    timeout: 60_000,
  }, async () => {
    await run(backend.broker, "create table if not exists kept as select 5 as n");
    const startMs = performance.now();
    await assert.rejects(run(backend.broker, "select pg_sleep(3600)"), {
      code: "db_query_timeout",
      message: "query timed out after 2000 ms",
    });
    assert.ok(performance.now() - startMs < 2500);
    // it is opened again, which may take longer than getting a connection may
    await until(async () => (await value(backend.broker, "select n from kept").catch(() => 0)) === 5);
  });

  it("is made anew when a statement breaks it", { timeout: 30_000 }, async () => {
    const breaking = "do $$ begin execute 'copy (select 1) to program ''ls'''; end $$";
    await assert.rejects(run(backend.broker, breaking), { name: "DatabaseError" });
    await until(async () => (await value(backend.broker, "select n from kept").catch(() => 0)) === 5);
  });
});

describe("broker on a Postgres server", () => {
  let dataDir: string;
  let server: PostgresServer;
  let url: string;
  const backend = {} as Backend;
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "thimble-broker-"));
    server = await PostgresServer.start(["-c", "timezone=Asia/Kolkata", "-c", "datestyle=German"]);
    url = await server.database("functions");
    backend.open = (overrides) =>
      openBroker({
        databaseUrl: url,
        dataDir,
        timeoutMs: 2000,
        ...overrides,
      });
    backend.broker = backend.open();
  });
  after(async () => {
    await backend.broker.close();
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  commonSuite(backend);

  const ours = "select count(*) from pg_stat_activity where application_name = 'thimble-functions'";

  it("holds its bound under 50 concurrent queries", async () => {
    const broker = backend.open({ maxConnections: 3 });
    const others = Number(await value(backend.broker, ours));
    let most = 0;
    const seen = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const count = await value(broker, `select n from (${ours}) as t(n), pg_sleep(0.01)`);
        most = Math.max(most, (await broker.stats()).totalConnections);
        return Number(count);
      }),
    );
    assert.ok(Math.max(...seen) <= 3 + others + 1, String(Math.max(...seen)));
    assert.equal(most, 3);
    assert.equal((await broker.stats()).maxConnections, 3);
    await broker.close();
    assert.equal((await broker.stats()).totalConnections, 0);
    await assert.rejects(run(broker, "select 1"), withCode("db_closed"));
  });

  it("gives up waiting for a connection after the time-out, in order of arrival", async () => {
    const broker = backend.open({ maxConnections: 1, timeoutMs: 300 });
    await run(broker, "select 1");
    const long = [1, 2, 3].map(() => run(broker, "select pg_sleep(0.25)"));
    const results = await Promise.allSettled(long);
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "fulfilled", "rejected"],
    );
    assert.equal((results[2] as PromiseRejectedResult).reason.code, "db_connection_timeout");
    await broker.close();
  });

  it("ends a query at its deadline and replaces the connection, on the server, too", async () => {
    const broker = backend.open({ maxConnections: 1, timeoutMs: 300 });
    const before = await value(broker, "select pg_backend_pid()");
    const startMs = performance.now();
    await assert.rejects(run(broker, "select pg_sleep(10)"), {
      code: "db_query_timeout",
      message: "query timed out after 300 ms",
    });
    assert.ok(performance.now() - startMs < 500);
    assert.notEqual(await value(broker, "select pg_backend_pid()"), before);
    assert.equal(
      await value(backend.broker, "select count(*) from pg_stat_activity where pid = $1", [before as number]),
      0,
    );
    await broker.close();
  });

  it("keeps an aborted query's place until the server has ended it", async () => {
    const broker = backend.open({ maxConnections: 1, timeoutMs: 3000 });
    const pid = await value(broker, "select pg_backend_pid()");
    await assert.rejects(
      run(broker, "select pg_sleep(60)", [], "write", AbortSignal.timeout(50)),
      withCode("db_aborted"),
    );
    assert.equal((await broker.stats()).inUseConnections, 1);
    const startMs = performance.now();
    assert.notEqual(await value(broker, "select pg_backend_pid()"), pid);
    assert.ok(performance.now() - startMs < 2000);
    assert.equal(
      await value(broker, "select count(*) from pg_stat_activity where pid = $1", [pid as number]),
      0,
    );
    await broker.close();
  });

  it("survives a statement that catches its own cancellation", async () => {
    const broker = backend.open({ maxConnections: 1, timeoutMs: 500 });
    const stubborn = `do $$ begin
      begin perform pg_sleep(30); exception when query_canceled then null; end;
      perform pg_sleep(30); end $$`;
    await assert.rejects(run(broker, stubborn), withCode("db_query_timeout"));
    await new Promise((resolve) => setTimeout(resolve, 1200));
    assert.equal(await value(broker, "select 1"), 1);
    assert.equal(await value(broker, "select count(*) from pg_stat_activity where query like 'do $$%'"), 0);
    await broker.close();
  });

  it("closes idle connections", async () => {
    const broker = backend.open({ idleTimeoutMs: 50 });
    await run(broker, "select 1");
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal((await broker.stats()).totalConnections, 0);
    assert.equal(await value(broker, "select 1"), 1);
    await broker.close();
  });

  it("says that the database is not available, and nothing about where it is", async () => {
    const wrong = [
      url.replace(/:\d+\//, `:${await freePort()}/`),
      url.replace(/:[^:@]+@/, ":wrong@"),
      url.replace(/\w+$/, "missing"),
      `${url}?sslmode=require`,
    ];
    for (const databaseUrl of wrong) {
      const broker = backend.open({ databaseUrl });
      await assert.rejects(run(broker, "select 1"), {
        code: "db_unavailable",
        message: "the database is not available",
      });
      assert.equal((await broker.stats()).totalConnections, 0);
      await broker.close();
    }
    assert.throws(() => backend.open({ databaseUrl: "mysql://a:b@c/d" }), TypeError);
    assert.throws(() => backend.open({ maxConnections: 0 }), RangeError);
  });

  it("comes back after the server was killed", { timeout: 60_000 }, async () => {
    const broker = backend.open();
    await Promise.all([run(broker, "select pg_sleep(0.1)"), run(broker, "select pg_sleep(0.1)")]);
    const underWay = run(broker, "select pg_sleep(1.5)");
    underWay.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    await run(
      broker,
      "select pg_terminate_backend(pid) from pg_stat_activity where query like '%sleep(1.5)%' and pid <> pg_backend_pid()",
    );
    await assert.rejects(underWay, withCode("db_unavailable"));
    await server.crash({ restart: false });
    await assert.rejects(run(broker, "select 1"), withCode("db_unavailable"));
    await server.restart();
    assert.equal(await value(broker, "select 1"), 1);
    await broker.close();
  });
});

describe("the first words of a statement", () => {
  it("are found behind comments, empty statements and parentheses", () => {
    const words = (text: string) => leadingWords(text, 2).join(" ");
    assert.equal(words("  select 1"), "select 1");
    assert.equal(words("; ;-- x\r\n/* /* copy */ */COPY t"), "copy t");
    assert.equal(words("((SELECT 1))"), "select 1");
    assert.equal(words("prepare/**/ -- x\n TRANSACTION 'x'"), "prepare transaction");
    assert.equal(words("/* open"), "");
    assert.equal(words('"x" y'), '"');
  });
});
