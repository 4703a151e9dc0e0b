import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { type Broker, openBroker } from "../gateway/broker/broker.ts";
import { grantAccess, initDatabase, listGrants, revokeAccess } from "../gateway/broker/set-up.ts";
import { firstValue, TestSession } from "./support/broker-session.ts";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";

/**
 * A function that can send any statement and any frame, against another function's data and availability. Everything here goes past
 * the sandbox, the guest library and the host's checks of messages: what is left is the broker and the roles.
 */
describe("a hostile function on a database that was set up", () => {
  let server: PostgresServer;
  let dataDir: string;
  let adminUrl: string;
  let broker: Broker;
  const maxConnections = 4;
  const timeoutMs = 1500;

  before(async () => {
    server = await PostgresServer.start();
    dataDir = await mkdtemp(join(tmpdir(), "thimble-hostile-"));
    adminUrl = await server.database("tenants");
    const setUp = { adminUrl, dataDir };
    await initDatabase(setUp);
    const { default: postgres } = await import("postgres");
    const admin = postgres(adminUrl, { max: 1, onnotice() {} });
    await admin`create table secrets (id int primary key, text text)`;
    await admin`insert into secrets values (1, 'hidden')`;
    await admin`create table playground (id serial, text text)`;
    await admin.end();
    const limits = { maxConnections, timeoutMs };
    await grantAccess({ ...setUp, ...limits, functionName: "victim", access: "write", tables: ["secrets"] });
    const hostile = { ...setUp, ...limits, functionName: "hostile", access: "write" as const };
    await grantAccess({ ...hostile, tables: ["playground"], create: true });
    await grantAccess({
      ...setUp,
      ...limits,
      functionName: "reader",
      access: "read",
      tables: ["playground"],
    });
    broker = openBroker({ databaseUrl: adminUrl, dataDir, maxConnections, timeoutMs });
  });
  after(async () => {
    await broker.close();
    for (const functionName of ["victim", "hostile", "reader"])
      await revokeAccess({ adminUrl, dataDir, functionName });
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  afterEach(async () => {
    using victim = new TestSession(broker, "victim");
    assert.deepEqual(await victim.rows("select * from secrets"), [[1, "hidden"]]);
    using hostile = new TestSession(broker, "hostile");
    assert.deepEqual(await hostile.rows("select current_user::text, session_user::text"), [
      ["tenants_fn_hostile", "tenants_fn_hostile"].map((name) => name.replace("tenants", database())),
    ]);
  });
  const database = () => adminUrl.slice(adminUrl.lastIndexOf("/") + 1);
  const victimRole = () => `"${database()}_fn_victim"`;

  /** Each statement by itself, and on a reserved connection; gives the codes that are not among those expected. */
  async function refused(expected: RegExp, statements: string[], functionName = "hostile"): Promise<void> {
    for (const text of statements) {
      using alone = new TestSession(broker, functionName);
      assert.match(await alone.code(text), expected, text);
      using reserved = new TestSession(broker, functionName);
      await reserved.rows("begin", [], 1);
      assert.match(await reserved.code(text, [], 1), expected, `reserved: ${text}`);
    }
  }

  it("gets an error for values that Postgres has no room for, and the connection lives on", async () => {
    using hostile = new TestSession(broker, "hostile");
    const deep = JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`);
    const cases: [string, Parameters<TestSession["rows"]>[1], string][] = [
      ["select $1::int8", [{ $bigint: "9".repeat(20) }], "22003"],
      ["select $1::int8 + 1", [{ $bigint: "9223372036854775807" }], "22003"],
      ["select $1::text", ["a\0b"], "22021"],
      ["select $1::text", ["\ud800"], "ok"],
      ["select $1::timestamptz", [{ $date: "yesterday\0" }], "22021"],
      ["select $1::int4[]", [deep], "db_invalid_request"],
      ["select 1", Array(65_536).fill(1), "db_invalid_request"],
      ["select 'a\0b'", [], "db_invalid_request"],
      ["select $1", [], "08P01"],
    ];
    for (const [text, params, code] of cases) assert.equal(await hostile.code(text, params), code, text);
    assert.deepEqual(await hostile.rows("select 1"), [[1]]);
  });

  it("has a login of its own, and a function without a grant has none", async () => {
    using other = new TestSession(broker, "somebody");
    assert.equal(await other.code("select 1"), "db_denied");
    assert.deepEqual(Object.keys(listGrants({ adminUrl, dataDir }) ?? {}).sort(), [
      "hostile",
      "reader",
      "victim",
    ]);
    assert.equal((await stat(join(dataDir, "database-roles.json"))).mode & 0o777, 0o600);
  });

  it("does not become another role", async () => {
    await refused(/^(42501|22023|42704)$/, [
      "set role postgres",
      `set role ${victimRole()}`,
      "set session authorization postgres",
      `select set_config('role', '${victimRole().slice(1, -1)}', false)`,
      "select set_config('session_authorization', 'postgres', false)",
      `grant ${victimRole()} to current_user`,
      "create role mine superuser",
      "alter role current_user superuser",
      `alter role ${victimRole()} password 'known'`,
      `drop role ${victimRole()}`,
    ]);
    using session = new TestSession(broker, "hostile");
    for (const text of ["reset role", "set role none", "reset session authorization", "reset all"])
      assert.equal(await session.code(text, [], 1), "ok");
    assert.equal(
      (await session.rows("select current_user::text", [], 1))[0]?.[0],
      `${database()}_fn_hostile`,
    );
  });

  it("neither reads nor changes nor blocks another's table", async () => {
    await refused(/^42501$/, [
      "select * from secrets",
      "table secrets",
      "insert into secrets values (2, 'x')",
      "update secrets set text = 'x'",
      "delete from secrets",
      "truncate secrets",
      "drop table secrets",
      "alter table secrets add column x int",
      "select query_to_xml('select * from secrets', true, false, '')",
      "explain analyze select * from secrets",
      "grant select on secrets to public",
      "comment on table secrets is 'x'",
      "select * from pg_statistic",
      "select * from pg_authid",
      "create trigger x after insert on secrets for each row execute function suppress_redundant_updates_trigger()",
      "create rule x as on insert to secrets do nothing",
      "create index on secrets (id)",
    ]);
    using session = new TestSession(broker, "hostile");
    await session.rows("begin", [], 1);
    assert.equal(await session.code("lock table secrets in access share mode", [], 1), "42501");
    assert.deepEqual(await session.rows("select * from pg_stats where tablename = 'secrets'"), []);
    // a view of one's own shows nothing either
    assert.match(await session.code("create view seen as select * from secrets"), /^(42501|ok)$/);
    assert.match(await session.code("select * from seen"), /^(42501|42P01)$/);
  });

  it("does not get around a read-only grant", async () => {
    await refused(
      /^(42501|25006|db_unsupported)$/,
      [
        "insert into playground (text) values ('x')",
        "delete from playground",
        "create table mine (n int)",
        "select nextval('playground_id_seq')",
        "select pg_notify('a', 'b')",
        "do $$ begin insert into playground (text) values ('x'); end $$",
        "with w as (insert into playground (text) values ('x') returning 1) select * from w",
      ],
      "reader",
    );
    using session = new TestSession(broker, "reader");
    const code = async (text: string) => session.code(text, [], 1);
    for (const text of [
      "begin read write",
      "commit and chain",
      "set transaction read write",
      "rollback",
      "begin",
      "commit",
    ])
      await code(text);
    assert.match(await code("insert into playground (text) values ('x')"), /^(42501|25006)$/);
  });

  it("gets one statement for one text, and no COPY", async () => {
    await refused(/^(42601|42501|db_unsupported|db_invalid_request|0A000)$/, [
      "select 1; drop table secrets",
      "select 1; commit; set role postgres",
      "copy secrets to stdout",
      "copy playground from stdin",
      "copy (select 1) to '/tmp/thimble-hostile'",
      "copy (select 1) to program 'id'",
      "; /* */ copy playground from stdin",
      "do $$ begin execute 'copy (select 1) to program ''id'''; end $$",
      "prepare transaction 'kept'",
      "prepare/**/transaction 'kept'",
      "listen x",
      "notify x",
      "unlisten *",
    ]);
  });

  it("reaches no files, programs, servers, extensions or languages", async () => {
    // 25001: not in a transaction, which is found out first
    await refused(/^(42501|42883|0A000|42704|58P01|25001)$/, [
      "select pg_read_file('/etc/passwd')",
      "select pg_read_binary_file('postgresql.conf')",
      "select pg_ls_dir('.')",
      "select pg_stat_file('/etc/passwd')",
      "select lo_import('/etc/passwd')",
      "select lo_export(1, '/tmp/x')",
      "select dblink('host=127.0.0.1', 'select 1')",
      "create extension dblink",
      "create extension file_fdw",
      "create server s foreign data wrapper x",
      "load '/tmp/evil.so'",
      "create function evil() returns int language c as '/tmp/evil.so'",
      "create function evil() returns int language plpgsql as 'begin return 1; end'",
      "create function lower(text) returns text language sql as 'select $1'",
      "do $$ begin loop end loop; end $$",
      "alter system set shared_buffers = '1GB'",
      `alter database "${database()}" set work_mem = '1GB'`,
      "create database mine",
      "create tablespace t location '/tmp'",
      "checkpoint",
      "select pg_reload_conf()",
      "select pg_switch_wal()",
    ]);
  });

  it("makes nothing that others would use or stumble over", async () => {
    await refused(/^(42501|42883)$/, [
      "create table public.mine (n int)",
      "create schema mine",
      "create temp table t (n int)",
      "create temp sequence s",
      "select lo_create(0)",
      "select lo_from_bytea(0, 'x')",
      "select pg_advisory_lock(1)",
      "select pg_try_advisory_lock(1, 2)",
      "select pg_advisory_xact_lock_shared(1)",
      "select pg_notify('x', 'y')",
      "select pg_logical_emit_message(false, 'x', 'y')",
      "select pg_export_snapshot()",
      "select pg_sleep(1)",
      "select pg_sleep_for('1 second')",
      "select pg_cancel_backend(1)",
      "select pg_terminate_backend(pid) from generate_series(1, 100000) as pid",
      "select * from pg_stat_activity",
      "select * from pg_roles",
    ]);
  });

  it("can make tables in a schema of its own, which nobody else looks into", async () => {
    using session = new TestSession(broker, "hostile");
    await session.rows("create table if not exists secrets (id int, text text)");
    await session.rows("insert into secrets values (666, 'fake')");
    assert.equal((await session.rows("select text from secrets"))[0]?.[0], "fake");
    // what the victim's statements mean has not changed: that is looked at after each test
    await session.rows("drop table secrets");
  });

  it("leaves no settings, statements, cursors or transactions to the next, however many it makes", async () => {
    using session = new TestSession(broker, "hostile");
    for (let i = 0; i < 200; i++) await session.rows(`prepare flood_${i} as select ${i}`, [], 1);
    await session.rows("set statement_timeout = 0", [], 1);
    await session.rows("set search_path = nowhere", [], 1);
    await session.rows("set default_transaction_isolation = 'serializable'", [], 1);
    await session.rows("declare c cursor with hold for select 1", [], 1);
    await session.rows("begin", [], 1);
    await session.rows("insert into public.playground (text) values ('uncommitted')", [], 1);
    session.session.close();
    // as many as there are connections, at the same time
    await Promise.all(
      Array.from({ length: maxConnections - 1 }, async () => {
        using next = new TestSession(broker, "hostile");
        assert.deepEqual(
          await next.rows("select count(*)::int from pg_prepared_statements where name like 'flood%'", [], 1),
          [[0]],
        );
        assert.deepEqual(await next.rows("select count(*)::int from pg_cursors where name = 'c'", [], 1), [
          [0],
        ]);
        assert.deepEqual(await next.rows("select current_setting('statement_timeout')", [], 1), [
          [`${timeoutMs}ms`],
        ]);
        assert.deepEqual(await next.rows("select current_setting('default_transaction_isolation')", [], 1), [
          ["read committed"],
        ]);
        assert.deepEqual(await next.rows("select count(*)::int from playground", [], 1), [[0]]);
      }),
    );
  });

  it("does not keep others waiting, with as many endless queries as it likes", {
    timeout: 60_000,
  }, async () => {
    // without a table in memory, which would meet the limit on temporary files first
    const endless = "with recursive n as (select 1 union all select 1 from n) select count(*) from n";
    const flood = Array.from({ length: 40 }, async () => {
      using session = new TestSession(broker, "hostile");
      // switching the server's own limit off does not help
      await session.code("set statement_timeout = 0", [], 1);
      return await session.code(endless, [], 1);
    });
    await until(async () => (await broker.stats()).inUseConnections >= maxConnections - 1);
    for (let i = 0; i < 5; i++)
      assert.equal(await firstValue(broker, "select text from secrets", "victim"), "hidden");
    const codes = await Promise.all(flood);
    assert.ok(
      codes.every((code) => /^db_(query|connection)_timeout$/.test(code)),
      codes.join(),
    );
    await until(async () => {
      const [left] =
        await server.admin`select count(*)::int as n from pg_stat_activity where query like ${`${endless}%`} and state = 'active'`;
      return left!.n === 0;
    });
  });

  it("holds neither connections nor locks beyond its time", { timeout: 60_000 }, async () => {
    using session = new TestSession(broker, "hostile");
    await session.rows("begin", [], 1);
    await session.rows("lock table playground", [], 1);
    const idle = async () => {
      const [found] =
        await server.admin`select count(*)::int as n from pg_stat_activity where state = 'idle in transaction'`;
      return found!.n as number;
    };
    assert.equal(await idle(), 1);
    await until(async () => (await idle()) === 0);
    assert.match(await session.code("select 1", [], 1), /^db_(time_limit|lease_ended)$/);
    assert.match(await session.code("select 1"), /^(db_time_limit|ok)$/);
  });

  it("gets no result that is too large, and fills no disk", { timeout: 60_000 }, async () => {
    using session = new TestSession(broker, "hostile");
    assert.equal(await session.code("select repeat('x', 10000000)"), "db_result_too_large");
    assert.equal(
      await session.code("select repeat('x', 1000) from generate_series(1, 1000000)"),
      "db_result_too_large",
    );
    assert.equal(await session.code("select generate_series(1, 1000000)"), "db_too_many_rows");
    const sorting =
      "select count(*) from (select n from generate_series(1, 100000000) as n order by -n offset 1) as t";
    assert.match(await session.code(sorting), /^(53400|db_query_timeout)$/);
    assert.equal(await session.code("set temp_file_limit = '1TB'"), "42501");
  });

  it("loses its access when that is revoked, at once", async () => {
    const limits = { maxConnections, timeoutMs };
    await grantAccess({
      adminUrl,
      dataDir,
      ...limits,
      functionName: "brief",
      access: "read",
      tables: ["playground"],
    });
    await until(async () => (await firstValue(broker, "select 1", "brief").catch(() => 0)) === 1);
    await revokeAccess({ adminUrl, dataDir, functionName: "brief" });
    await until(async () => {
      using session = new TestSession(broker, "brief");
      return (await session.code("select 1")) === "db_denied";
    });
    const [left] = await server.admin`select count(*)::int as n from pg_roles where rolname like '%fn_brief'`;
    assert.equal(left!.n, 0);
  });
});
