import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, System, until } from "./support/system.ts";

/** Worker processes: what happens to them, and what clients notice of it. */

interface Process {
  worker: number;
  pid: number;
  state: string;
  memoryBytes: number;
}

const processesOf = async (system: System): Promise<Process[]> => (await system.stats()).processes;

/** Both workers ready, and none of these processes among them. */
const replaced = (system: System, pids: number[]) =>
  until(async () => {
    const now = await processesOf(system);
    return now.length === 2 && now.every(({ pid, state }) => state === "ready" && !pids.includes(pid)) && now;
  });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** One request on a connection of its own, or of an agent. Rejects when there is no answer. */
const request = (url: string, agent: Agent | false = false) =>
  new Promise<{ status: number; body: string }>((resolve, reject) => {
    get(url, { agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    }).on("error", reject);
  });

/** Requests without a pause until it is told to stop; gives the answers that were not as wanted, and how many there were. */
function stream(url: string, wanted: string, agent: Agent | false) {
  let going = true;
  let count = 0;
  const failures: string[] = [];
  const loop = async () => {
    while (going) {
      count++;
      const { status, body } = await request(url, agent).catch((error) => ({
        status: 0,
        body: String(error),
      }));
      if (status !== 200 || body !== wanted) failures.push(`${status} ${body}`);
    }
  };
  const loops = [loop(), loop(), loop()];
  return async () => {
    going = false;
    await Promise.all(loops);
    return { count, failures };
  };
}

const slow = `export default async (request: Request) => {
  await new Promise((resolve) => setTimeout(resolve, Number(new URL(request.url).searchParams.get("ms"))));
  return "slept";
}`;

describe("worker processes", () => {
  let system: System;
  before(async () => {
    system = await System.start({ THIMBLE_WORKERS: "2" });
    await system.deploy("hello", `export default () => "hello"`);
    await system.deploy("slow", slow);
  });
  after(() => system.close());

  test("are shown with what they are doing", async () => {
    const { workers, processes } = await system.stats();
    assert.equal(workers, 2);
    assert.deepEqual(
      processes.map(({ worker, state }: Process) => [worker, state]),
      [
        [1, "ready"],
        [2, "ready"],
      ],
    );
    const metrics = await (await fetch(`${system.adminUrl}/metrics`)).text();
    assert.match(metrics, /^thimble_workers 2$/m);
    await until(async () => (await processesOf(system)).every(({ memoryBytes }) => memoryBytes > 1e6));
  });

  test("all know a new version when its deployment is answered", async () => {
    for (let version = 1; version <= 5; version++) {
      await system.deploy("changing", `export default () => "version ${version}"`);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => request(`${system.edgeUrl}/f/changing`)),
      );
      assert.deepEqual([...new Set(answers.map(({ body }) => body))], [`version ${version}`]);
    }
    await system.admin("POST", "/v1/functions/changing/rollback", { version: 2 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => request(`${system.edgeUrl}/f/changing`)),
    );
    assert.deepEqual([...new Set(answers.map(({ body }) => body))], ["version 2"]);
    await system.admin("DELETE", "/v1/functions/changing");
    const gone = await Promise.all(Array.from({ length: 20 }, () => request(`${system.edgeUrl}/f/changing`)));
    assert.ok(gone.every(({ status }) => status === 404));
  });

  test("execute what the admin invokes, and count for it", async () => {
    const { status, body } = await system.admin("POST", "/v1/functions/hello/invoke", { path: "/x" });
    assert.equal(status, 200);
    assert.deepEqual([body.status, body.body], [200, "hello"]);
    assert.ok(body.metrics.fuel > 0);
    const running = request(`${system.edgeUrl}/f/slow?ms=1000`);
    await until(async () => (await system.stats()).activeExecutions === 1);
    assert.equal((await system.admin("GET", "/v1/functions/slow")).body.activeExecutions, 1);
    assert.equal((await running).status, 200);
    assert.equal((await system.stats()).activeExecutions, 0);
  });

  test("reach the functions' database, one pool for all of them", async () => {
    await system.deploy(
      "database",
      `import { sql } from "thimble:db";
      /** @function */
      export default async () => (await sql\`select 1 + 1 as two\`)[0].two;`,
    );
    // The embedded database takes its time to start.
    await until(async () => (await request(`${system.edgeUrl}/f/database`)).status === 200);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => request(`${system.edgeUrl}/f/database`)),
    );
    assert.deepEqual([...new Set(answers.map(({ body }) => body))], ["2"]);
    const { pool } = await system.stats();
    assert.deepEqual([pool.initialized, pool.maxConnections], [true, 1]);
  });

  test("keep a function's concurrency together", async () => {
    await system.deploy("three", slow, { concurrency: 3 });
    let most = 0;
    let going = true;
    const watching = (async () => {
      while (going) most = Math.max(most, (await system.stats()).activeExecutions);
    })();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => request(`${system.edgeUrl}/f/three?ms=100`)),
    );
    going = false;
    await watching;
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(most, 3);
  });

  test("a killed one is replaced; requests of the other go on, and history and counters stay true", async () => {
    const counted = async () =>
      Number(
        /^thimble_executions_total\{function="hello",outcome="completed"\} (\d+)/m.exec(
          await (await fetch(`${system.adminUrl}/metrics`)).text(),
        )?.[1] ?? 0,
      );
    const earlier = await counted();
    await Promise.all(Array.from({ length: 20 }, () => request(`${system.edgeUrl}/f/hello`)));
    await until(async () => (await counted()) === earlier + 20);

    const before = await processesOf(system);
    const running = await Promise.allSettled([
      ...Array.from({ length: 8 }, () => request(`${system.edgeUrl}/f/slow?ms=1500`)),
      (async () => {
        await until(async () => (await system.stats()).activeExecutions === 8);
        // long enough to be in the history as running
        await sleep(500);
        process.kill(before[0]!.pid, "SIGKILL");
      })(),
    ]);
    const answered = running.filter(
      (one) => one.status === "fulfilled" && (one.value as Document)?.status === 200,
    );
    const broken = running.filter((one) => one.status === "rejected");
    assert.equal(answered.length + broken.length, 8);
    const after = await replaced(system, [before[0]!.pid]);
    assert.ok(after.some(({ pid }) => pid === before[1]!.pid));

    const rows = await system.invocations("slow", 8);
    const failed = rows.filter(({ status }) => status === "failed");
    assert.equal(failed.length, broken.length);
    for (const row of failed) {
      assert.equal(row.error, "The process that executed it ended: SIGKILL");
      assert.equal(row.errorCode, "internal_error");
    }
    assert.equal(await counted(), earlier + 20);
    assert.equal((await system.stats()).activeExecutions, 0);
    const metrics = await (await fetch(`${system.adminUrl}/metrics`)).text();
    assert.match(metrics, /^thimble_worker_ends_total 1$/m);
  });

  test("go on when a request belongs to a trace, which is in the history", async () => {
    const before = await processesOf(system);
    await system.deploy("traced", `export default () => "traced"`);
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
    await Promise.all(Array.from({ length: 10 }, () => fetch(`${system.edgeUrl}/f/traced`, { headers })));
    const rows = await system.invocations("traced", 10);
    assert.ok(rows.every((row) => row.traceId === traceId));
    const pids = (processes: Process[]) => processes.map(({ pid }) => pid);
    assert.deepEqual(pids(await processesOf(system)), pids(before));
  });

  test("connections that came while nobody accepted them are answered by who comes next", async () => {
    const before = await processesOf(system);
    for (const { pid } of before) process.kill(pid, "SIGKILL");
    const answers = await Promise.all(Array.from({ length: 10 }, () => request(`${system.edgeUrl}/f/hello`)));
    assert.ok(answers.every(({ status, body }) => status === 200 && body === "hello"));
    await replaced(
      system,
      before.map(({ pid }) => pid),
    );
  });

  test("one that hangs is killed and replaced", async () => {
    const [first] = await processesOf(system);
    process.kill(first!.pid, "SIGSTOP");
    await replaced(system, [first!.pid]);
    assert.ok(!isAlive(first!.pid));
    assert.match(system.log, /"reason":"it hung"/);
  });

  test("an invocation by the admin whose process ends is answered with an error", async () => {
    const invoked = system.admin("POST", "/v1/functions/slow/invoke", { path: "/", query: { ms: "4000" } });
    await until(async () => (await system.stats()).activeExecutions === 1);
    const before = await processesOf(system);
    for (const { pid } of before) process.kill(pid, "SIGKILL");
    const { status, body } = await invoked;
    assert.equal(status, 500);
    assert.equal(body.error.code, "internal_error");
    await replaced(
      system,
      before.map(({ pid }) => pid),
    );
  });

  test("SIGHUP replaces all of them without a failed request", async () => {
    const before = await processesOf(system);
    const agent = new Agent({ keepAlive: true, maxSockets: 3 });
    const kept = stream(`${system.edgeUrl}/f/hello`, "hello", agent);
    const fresh = stream(`${system.edgeUrl}/f/hello`, "hello", false);
    system.signal("SIGHUP");
    await replaced(
      system,
      before.map(({ pid }) => pid),
    );
    for (const { count, failures } of [await kept(), await fresh()]) {
      assert.deepEqual(failures, []);
      assert.ok(count > 10);
    }
    agent.destroy();
    assert.ok(before.every(({ pid }) => !isAlive(pid)));
  });

  test("end with the server, and also when it is killed", async () => {
    const first = await processesOf(system);
    assert.equal(await system.stop(), 0);
    assert.ok(first.every(({ pid }) => !isAlive(pid)));
    await system.restart();
    const second = await processesOf(system);
    await system.stop("SIGKILL");
    await until(async () => second.every(({ pid }) => !isAlive(pid)));
    await system.restart();
    assert.equal((await request(`${system.edgeUrl}/f/hello`)).body, "hello");
  });
});

test("a worker above its memory budget is replaced, and finishes what it is at", async () => {
  const system = await System.start({ THIMBLE_WORKERS: "1", THIMBLE_WORKER_MEMORY_MB: "400" });
  try {
    await system.deploy(
      "large",
      `export default async () => {
        const kept = new Uint8Array(100_000_000).fill(1);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        return String(kept.length);
      }`,
    );
    const [before] = await processesOf(system);
    const answers = await Promise.all(Array.from({ length: 5 }, () => request(`${system.edgeUrl}/f/large`)));
    assert.deepEqual([...new Set(answers.map(({ body }) => body))], ["100000000"]);
    await until(async () => {
      const now = await processesOf(system);
      return now.length === 1 && now[0]!.pid !== before!.pid;
    });
    assert.match(system.log, /"reason":"memory"/);
  } finally {
    await system.close();
  }
});
