import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json, text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { FunctionLogs } from "../gateway/function-logs.ts";
import { LogFile } from "../gateway/log-file.ts";
import { Metrics } from "../gateway/metrics.ts";
import { observeServices } from "../gateway/observed-services.ts";
import { traceOf } from "../gateway/trace.ts";
import type { QueryRequest } from "../runtime/protocol.ts";
import type { HostServices } from "../runtime/services.ts";
import { PostgresServer } from "./support/postgres-server.ts";
import { until } from "./support/system.ts";
import { startTestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

const folder = mkdtempSync(join(tmpdir(), "thimble-operation-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("traces", () => {
  test("are taken over from a valid traceparent, and from no other", () => {
    const trace = traceOf([["traceparent", PARENT]], false);
    assert.equal(trace?.traceId, "0af7651916cd43dd8448eb211c80319c");
    assert.equal(trace?.parentSpanId, "b7ad6b7169203331");
    assert.match(trace?.spanId ?? "", /^[0-9a-f]{16}$/);
    assert.equal(trace?.sampled, true);
    assert.ok(
      traceOf([["traceparent", `${PARENT.replace("00-", "cc-")}-more`]], false),
      "a later version may say more",
    );
    for (const bad of [
      "",
      "nonsense",
      `${PARENT}-more`,
      PARENT.replace("00-", "ff-"),
      PARENT.toUpperCase(),
      PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
      PARENT.replace("b7ad6b7169203331", "0".repeat(16)),
    ])
      assert.equal(traceOf([["traceparent", bad]], false), null, bad);
    assert.equal(traceOf([], true)?.parentSpanId, null);
  });

  test("go on in the function's own requests, unless it sets the header itself", async () => {
    const sent: [string, string][][] = [];
    const services = {
      fetch: async (head: { headers: [string, string][] }) => {
        sent.push(head.headers);
        throw new Error("enough");
      },
    } as unknown as HostServices;
    const trace = traceOf([["traceparent", PARENT]], false);
    const head = {
      method: "GET",
      url: "http://x/",
      headers: [],
      redirect: "follow",
      hasBody: false,
    } as const;
    const { signal } = new AbortController();
    const none = new Uint8Array();
    for (const [given, headers] of [
      [trace, []],
      [trace, [["TraceParent", "own"]]],
      [null, []],
    ] as const) {
      const observed = observeServices(services, given).services;
      const request = { ...head, headers: headers.map(([name, value]): [string, string] => [name, value]) };
      await assert.rejects(observed.fetch(request, none, signal));
    }
    assert.deepEqual(sent, [
      [["traceparent", `00-0af7651916cd43dd8448eb211c80319c-${trace?.spanId}-01`]],
      [["TraceParent", "own"]],
      [],
    ]);
  });

  test("are exported to a collector as spans, and a collector that fails holds nothing up", async () => {
    const received: Document[] = [];
    let status = 200;
    const collector = createServer(async (incoming: IncomingMessage, response) => {
      received.push({ url: incoming.url, headers: incoming.headers, body: await json(incoming) });
      response.writeHead(status).end();
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const { port } = collector.address() as { port: number };
    const server = await startTestServer({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/`,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20token,x-team=a",
    });
    await server.deploy("echo");
    await server.deploy("throw");
    await fetch(`${server.edgeUrl}/f/echo`, { headers: { traceparent: PARENT } });
    await fetch(`${server.edgeUrl}/f/throw`);
    await fetch(`${server.edgeUrl}/f/echo`, { headers: { traceparent: PARENT.replace(/01$/, "00") } });
    const spans = () => received.flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans);
    await until(async () => spans().length >= 2);
    const [first, second] = spans().sort((a: Document, b: Document) => (a.name < b.name ? -1 : 1));
    assert.deepEqual(
      [first.name, first.traceId, first.parentSpanId, first.status],
      ["echo", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", undefined],
    );
    assert.ok(BigInt(first.endTimeUnixNano) >= BigInt(first.startTimeUnixNano));
    assert.deepEqual(
      [second.name, second.status, second.parentSpanId],
      ["throw", { code: 2, message: "function_error" }, undefined],
    );
    assert.deepEqual(
      [received[0].url, received[0].headers.authorization, received[0].headers["x-team"]],
      ["/v1/traces", "Bearer token", "a"],
    );
    status = 500;
    await fetch(`${server.edgeUrl}/f/echo`);
    await server.close();
    assert.equal(spans().length, 3, "the unsampled one is not among them; the last one is sent at the end");
    assert.ok(server.logged.some(({ msg }) => msg === "spans could not be sent"));
    assert.ok(!JSON.stringify(server.logged).includes("Bearer token"));
    collector.close();
  });
});

describe("time in the database", () => {
  test("is that in which at least one query is under way", async () => {
    const open: (() => void)[] = [];
    const services = {
      openDatabase: () => ({
        query: () => new Promise((resolve) => open.push(() => resolve({}))),
        release: () => {},
        close: () => {},
      }),
    } as unknown as HostServices;
    const { services: observed, databaseMs } = observeServices(services, null);
    const session = observed.openDatabase();
    const ask = () => session.query({} as QueryRequest, new AbortController().signal);
    assert.equal(databaseMs(), 0);
    const both = [ask(), ask()];
    await new Promise((resolve) => setTimeout(resolve, 40));
    for (const end of open.splice(0)) end();
    await Promise.all(both);
    const once = databaseMs();
    assert.ok(once >= 35 && once < 4_000, "not twice for two at once");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(databaseMs(), once, "nothing is added between queries");
  });
});

describe("functions' logs", () => {
  const line = (message: string) => ({
    level: "info" as const,
    message,
    time: new Date().toISOString(),
    requestId: "r",
    version: 1,
  });

  test("survive a restart", async () => {
    const server = await startTestServer();
    await server.deploy("first", "one");
    await fetch(`${server.edgeUrl}/f/first`);
    await server.stop();
    const path = join(server.dataDir, "function-logs/first.jsonl");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    writeFileSync(path, `${readFileSync(path, "utf8")}{"cut off`);
    const again = await startTestServer({}, server.dataDir);
    await fetch(`${again.edgeUrl}/f/first`);
    const { logs } = (await (await again.admin("GET", "/v1/functions/first/logs")).json()) as Document;
    assert.deepEqual(
      logs.map(({ message }: Document) => message),
      ["ran one", "ran one"],
    );
    await again.admin("DELETE", "/v1/functions/first");
    assert.deepEqual(readdirSync(join(server.dataDir, "function-logs")), []);
    await again.close();
  });

  test("are bounded in memory by lines and by characters, and each line by itself", () => {
    const logs = new FunctionLogs({ linesPerFunction: 10, charactersPerFunction: 40_000 });
    for (let n = 0; n < 100; n++) logs.append("many", line(String(n)));
    assert.deepEqual(
      logs.recent("many", 3).map(({ message }) => message),
      ["97", "98", "99"],
    );
    assert.ok(logs.recent("many", 1000).length <= 10);
    for (let n = 0; n < 10; n++) logs.append("long", line("x".repeat(100_000)));
    const kept = logs.recent("long", 1000);
    assert.ok(kept.length >= 2 && kept.length <= 3, String(kept.length));
    assert.ok(kept[0]!.message.length <= 16_385);
  });

  test("are bounded on disk: two files, the older one replaced", () => {
    const path = join(folder, "rotated.jsonl");
    const file = new LogFile(path, 1_000, (error) => assert.ifError(error));
    for (let n = 0; n < 100; n++) {
      file.append(`line ${n} ${"x".repeat(90)}`);
      file.flush();
    }
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith("rotated")),
      ["rotated.jsonl", "rotated.jsonl.1"],
    );
    for (const name of [path, `${path}.1`]) assert.ok(statSync(name).size <= 1_000);
    const tail = file.tail(3).map((text) => text.slice(0, 7));
    assert.deepEqual(tail, ["line 97", "line 98", "line 99"]);
  });

  test("that cannot be written are told once a batch, and nothing else fails", () => {
    const errors: unknown[] = [];
    writeFileSync(join(folder, "no-folder"), "");
    const logs = new FunctionLogs({
      folder: join(folder, "no-folder"),
      onError: (error) => errors.push(error),
    });
    logs.append("f", line("kept in memory"));
    logs.flush();
    assert.equal(errors.length, 1);
    assert.equal(logs.recent("f", 1)[0]?.message, "kept in memory");
  });
});

describe("history", () => {
  test("says what ended an execution", async () => {
    const server = await startTestServer();
    for (const name of ["memory", "hang", "throw", "one"]) {
      await server.deploy(name, name, { config: { timeoutMs: 50 } });
      await (await fetch(`${server.edgeUrl}/f/${name}`)).text();
    }
    const reasons = await until(async () => {
      const rows: Document[] = [];
      for (const name of ["memory", "hang", "throw", "one"]) {
        const { invocations } = (await (
          await server.admin("GET", `/v1/functions/${name}/invocations`)
        ).json()) as Document;
        rows.push(...invocations.filter((row: Document) => row.status !== "running"));
      }
      return rows.length === 4 && rows.map((row) => [row.functionName, row.status, row.killReason]);
    });
    assert.deepEqual(reasons, [
      ["memory", "failed", "memory"],
      ["hang", "timeout", "timeout"],
      ["throw", "failed", null],
      ["one", "completed", null],
    ]);
    await server.close();
  });
});

describe("the monitoring queries (R13)", () => {
  test("are true under load, while executions run and after", async () => {
    const database = await PostgresServer.start();
    const url = await database.database("platform");
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    const settings = {
      DATABASE_URL: url,
      FUNCTION_MAX_CONCURRENT: "50",
      FUNCTION_QUEUE_TIMEOUT_MS: "20000",
      FUNCTION_QUEUE_LIMIT: "1000",
    };
    const server = await startTestServer({ ...settings, FUNCTION_REQUEST_TIMEOUT_MS: "30000" });
    await server.deploy("slow");
    const hang = await server.deploy("hang", "hang", { config: { timeoutMs: 5_000, concurrency: 5 } });
    const { id } = ((await hang.json()) as Document).function;
    const call = async (name: string) => (await fetch(`${server.edgeUrl}/f/${name}`)).text();
    const hanging = Promise.all(Array.from({ length: 5 }, () => call("hang")));
    const load = Promise.all(Array.from({ length: 300 }, () => call("slow")));
    const running = async () => {
      const [row] =
        await sql`select count(*)::int n from function_invocations where function_id = ${id} and status = 'running'`;
      return row?.n;
    };
    await until(async () => (await running()) === 5);
    await Promise.all([load, hanging]);
    await until(async () => (await running()) === 0);
    const rows = async () =>
      sql`select count(*)::int n, count(*) filter (where status = 'completed')::int completed,
        avg(case when error like '%timed out%' then 1.0 else 0 end)::float8 share from function_invocations`;
    await until(async () => (await rows())[0]?.n === 305);
    const [all] = await rows();
    assert.equal(all?.completed, 300);
    assert.ok(Math.abs(all?.share - 5 / 305) < 1e-9, String(all?.share));
    const [average] = await sql`select avg(duration_ms) ms from function_invocations
      where function_id = ${id} and timestamp > now() - interval '1 hour'`;
    assert.ok(average?.ms >= 4_990, String(average?.ms));
    await server.close();
    await sql.end();
    await database.close();
  });
});

describe("metrics", () => {
  const stats = {
    fleet: {
      activeExecutions: 0,
      queuedExecutions: 0,
      sandboxes: { instances: 0, busy: 0 },
      droppedRecords: 0,
      workers: [],
    },
    functions: 0,
    pool: { totalConnections: 0, inUseConnections: 0 },
  } as Document;
  const used = { wallMs: 1, cpuMs: 1, fuel: 1, memoryBytes: 1, hostCalls: 0 };

  test("have a HELP text each, and series of a bounded number of functions", async () => {
    const metrics = new Metrics(async () => stats);
    for (let n = 0; n < 1_005; n++) metrics.executed(`f${n}`, "completed", used);
    metrics.refused("f0", "concurrency_limit");
    const exposed = await metrics.text();
    const names = new Set(
      [...exposed.matchAll(/^(thimble_\w+?)(?:_bucket|_sum|_count)?[{ ]/gm)].map(([, name]) => name),
    );
    for (const name of names) assert.match(exposed, new RegExp(`^# HELP ${name} \\S`, "m"));
    assert.match(exposed, /thimble_executions_total\{function="\(other\)",outcome="completed"\} 5/);
    assert.match(exposed, /thimble_refusals_total\{function="f0",code="concurrency_limit"\} 1/);
    assert.match(exposed, /nodejs_eventloop_lag_seconds/);
  });

  test("forget a deleted function", async () => {
    const metrics = new Metrics(async () => stats);
    metrics.executed("gone", "completed", used);
    metrics.executed("kept", "completed", used);
    metrics.refused("gone", "overloaded");
    metrics.forget("gone");
    const exposed = await metrics.text();
    assert.ok(!exposed.includes('"gone"'));
    assert.ok(exposed.includes('"kept"'));
  });
});

describe("the admin port", () => {
  const tls = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url));
  const pair = { ADMIN_TLS_CERT: tls("cert.pem"), ADMIN_TLS_KEY: tls("key.pem") };

  test("is not opened to others without TLS, unless that is allowed", async () => {
    await assert.rejects(startTestServer({ ADMIN_HOST: "0.0.0.0" }), {
      code: "invalid_config",
      message: /ADMIN_HOST="0\.0\.0\.0".*ADMIN_TLS_CERT.*ADMIN_ALLOW_INSECURE/,
    });
    const allowed = await startTestServer({ ADMIN_HOST: "0.0.0.0", ADMIN_ALLOW_INSECURE: "true" });
    const { port } = new URL(allowed.adminUrl);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 401, "nothing is open then");
    await allowed.close();
  });

  test("speaks TLS with the certificate that it is given", async () => {
    const server = await startTestServer({ ADMIN_HOST: "0.0.0.0", ...pair }, join(folder, "tls"));
    const { port, protocol } = new URL(server.adminUrl);
    assert.equal(protocol, "https:");
    const asked = request({
      ...{ host: "127.0.0.1", port, path: "/v1/stats", ca: readFileSync(pair.ADMIN_TLS_CERT) },
      headers: { authorization: `Bearer ${server.key}` },
    }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    response.resume();

    const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));
    const list = async (env: Record<string, string>) => {
      const child = spawn(process.execPath, [main, "list", "--json"], {
        cwd: folder,
        env: { ...process.env, THIMBLE_ADMIN_KEY: server.key, ...env },
      });
      return JSON.parse(await text(child.stdout));
    };
    const THIMBLE_ADMIN_URL = `https://localhost:${port}`;
    const trusted = await list({ THIMBLE_ADMIN_URL, NODE_EXTRA_CA_CERTS: pair.ADMIN_TLS_CERT });
    assert.deepEqual(trusted, { functions: [] });
    const { error } = await list({ THIMBLE_ADMIN_URL });
    assert.match(error.message, /SELF_SIGNED/);
    await server.stop();
  });

  test("is refused half a pair, and files that are none", async () => {
    for (const [settings, message] of [
      [{ ADMIN_TLS_CERT: pair.ADMIN_TLS_CERT }, /ADMIN_TLS_KEY is missing/],
      [{ ...pair, ADMIN_TLS_KEY: "/nowhere" }, /ADMIN_TLS_KEY="\/nowhere": cannot be read/],
      [{ ...pair, ADMIN_TLS_KEY: pair.ADMIN_TLS_CERT }, /certificate or key cannot be used/],
    ] as const)
      await assert.rejects(startTestServer(settings), { message });
  });
});
