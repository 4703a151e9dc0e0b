import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Broker, type BrokerConfig, openBroker, openRawBroker } from "../gateway/broker/broker.ts";
import { connectBroker } from "../gateway/broker/broker-client.ts";
import { serveBroker } from "../gateway/broker/broker-server.ts";
import { firstValue, TestSession } from "./support/broker-session.ts";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";

let server: PostgresServer;
let url: string;
let dataDir: string;
before(async () => {
  server = await PostgresServer.start();
  url = await server.database("functions");
  dataDir = await mkdtemp(join(tmpdir(), "thimble-session-"));
});
after(async () => {
  await server.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** Runs work with a broker of its own, in this process and behind a socket alike. */
async function withBrokers(
  config: Partial<BrokerConfig>,
  work: (broker: Broker) => Promise<void>,
): Promise<void> {
  const full = { databaseUrl: url, dataDir, timeoutMs: 5000, ...config };
  const own = openBroker(full);
  await work(own);
  await own.close();
  const raw = openRawBroker(full);
  const path = join(dataDir, "session.sock");
  const served = await serveBroker(raw, path);
  const client = connectBroker(path);
  await work(client);
  await client.close();
  await served.close();
  await raw.close();
}

const backends = async (where = "true") => {
  const [found] = await server.admin.unsafe(
    `select count(*)::int as n from pg_stat_activity where application_name = 'thimble-functions' and ${where}`,
  );
  return found!.n as number;
};

describe("leases", () => {
  it("keep one connection for several statements, in order, with its transaction", () =>
    withBrokers({}, async (broker) => {
      await firstValue(broker, "create table if not exists led (n int)");
      await firstValue(broker, "truncate led");
      using session = new TestSession(broker);
      // not one by one: what is sent first is done first
      const all = [
        "begin",
        "insert into led values (1)",
        "savepoint a",
        "insert into led values (2)",
        "rollback to a",
      ];
      await Promise.all(all.map((text) => session.rows(text, [], 1)));
      assert.deepEqual(await session.rows("select n from led", [], 1), [[1]]);
      assert.deepEqual(await session.rows("select n from led"), []);
      await session.rows("commit", [], 1);
      session.session.release(1);
      assert.deepEqual(await session.rows("select n from led"), [[1]]);
    }));

  it("roll back what is open when they are released, or their session ends", () =>
    withBrokers({}, async (broker) => {
      await firstValue(broker, "create table if not exists undone (n int)");
      for (const end of ["release", "close"] as const) {
        using session = new TestSession(broker);
        await session.rows("begin", [], 3);
        await session.rows("insert into undone values (1)", [], 3);
        await session.rows("lock table undone", [], 3);
        if (end === "release") session.session.release(3);
        else session.session.close();
        assert.equal(await firstValue(broker, "select count(*) from undone"), 0);
        await until(async () => (await backends("state like 'idle in%'")) === 0);
      }
    }));

  it("do not come back under a number that was used, and transaction control needs one", () =>
    withBrokers({}, async (broker) => {
      using session = new TestSession(broker);
      await session.rows("begin", [], 5);
      session.session.release(5);
      assert.equal(await session.code("insert into nowhere values (1)", [], 5), "db_lease_ended");
      assert.equal(await session.code("select 1", [], 4), "db_lease_ended");
      assert.equal(await session.code("select 1", [], 6), "ok");
      assert.equal(await session.code("begin"), "db_unsupported");
    }));

  it("end with the statement that times out, and free the server at once", () =>
    withBrokers({ timeoutMs: 400, maxConnections: 1, caps: { heldMs: 60_000 } }, async (broker) => {
      using session = new TestSession(broker);
      await session.rows("begin", [], 1);
      const next = session.code("select 1", [], 2);
      assert.equal(await session.code("select pg_sleep(60)", [], 1), "db_query_timeout");
      assert.equal(await session.code("select 1", [], 1), "db_lease_ended");
      assert.match(await next, /^(ok|db_connection_timeout)$/);
      await until(async () => (await backends("query like '%pg_sleep(60)%' and state = 'active'")) === 0);
      session.session.release(2);
    }));

  it("can be released late, twice, and by a session that never queried", () =>
    withBrokers({}, async (broker) => {
      using idle = new TestSession(broker);
      idle.session.release(1);
      using session = new TestSession(broker);
      await session.rows("select 1", [], 1);
      session.session.release(1);
      session.session.release(1);
      session.session.close();
      session.session.release(1);
      session.session.close();
      assert.equal(await session.code("select 1"), "db_aborted");
      assert.equal(await firstValue(broker, "select 1"), 1);
    }));

  it("stay read-only for a reader, whatever it tries", () =>
    withBrokers({}, async (broker) => {
      await firstValue(broker, "create table if not exists guarded (n int)");
      const inserting = "insert into guarded values (1)";
      const attempts = [
        [inserting],
        ["set default_transaction_read_only = off", inserting],
        ["set session characteristics as transaction read write", inserting],
        ["begin", inserting],
        ["begin read write", inserting],
        ["start transaction read write", "set transaction read write", inserting],
        ["begin", "commit and chain", "set transaction read write", inserting],
        ["begin", "rollback and chain", "set transaction read write", inserting],
        ["begin", "selekt", "rollback and chain", inserting],
        ["begin", "savepoint a", "set transaction read write", inserting],
        ["begin", "savepoint a", "selekt", "rollback to a", "set transaction read write", inserting],
        ["begin", "commit", inserting],
        ["begin", "do $$ begin commit; insert into guarded values (1); end $$"],
        ["begin", "select set_config('transaction_read_only', 'off', false)", inserting],
      ];
      for (const texts of attempts) {
        using session = new TestSession(broker, "test", "read");
        const codes: string[] = [];
        for (const text of texts) codes.push(await session.code(text, [], 1));
        assert.notEqual(codes.at(-1), "ok", texts.join("; "));
        await session.code("commit", [], 1);
      }
      assert.equal(await firstValue(broker, "select count(*) from guarded"), 0);
      using session = new TestSession(broker, "test", "read");
      for (const text of ["begin", "select 1", "savepoint a", "select 2", "release a", "commit"])
        assert.equal(await session.code(text, [], 1), "ok", text);
    }));

  it("let an array be JSON or an array where the server wants it, within a transaction", () =>
    withBrokers({}, async (broker) => {
      for (const access of ["read", "write"] as const) {
        using session = new TestSession(broker, "test", access);
        for (const lease of [undefined, 1]) {
          assert.deepEqual(
            await session.rows(
              "select $1::jsonb, $2::int[]",
              [
                [1, "a"],
                [1, 2],
              ],
              lease,
            ),
            [[{ $json: [1, "a"] }, [1, 2]]],
          );
          assert.equal(await session.code("select $1::nowhere", [[1]], lease), "42704");
          assert.equal(await session.code("select 1", [], lease), "ok");
        }
      }
    }));
});

describe("what one invocation may take", () => {
  const run = (caps: BrokerConfig["caps"], work: (session: TestSession) => Promise<void>) =>
    withBrokers({ timeoutMs: 2000, caps: caps! }, async (broker) => {
      using session = new TestSession(broker);
      await work(session);
      using other = new TestSession(broker);
      assert.equal(await other.code("select 1"), "ok");
    });

  it("is counted in queries", () =>
    run({ queries: 3 }, async (session) => {
      const codes = await Promise.all([1, 2, 3, 4].map(() => session.code("select 1")));
      assert.deepEqual(codes, ["ok", "ok", "ok", "db_too_many_queries"]);
    }));

  it("is counted in rows", () =>
    run({ rows: 25 }, async (session) => {
      assert.equal(await session.code("select generate_series(1, 20)"), "ok");
      assert.equal(await session.code("select generate_series(1, 6)"), "db_too_many_rows");
      assert.equal(await session.code("select generate_series(1, 5)"), "ok");
      assert.equal(await session.code("select 1"), "db_too_many_rows");
      assert.equal(await session.code("create table if not exists counted (n int)"), "ok");
    }));

  it("is counted in bytes of results, as they come", () =>
    run({ resultBytes: 100_000 }, async (session) => {
      assert.equal(await session.code("select repeat('x', 60000)"), "ok");
      assert.equal(await session.code("select repeat('x', 60000)"), "db_result_too_large");
    }));

  it("is counted in bytes of parameters", () =>
    run({ paramBytes: 1000 }, async (session) => {
      assert.equal(await session.code("select $1::text", ["x".repeat(900)]), "ok");
      assert.equal(await session.code("select $1::text[]", [["x".repeat(200)]]), "db_params_too_large");
    }));

  it("is counted in time, of queries and of leases that do nothing", () =>
    run({ heldMs: 600 }, async (session) => {
      await session.rows("begin", [], 1);
      const startMs = performance.now();
      const both = [session.code("select pg_sleep(10)"), session.code("select pg_sleep(10)", [], 2)];
      assert.deepEqual(await Promise.all(both), ["db_time_limit", "db_time_limit"]);
      // three connections at once use it up three times as fast
      assert.ok(performance.now() - startMs < 1500);
      assert.equal(await session.code("select 1", [], 1), "db_time_limit");
      assert.equal(await session.code("select 1"), "db_time_limit");
      // nobody waits for the server to notice
      await until(async () => (await backends("state <> 'idle'")) === 0);
      assert.ok(performance.now() - startMs < 3000);
    }));
});

describe("fairness", () => {
  it("serves functions in turn, and each in its order", () =>
    withBrokers({ maxConnections: 1 }, async (broker) => {
      await firstValue(broker, "select 1", "first");
      const order: string[] = [];
      const one = async (name: string) => {
        await firstValue(broker, "select pg_sleep(0.005)", name.split(" ")[0]);
        order.push(name);
      };
      const many = Array.from({ length: 12 }, (_, i) => one(`greedy ${i}`));
      await new Promise((resolve) => setTimeout(resolve, 2));
      const few = Array.from({ length: 3 }, (_, i) => one(`modest ${i}`));
      await Promise.all([...many, ...few]);
      assert.deepEqual(
        order.filter((name) => name.startsWith("greedy")),
        Array.from({ length: 12 }, (_, i) => `greedy ${i}`),
      );
      assert.ok(order.indexOf("modest 2") < 9, order.join());
    }));

  it("keeps a place for functions that hold none, once there are several", () =>
    withBrokers({ maxConnections: 3, timeoutMs: 3000 }, async (broker) => {
      await firstValue(broker, "select 1", "modest");
      const greedy = Array.from({ length: 4 }, () => firstValue(broker, "select pg_sleep(1.2)", "greedy"));
      await until(async () => (await backends("query like '%sleep(1.2)%' and state = 'active'")) === 2);
      const startMs = performance.now();
      await firstValue(broker, "select 1", "modest");
      assert.ok(performance.now() - startMs < 1000);
      await Promise.all(greedy);
    }));

  it("gives all places to a function that is alone", () =>
    withBrokers({ maxConnections: 3 }, async (broker) => {
      const all = [1, 2, 3].map(() => firstValue(broker, "select pg_sleep(0.5)"));
      await until(async () => (await backends("query like '%sleep(0.5)%' and state = 'active'")) === 3);
      await Promise.all(all);
    }));
});

describe("cancelling", () => {
  /** A way to the server that tells what goes over it. */
  async function spy(): Promise<{ url: string; cancels: Buffer[]; close(): void }> {
    const target = new URL(url);
    const cancels: Buffer[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer((socket) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const each of [socket, upstream]) {
        sockets.add(each);
        each.on("error", () => {});
      }
      socket.on("data", (chunk: Buffer) => {
        if (chunk.length >= 16 && chunk.readUInt32BE(4) === 80_877_102) cancels.push(chunk);
      });
      socket.pipe(upstream).pipe(socket);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => proxy.once("listening", resolve));
    const through = new URL(url);
    through.port = String((proxy.address() as { port: number }).port);
    const close = () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    };
    return { url: `${through}?sslmode=disable`, cancels, close };
  }

  it("names the session that is given up, which nobody gets after that", async () => {
    const proxy = await spy();
    const broker = openBroker({ databaseUrl: proxy.url, dataDir, maxConnections: 1 });
    using session = new TestSession(broker);
    const [[pid]] = (await session.rows("select pg_backend_pid()", [], 1)) as [[number]];
    const stopped = new AbortController();
    const running = session.code("select pg_sleep(30)", [], 1, stopped.signal);
    await until(async () => (await backends("query like '%sleep(30)%' and state = 'active'")) === 1);
    const startMs = performance.now();
    stopped.abort();
    assert.equal(await running, "db_aborted");
    session.session.release(1);
    assert.notEqual(await firstValue(broker, "select pg_backend_pid()"), pid);
    // by far before the server itself would look whether anybody is still there
    assert.ok(performance.now() - startMs < 2000);
    assert.ok(proxy.cancels.length > 0);
    for (const cancel of proxy.cancels) assert.equal(cancel.readUInt32BE(8), pid);
    await broker.close();
    proxy.close();
  });

  it("never hits another's statement", { timeout: 120_000 }, () =>
    withBrokers({ maxConnections: 3 }, async (broker) => {
      let wrong = 0;
      const steady = async () => {
        for (let i = 0; i < 60; i++) {
          using session = new TestSession(broker, "steady");
          const code = await session.code(`select ${i}, pg_sleep(0.002)`);
          if (code !== "ok") wrong++;
        }
      };
      const hasty = async () => {
        for (let i = 0; i < 60; i++) {
          using session = new TestSession(broker, "hasty");
          await session.code("select pg_sleep(0.01)", [], undefined, AbortSignal.timeout(1 + (i % 12)));
        }
      };
      await Promise.all([steady(), steady(), hasty(), hasty()]);
      assert.equal(wrong, 0);
    }),
  );
});

describe("statistics", () => {
  it("agree with what the server sees", () =>
    withBrokers({ maxConnections: 4 }, async (broker) => {
      await until(async () => (await backends()) === 0);
      const busy = [1, 2, 3].map(() => firstValue(broker, "select pg_sleep(0.6)"));
      await until(async () => (await backends("query like '%sleep(0.6)%' and state = 'active'")) === 3);
      const { totalConnections, inUseConnections, availableConnections, maxConnections, initialized } =
        await broker.stats();
      assert.deepEqual([initialized, maxConnections], [true, 4]);
      assert.equal(totalConnections, await backends());
      assert.deepEqual([inUseConnections, availableConnections], [3, totalConnections - 3]);
      await Promise.all(busy);
      await until(async () => (await broker.stats()).inUseConnections === 0);
      assert.equal((await broker.stats()).totalConnections, await backends());
    }));
});

describe("errors", () => {
  it("carry the server's fields, and nothing of the host", () =>
    withBrokers({}, async (broker) => {
      await firstValue(broker, "create table if not exists unique_names (name text primary key)");
      await firstValue(broker, "insert into unique_names values ('a') on conflict do nothing");
      using session = new TestSession(broker);
      const error = await session
        .rows("insert into unique_names values ($1)", ["a"])
        .catch((caught) => caught);
      const { code, name, message, details } = error;
      assert.deepEqual([code, name], ["23505", "PostgresError"]);
      assert.equal(message, 'duplicate key value violates unique constraint "unique_names_pkey"');
      assert.deepEqual(details, {
        severity: "ERROR",
        detail: "Key (name)=(a) already exists.",
        schema_name: "public",
        table_name: "unique_names",
        constraint_name: "unique_names_pkey",
      });
      const syntax = await session.rows("select 1 frm x").catch((caught) => caught);
      assert.deepEqual([syntax.code, syntax.details.position], ["42601", "14"]);
    }));
});
