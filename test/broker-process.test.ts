import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import type { Broker } from "../gateway/broker/broker.ts";
import { connectBroker } from "../gateway/broker/broker-client.ts";
import { Answer, Ask, encodeFrame, type Frame, readFrames } from "../gateway/broker/frames.ts";
import type { PoolStats } from "../gateway/broker/pool.ts";
import { type BrokerProcess, startBroker } from "../gateway/broker/start-broker.ts";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";

const never = new AbortController().signal;

async function value(broker: Broker, text: string, signal = never) {
  const session = broker.openSession({ functionName: "test", access: "write" });
  try {
    return (await session.query({ text, params: [] }, signal)).rows[0]?.[0];
  } finally {
    session.close();
  }
}

describe("the broker in a process of its own", () => {
  let server: PostgresServer;
  let dataDir: string;
  let url: string;
  let process_: BrokerProcess;
  let client: Broker;
  const failures: string[] = [];
  before(async () => {
    server = await PostgresServer.start();
    url = await server.database("functions");
    dataDir = await mkdtemp(join(tmpdir(), "thimble-broker-"));
    process_ = await startBroker({
      databaseUrl: url,
      dataDir,
      timeoutMs: 3000,
      maxConnections: 3,
      onFailure: (message) => failures.push(message),
    });
    client = connectBroker(process_.socketPath);
  });
  after(async () => {
    await client.close();
    await process_.close();
    await server.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("answers queries over its socket, which only its owner may open", async () => {
    assert.equal(await value(client, "select 'é\"' || repeat('x', 3)"), 'é"xxx');
    assert.equal((await stat(process_.socketPath)).mode & 0o777, 0o600);
    const { totalConnections, maxConnections } = await process_.poolStats();
    assert.deepEqual([totalConnections, maxConnections], [1, 3]);
  });

  it("passes errors on and refuses what may not be", async () => {
    await assert.rejects(value(client, "selekt"), { name: "PostgresError", code: "42601" });
    const denied = client.openSession({ functionName: "test", access: false });
    await assert.rejects(denied.query({ text: "select 1", params: [] }, never), { code: "db_denied" });
  });

  it("serves many sessions at once, within one bound", async () => {
    const other = connectBroker(process_.socketPath);
    const seen = await Promise.all(
      Array.from({ length: 200 }, (_, i) => value(i % 2 ? client : other, `select ${i}`)),
    );
    assert.deepEqual(
      seen,
      Array.from({ length: 200 }, (_, i) => i),
    );
    assert.ok((await process_.poolStats()).totalConnections <= 3);
    await other.close();
    await assert.rejects(value(other, "select 1"), { code: "db_closed" });
  });

  it("ends a query whose caller aborts, and those of a client that goes away", async () => {
    const counting = "select count(*)::int from pg_stat_activity where query like 'select pg_sleep(30%'";
    await assert.rejects(value(client, "select pg_sleep(30)", AbortSignal.timeout(100)), {
      code: "db_aborted",
    });
    const other = connectBroker(process_.socketPath);
    const lost = value(other, "select pg_sleep(30)");
    lost.catch(() => {});
    await until(async () => (await value(client, counting)) === 1);
    await other.close();
    await assert.rejects(lost, { code: "db_unavailable" });
    await until(async () => (await value(client, counting)) === 0);
  });

  it("cuts off a client that sends no frames", async () => {
    const bad = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.alloc(64),
      encodeFrame(99, 1),
      encodeFrame(Ask.query, 1, { session: 7, text: "select 1", params: [] }),
      encodeFrame(Ask.open, 1, { functionName: "", access: "write" }),
      encodeFrame(Ask.open, 1, { functionName: "x", access: "superuser" }),
      Buffer.concat([
        encodeFrame(Ask.open, 1, { functionName: "x", access: "write" }),
        encodeFrame(Ask.open, 1, { functionName: "x", access: "write" }),
      ]),
      Buffer.concat([
        encodeFrame(Ask.open, 1, { functionName: "x", access: "write" }),
        encodeFrame(Ask.query, 1, { session: 1, text: "select 1", params: [], lease: -1 }),
      ]),
    ];
    for (const bytes of bad) {
      const socket = connect(process_.socketPath);
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(bytes);
      socket.resume();
      await closed;
    }
    assert.equal(await value(client, "select 1"), 1);
  });

  it("survives a client that floods it and reads no answers, and serves others meanwhile", async () => {
    const open = (id: number) => encodeFrame(Ask.open, id, { functionName: "x", access: "write" });
    const query = (id: number) =>
      encodeFrame(Ask.query, id, { session: 1, text: "select pg_sleep(1)", params: [] });
    const many = (count: number, make: (id: number) => Buffer) =>
      Buffer.concat(Array.from({ length: count }, (_, i) => make(i + 1)));
    const flood = async (bytes: Buffer) => {
      const socket = connect(process_.socketPath);
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(bytes);
      assert.equal(await value(client, "select 1"), 1);
      return { socket, closed };
    };
    await (await flood(many(20_000, open))).closed;
    const asking = await flood(many(200_000, (id) => encodeFrame(Ask.stats, id)));
    const querying = await flood(Buffer.concat([open(1), many(100_000, query)]));
    for (const { socket } of [asking, querying]) {
      assert.ok(socket.writableLength > 0, "it is not read from");
      socket.destroy();
    }
    await until(async () => (await process_.poolStats()).inUseConnections === 0);
    assert.equal(await value(client, "select 1"), 1);
  });

  it("takes frames that come in pieces", async () => {
    const socket = connect(process_.socketPath);
    const answer = new Promise<Frame>((resolve) => readFrames(socket, 1 << 20, resolve));
    for (const byte of encodeFrame(Ask.stats, 1)) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { kind, head } = await answer;
    assert.deepEqual([kind, (head as PoolStats).maxConnections], [Answer.stats, 3]);
    socket.destroy();
  });

  it("is started again when it dies, with clear errors meanwhile and no connection left", async () => {
    const { pid } = process_;
    const lost = value(client, "select pg_sleep(20)");
    lost.catch(() => {});
    await until(async () => (await process_.poolStats()).inUseConnections === 1);
    process.kill(pid!, "SIGKILL");
    await assert.rejects(lost, { code: "db_unavailable", message: "the database is not available" });
    await until(async () => (await value(client, "select 1").catch(() => 0)) === 1);
    assert.notEqual(process_.pid, pid);
    assert.match(failures.join(), /database broker has ended \(SIGKILL\)/);
    const ours = "select count(*)::int from pg_stat_activity where application_name = 'thimble-functions'";
    await until(async () => Number(await value(client, ours)) <= 3);
  });

  it("can be used by a process that may do nothing but use the network", async () => {
    const script = join(import.meta.dirname, "../gateway/broker/broker-client.ts");
    const code = `const { connectBroker } = await import(${JSON.stringify(script)});
      const session = connectBroker(process.argv[1]).openSession({ functionName: "t", access: "read" });
      const { rows } = await session.query({ text: "select 6 * 7", params: [] }, new AbortController().signal);
      console.log(rows[0][0]);`;
    const root = join(import.meta.dirname, "..");
    const flags = ["--permission", "--allow-net", `--allow-fs-read=${root}/*`, "--no-warnings"];
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...flags,
      "--input-type=module",
      "-e",
      code,
      process_.socketPath,
    ]);
    assert.equal(stdout, "42\n");
  });

  it("tells why a connection cannot be made, to the log and not to functions", async () => {
    const told: string[] = [];
    const other = await startBroker({
      databaseUrl: url.replace(/:[^:@]+@/, ":wrong@"),
      dataDir: await mkdtemp(join(dataDir, "other-")),
      onFailure: (message) => told.push(message),
    });
    const there = connectBroker(other.socketPath);
    await assert.rejects(value(there, "select 1"), {
      code: "db_unavailable",
      message: "the database is not available",
    });
    await until(async () => told.length > 0);
    assert.match(
      told[0] ?? "",
      /no connection to the functions' database: 28P01 password authentication failed/,
    );
    await there.close();
    await other.close();
  });

  it("refuses a bad configuration, and keeps long paths short enough for a socket", async () => {
    await assert.rejects(startBroker({ databaseUrl: "mysql://a:b@c/d", dataDir }), /mysql:/);
    const deep = join(dataDir, "d".repeat(120));
    await mkdir(deep);
    const other = await startBroker({ databaseUrl: url, dataDir: deep });
    const there = connectBroker(other.socketPath);
    assert.equal(await value(there, "select 1"), 1);
    await there.close();
    await other.close();
    await assert.rejects(stat(other.socketPath), { code: "ENOENT" });
  });
});
