import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import postgres from "postgres";
import { PostgresServer } from "./support/postgres-server.ts";
import { type Document, example, System, until } from "./support/system.ts";

/** What functions reach outside of their sandbox: HTTP (R9), the database (R3, R9, R15), and the history of it all (R13). */

/** A function that answers with rows, or with the error that the database gave. */
const querying = (statements: string, config = "{}") => `import { sql } from "thimble:db";
export const config = ${config};
/** @function */
export default async () => {
  try {
    ${statements}
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return { failed: { name, code, message } };
  }
};`;

/** Requests what `?url=` says, with what may be said about it. */
const requesting = (config = "{}") => `export const config = ${config};
/** @function */
export default async (request: Request) => {
  const { searchParams } = new URL(request.url);
  try {
    const response = await fetch(searchParams.get("url")!, {
      method: searchParams.get("method") ?? "GET",
      headers: { "x-from": "a function" },
      ...(searchParams.has("body") && { body: searchParams.get("body") }),
    });
    const { status, url, redirected } = response;
    return { status, url, redirected, text: await response.text() };
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return { failed: { name, code, message } };
  }
};`;

const asked = (name: string, url: string, more = "") => `${name}?url=${encodeURIComponent(url)}${more}`;

/** Two services on this machine, of which one is allowed, and counts of what reached them. */
class Upstreams {
  readonly allowed: Server;
  readonly forbidden: Server;
  forbiddenRequests = 0;
  aborted = 0;

  constructor() {
    this.allowed = createServer(async (request, response) => {
      const path = request.url ?? "";
      if (path === "/todos/1")
        response.setHeader("content-type", "application/json").end('{"id":1,"title":"own"}');
      else if (path === "/html") response.end("<html>");
      else if (path === "/echo") {
        const chunks = await request.toArray();
        const { method, headers } = request;
        response.end(`${method} ${headers["x-from"]} ${Buffer.concat(chunks)}`);
      } else if (path === "/hang") response.once("close", () => this.aborted++);
      else if (path === "/to-itself") response.writeHead(302, { location: "/html" }).end();
      else if (path.startsWith("/to?")) response.writeHead(302, { location: path.slice(4) }).end();
      else response.writeHead(404).end("no");
    });
    this.forbidden = createServer((_request, response) => {
      this.forbiddenRequests++;
      response.end("secret");
    });
  }

  async open(): Promise<void> {
    for (const server of [this.allowed, this.forbidden]) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    }
  }

  close(): void {
    for (const server of [this.allowed, this.forbidden]) {
      server.closeAllConnections();
      server.close();
    }
  }

  static host(server: Server): string {
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

const upstreams = new Upstreams();
let server: PostgresServer;
/** On Postgres, with the loopback service allowed. */
let system: System;
/** With the embedded databases, and nothing allowed. */
let embedded: System;
let platformUrl: string;
let base: string;

before(async () => {
  [server] = await Promise.all([PostgresServer.start(), upstreams.open()]);
  platformUrl = await server.database("platform");
  const functionsUrl = await server.database("functions");
  base = `http://${Upstreams.host(upstreams.allowed)}`;
  const started = Promise.all([
    System.start({
      DATABASE_URL: platformUrl,
      FUNCTION_DATABASE_URL: functionsUrl,
      FUNCTION_DB_TIMEOUT_MS: "1500",
      FUNCTION_MAX_CONCURRENT: "20",
      FUNCTION_EGRESS_ALLOW: Upstreams.host(upstreams.allowed),
    }).then((one) => {
      system = one;
    }),
    System.start({ FUNCTION_DB_TIMEOUT_MS: "1500" }).then((one) => {
      embedded = one;
    }),
  ]);
  await started;
});
after(async () => {
  await Promise.all([system?.close(), embedded?.close()]);
  upstreams.close();
  await server?.close();
});

describe("http-function", () => {
  before(() =>
    Promise.all([system, embedded].map((one) => one.deployPath("http", example("http-function")))),
  );
  const path = (rest: string) => `http?base=${encodeURIComponent(base)}${rest}`;

  test("reads a service that FUNCTION_EGRESS_ALLOW allows", async () => {
    const { status, body } = await system.call(path(""));
    assert.deepEqual(
      [status, body],
      [200, { ok: true, url: `${base}/todos/1`, data: { id: 1, title: "own" } }],
    );
  });

  test("answers its failures as its README says", async () => {
    const missing = await system.call(path("&path=/nope"));
    assert.deepEqual([missing.status, missing.body.error], [502, "the API answered 404"]);
    const html = await system.call(path("&path=/html"));
    assert.deepEqual([html.status, html.body.error], [502, "the API's answer is not JSON"]);
    const nonsense = await system.call("http?base=nonsense");
    assert.deepEqual([nonsense.status, nonsense.body.error], [400, "base is not a URL"]);
    const hanging = await system.call(path("&path=/hang"));
    assert.deepEqual([hanging.status, hanging.body.error], [504, "the API did not answer within 2000 ms"]);
    await until(async () => upstreams.aborted === 1);
  });

  test("is refused the same service where it is not allowed", async () => {
    const { status, body } = await embedded.call(path(""));
    assert.equal(status, 502);
    assert.match(body.error, /\(egress_denied\)$/);
  });
});

describe("egress", () => {
  before(async () => {
    await system.deploy("get", requesting());
    await system.deploy("listed", requesting('{ egress: ["127.0.0.1"] }'));
    await system.deploy("elsewhere", requesting('{ egress: ["api.example.com", "*.example.org"] }'));
    await system.deploy("nowhere", requesting("{ egress: [] }"));
    await embedded.deploy("listed", requesting('{ egress: ["127.0.0.1"] }'));
  });
  const assertDenied = async (where: System, path: string) => {
    const { body } = await where.call(path);
    assert.equal(body.failed?.code, "egress_denied", `${path}: ${JSON.stringify(body)}`);
  };

  test("sends method, headers and body, and follows redirects to what is allowed", async () => {
    const { body } = await system.call(asked("get", `${base}/echo`, "&method=PUT&body=gr%C3%BC%C3%9Fe"));
    assert.equal(body.text, "PUT a function grüße");
    const redirected = (await system.call(asked("get", `${base}/to-itself`))).body;
    assert.deepEqual(redirected, { status: 200, url: `${base}/html`, redirected: true, text: "<html>" });
  });

  test("refuses addresses of this machine and of private networks", async () => {
    const forbidden = Upstreams.host(upstreams.forbidden);
    const urls = [
      `http://${forbidden}/`,
      `http://localhost:${forbidden.split(":")[1]}/`,
      `http://2130706433:${forbidden.split(":")[1]}/`,
      `http://[::ffff:127.0.0.1]:${forbidden.split(":")[1]}/`,
      "http://169.254.169.254/latest/meta-data/",
      "http://10.0.0.1/",
      "http://0.0.0.0/",
      `${system.adminUrl}/v1/stats`,
      `${system.edgeUrl}/f/get`,
    ];
    for (const url of urls) await assertDenied(system, asked("get", url));
    assert.equal(upstreams.forbiddenRequests, 0);
  });

  test("knows no files but the function's own", async () => {
    const { body } = await system.call(asked("get", "file:///etc/passwd"));
    assert.equal(body.failed?.message, "fetch failed: the function has no such file");
  });

  test("refuses them behind a redirect, too", async () => {
    for (const to of [
      `http://${Upstreams.host(upstreams.forbidden)}/`,
      "http://169.254.169.254/",
      "file:///etc/passwd",
    ])
      await assertDenied(system, asked("get", `${base}/to?${to}`));
    assert.equal(upstreams.forbiddenRequests, 0);
  });

  test("a function's own list narrows, and never widens", async () => {
    assert.equal((await system.call(asked("listed", `${base}/html`))).body.text, "<html>");
    await assertDenied(system, asked("listed", "https://example.com/"));
    await assertDenied(system, asked("elsewhere", `${base}/html`));
    await assertDenied(system, asked("elsewhere", "https://example.org/"));
    await assertDenied(system, asked("nowhere", `${base}/html`));
    await assertDenied(embedded, asked("listed", `${base}/html`));
  });
});

describe("database-function", () => {
  /** The same on both databases. */
  async function assertWorks(where: System): Promise<void> {
    await where.deployPath("tasks", example("database-function"));
    // The embedded database is made by the first query, which may take longer than a query may.
    await until(async () => (await where.post("tasks", { action: "clear" })).status === 200);
    const ask = async (value: unknown) => (await where.post("tasks", value)).body;
    const { added } = await ask({ action: "add", title: 'it\'s "one"; drop table example_tasks' });
    assert.deepEqual(added, { id: added.id, title: 'it\'s "one"; drop table example_tasks', done: false });
    assert.equal((await ask({ action: "done", id: added.id })).updated.done, true);
    await ask({ action: "add", title: "𝄞" });
    assert.deepEqual(
      (await ask({ action: "list" })).tasks.map((task: Document) => [task.title, task.done]),
      [
        [added.title, true],
        ["𝄞", false],
      ],
    );
    assert.deepEqual(await ask({ action: "import", titles: ["x", "y"] }), { imported: 2 });
    const half = await where.post("tasks", { action: "import", titles: ["z", ""] });
    assert.deepEqual([half.status, half.body.error], [400, "a task needs a title"]);
    assert.equal((await ask({ action: "list" })).tasks.length, 4);
    const missing = await where.post("tasks", { action: "done", id: 0 });
    assert.deepEqual([missing.status, missing.body.error], [400, "there is no task 0"]);
    assert.deepEqual(await ask({ action: "clear" }), { deleted: 4 });
    assert.deepEqual(await ask({}), { tasks: [] });
  }

  test("drizzle-function works on both databases", async () => {
    for (const where of [system, embedded]) {
      await where.deployPath("shop", example("drizzle-function"));
      await until(async () => (await where.fetch("shop")).status === 200);
      const order = (items: object[]) => where.post("shop", { customer: "Ada", items });
      const first = await order([
        { product: "pen", count: 2 },
        { product: "ink", count: 1 },
      ]);
      assert.deepEqual([first.status, first.body.items], [200, 2]);
      const refused = await order([{ product: "pen", count: 0 }]);
      assert.deepEqual([refused.status, refused.body.code], [400, "23514"]);
      const { body } = await where.call("shop");
      assert.deepEqual(
        body.map(({ customer, items }: Document) => [customer, items]),
        [
          [
            "Ada",
            [
              { product: "pen", count: 2 },
              { product: "ink", count: 1 },
            ],
          ],
        ],
      );
    }
  });

  test("works on the embedded database", async () => {
    await assertWorks(embedded);
    const { pool } = await embedded.stats();
    assert.deepEqual([pool.initialized, pool.maxConnections], [true, 1]);
    // it is reset after the answer has gone out
    await until(async () => (await embedded.stats()).pool.inUseConnections === 0);
  });

  test("works on a Postgres server", () => assertWorks(system));

  test("answers a query's time-out, and goes on working", async () => {
    const assertTimeOut = async (where: System) => {
      const { status, body } = await where.post("tasks", { action: "slow" });
      assert.deepEqual([status, body], [504, { error: "the query took too long", code: "db_query_timeout" }]);
      // The embedded database has to be started anew when a statement cannot be cancelled.
      await until(async () => (await where.post("tasks", { action: "list" })).status === 200);
    };
    await Promise.all([system, embedded].map(assertTimeOut));
  });
});

describe("the pool for functions' queries", () => {
  const pool = async () => (await system.stats()).pool;
  let watch: postgres.Sql;
  before(async () => {
    watch = postgres(`${server.url}/functions`, { max: 1, onnotice: () => {} });
    await system.deploy("nap", querying("await sql`select pg_sleep(0.2)`; return { slept: true };"));
  });
  after(() => watch.end());
  const sessions = (state: string) =>
    watch`select count(*)::int as n from pg_stat_activity
      where application_name = 'thimble-functions' and datname = 'functions' and state = ${state}`.then(
      ([row]) => row!.n as number,
    );

  test("never has more than its five connections, whatever is asked, and tells how many are in use", async () => {
    const asking = Promise.all(Array.from({ length: 15 }, () => system.call("nap")));
    let most = 0;
    let mostInUse = 0;
    let over = false;
    const answered = asking.finally(() => {
      over = true;
    });
    while (!over) {
      const [active, { totalConnections, inUseConnections, maxConnections }] = await Promise.all([
        sessions("active"),
        pool(),
      ]);
      assert.ok(totalConnections <= 5 && inUseConnections <= totalConnections);
      assert.equal(maxConnections, 5);
      most = Math.max(most, active);
      mostInUse = Math.max(mostInUse, inUseConnections);
    }
    for (const { body } of await answered) assert.deepEqual(body, { slept: true });
    assert.ok(most >= 1 && most <= 5, `${most} sessions`);
    assert.ok(mostInUse >= 1 && mostInUse <= 5, `${mostInUse} in use`);
    const now = await until(async () => {
      const numbers = await pool();
      return numbers.inUseConnections === 0 && numbers;
    });
    assert.deepEqual([now.initialized, now.availableConnections], [true, now.totalConnections]);
  });

  test("a query's time-out is an error that the function can handle; nothing goes on at the server", async () => {
    await system.deploy("sleeper", querying("await sql`select pg_sleep(60)`; return {};"));
    const { status, body } = await system.call("sleeper");
    assert.equal(status, 200);
    const message = "query timed out after 1500 ms";
    assert.deepEqual(body, { failed: { name: "DatabaseError", code: "db_query_timeout", message } });
    // The connection's place stays taken until the server has let go of it.
    await until(async () => (await sessions("active")) === 0 && (await pool()).inUseConnections === 0);
    assert.deepEqual((await system.call("nap")).body, { slept: true });
  });

  test("what a function's own time-out leaves at the server is cleaned up (R2)", async () => {
    await system.deploy(
      "cut-off",
      querying("await sql`select pg_sleep(60)`; return {};", "{ timeoutMs: 200 }"),
    );
    const { status, body } = await system.call("cut-off");
    assert.deepEqual([status, body.error.code], [504, "execution_timeout"]);
    await until(async () => (await sessions("active")) === 0 && (await pool()).inUseConnections === 0);
  });

  test("a statement's error is one that the function can handle", async () => {
    await system.deploy("wrong", querying("return await sql`select * from no_such_table`;"));
    const { failed } = (await system.call("wrong")).body;
    assert.deepEqual([failed.name, failed.code], ["PostgresError", "42P01"]);
  });
});

describe("database access by config", () => {
  test("false is no database", async () => {
    const source = querying("return await sql`select 1 as one`;", "{ database: false }");
    for (const where of [system, embedded]) {
      await where.deploy("none", source);
      assert.equal((await where.call("none")).body.failed.code, "db_denied");
    }
  });

  test('"read" reads, and cannot write in any way', async () => {
    const setUp = querying(`await sql\`create table if not exists kept (n int)\`;
    await sql\`delete from kept\`;
    await sql\`insert into kept values (\${1}), (\${2})\`;
    return await sql\`select n from kept order by n\`;`);
    const reading = querying(
      `const tried: unknown[] = [];
    for (const text of [
      "insert into kept values (3)",
      "delete from kept",
      "drop table kept",
      "create table more (n int)",
      "with gone as (delete from kept returning n) select * from gone",
      "set transaction read write",
      "commit; delete from kept",
    ])
      tried.push(await sql.unsafe(text).then(() => "done", (error: any) => error.code));
    return { tried, rows: await sql\`select n from kept order by n\` };`,
      '{ database: "read" }',
    );
    for (const where of [system, embedded]) {
      await where.deploy("writing", setUp);
      await where.deploy("reading", reading);
      assert.deepEqual(
        await until(async () => {
          const { body } = await where.call("writing");
          return !body.failed && body;
        }),
        [{ n: 1 }, { n: 2 }],
      );
      const { tried, rows } = (await where.call("reading")).body;
      assert.ok(!tried.includes("done"), tried.join());
      assert.deepEqual(tried.slice(0, 5), Array(5).fill("25006"));
      assert.deepEqual(rows, [{ n: 1 }, { n: 2 }]);
    }
  });

  test("the platform's own tables are not in the functions' database (R15)", async () => {
    const source = querying(`await sql\`create table if not exists own_table (n int)\`;
    const rows = await sql\`select table_name from information_schema.tables where table_schema = 'public'\`;
    return rows.map((row) => row.table_name);`);
    for (const where of [system, embedded]) {
      await where.deploy("spy", source);
      // The embedded database may still have to be made.
      const names = await until(async () => {
        const { body } = await where.call("spy");
        return !body.failed && body;
      });
      assert.ok(names.includes("own_table"), JSON.stringify(names));
      for (const own of ["functions", "versions", "function_invocations"])
        assert.ok(!names.includes(own), own);
    }
  });
});

describe("monitoring by SQL on function_invocations (R13)", () => {
  let platform: postgres.Sql;
  before(() => {
    platform = postgres(platformUrl, { max: 1, onnotice: () => {} });
  });
  after(() => platform.end());

  test("average duration, share of time-outs, and what is running: all true", async () => {
    const source = `export const config = { timeoutMs: 4000 };
/** @function */
export default async (request: Request) => {
  const { searchParams } = new URL(request.url);
  await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("ms"))));
  if (searchParams.has("fail")) throw new Error("as asked");
  return "done";
};`;
    const { id } = (await system.deploy("watched", source)).function;
    await system.deploy("bystander", source);
    const invoke = async (query: Record<string, string>) =>
      (await system.admin("POST", "/v1/functions/watched/invoke", { query })).body;
    const ran: Document[] = [];
    for (const ms of ["0", "30", "90"]) ran.push(await invoke({ ms }));
    ran.push(await invoke({ ms: "5", fail: "1" }));
    await system.deploy("watched", source.replace("4000", "120"));
    for (let i = 0; i < 2; i++) {
      const cut = await invoke({ ms: "60000" });
      assert.equal(cut.status, 504);
      ran.push(cut);
    }
    await system.fetch("bystander?ms=200");
    await system.invocations("watched", ran.length);
    await system.invocations("bystander", 1);

    const average = async () => {
      const [row] = await platform`SELECT AVG(duration_ms) FROM function_invocations
        WHERE function_id = ${id} AND timestamp > NOW() - INTERVAL '1 hour'`;
      return row!.avg as number;
    };
    const mean = ran.reduce((sum, { metrics }) => sum + metrics.wallMs, 0) / ran.length;
    // the history keeps microseconds
    assert.ok(Math.abs((await average()) - mean) < 1e-3, `${await average()} is not ${mean}`);

    const [share] = await platform`SELECT
        COUNT(*) FILTER (WHERE error LIKE '%timed out%')::float / COUNT(*) AS share
      FROM function_invocations WHERE function_id = ${id}`;
    assert.equal(share!.share, 2 / 6);

    const running = async () => {
      const [row] =
        await platform`SELECT COUNT(*)::int AS n FROM function_invocations WHERE status = 'running'`;
      return row!.n as number;
    };
    assert.equal(await running(), 0);
    await system.deploy("watched", source);
    const client = new AbortController();
    const three = Array.from({ length: 3 }, () => system.fetch("watched?ms=3500", { signal: client.signal }));
    for (const one of three) one.catch(() => {});
    await until(async () => (await running()) === 3);
    assert.equal((await system.stats()).activeExecutions, 3);
    // Those have no duration yet, and do not move the average.
    assert.ok(Math.abs((await average()) - mean) < 1e-3);
    client.abort();
    await until(async () => (await running()) === 0);
    await until(async () => (await system.stats()).activeExecutions === 0);
  });

  test("an old execution is not in the last hour's average", async () => {
    const { id } = (await system.deploy("aged", "export default () => 1;")).function;
    await system.fetch("aged");
    await system.invocations("aged", 1);
    await platform`UPDATE function_invocations SET timestamp = timestamp - INTERVAL '2 hours', duration_ms = 1e6
      WHERE function_id = ${id}`;
    const { metrics } = (await system.admin("POST", "/v1/functions/aged/invoke", {})).body;
    await system.invocations("aged", 2);
    const [row] = await platform`SELECT AVG(duration_ms) FROM function_invocations
      WHERE function_id = ${id} AND timestamp > NOW() - INTERVAL '1 hour'`;
    assert.ok(Math.abs(row!.avg - metrics.wallMs) < 1e-3, `${row!.avg} is not ${metrics.wallMs}`);
  });
});
