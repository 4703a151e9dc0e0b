import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { Agent, get as httpGet, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Document, fixture, System, until } from "./support/system.ts";

/** Deployment as its users meet it (R5): without a gap, all or nothing, the same bytes every time, durable. */

let system: System;

before(async () => {
  system = await System.start();
  for (const version of [1, 2]) {
    await writeFile(
      join(system.folder, `v${version}.ts`),
      `/** @function */\nexport default async () => {
  await new Promise((resolve) => setTimeout(resolve, 30));
  return { answer: "v${version}" };
};\n`,
    );
  }
});
after(() => system?.close());

/** 50 requests a second until it is stopped; then, in the order of their start, what each was answered. */
function startTraffic(path: string): { started(): number; stop(): Promise<string[]> } {
  const answers: Promise<string>[] = [];
  const send = async () => {
    try {
      const response = await system.fetch(path);
      return response.status === 200 ? (await response.json()).answer : `status ${response.status}`;
    } catch (error) {
      return String(error);
    }
  };
  const timer = setInterval(() => answers.push(send()), 20);
  return {
    started: () => answers.length,
    stop: () => {
      clearInterval(timer);
      return Promise.all(answers);
    },
  };
}

describe("under traffic of 50 requests a second", () => {
  /** Does something during the traffic; every answer is 200, from `before` or `after`, and in the end only `after`. */
  async function assertSwitch(change: () => Promise<unknown>, before: string, after: string): Promise<void> {
    const traffic = startTraffic("steady");
    await until(async () => traffic.started() >= 10);
    await change();
    const switched = traffic.started();
    await until(async () => traffic.started() >= switched + 10);
    const answers = await traffic.stop();
    for (const answer of answers) assert.ok(answer === before || answer === after, answer);
    assert.deepEqual(new Set(answers.slice(0, 5)), new Set([before]));
    assert.deepEqual(new Set(answers.slice(switched)), new Set([after]), "at once and for all");
    const rows = await system.invocations("steady", Math.min(answers.length, 100));
    assert.deepEqual(new Set(rows.map((row) => row.status)), new Set(["completed"]));
  }

  test("a deployment loses no request and takes effect at once", async () => {
    await system.deployPath("steady", join(system.folder, "v1.ts"));
    await assertSwitch(() => system.deployPath("steady", join(system.folder, "v2.ts")), "v1", "v2");
  });

  test("so does a rollback", async () => {
    await assertSwitch(() => system.json(["rollback", "steady", "1"]), "v2", "v1");
    const { versions } = await system.json(["versions", "steady"]);
    assert.deepEqual(
      versions.map((one: Document) => [one.version, one.live]),
      [
        [2, false],
        [1, true],
      ],
    );
    assert.equal((await system.admin("POST", "/v1/functions/steady/rollback", { version: 3 })).status, 404);
    assert.equal((await system.call("steady")).body.answer, "v1");
  });

  test("a refused deployment disturbs nothing", async () => {
    const refuse = async () =>
      assert.equal((await system.cli(["deploy", "steady", fixture("refused")])).code, 1);
    await assertSwitch(refuse, "v1", "v1");
  });

  test("many deployments of one function at once are numbered without a gap, the last stays", async () => {
    const deployed = await Promise.all(
      Array.from({ length: 6 }, (_, n) => system.deploy("raced", `export default () => ({ n: ${n} });`)),
    );
    assert.deepEqual(deployed.map((one) => one.version).sort(), [1, 2, 3, 4, 5, 6]);
    const last = deployed.findIndex((one) => one.version === 6);
    assert.deepEqual((await system.call("raced")).body, { n: last });
    assert.equal((await system.admin("GET", "/v1/functions/raced")).body.version, 6);
  });
});

test("a build is the same twice, from another folder, and on the server", async () => {
  const elsewhere = join(system.folder, "deep/down/elsewhere");
  await mkdir(elsewhere, { recursive: true });
  await cp(fixture("features"), elsewhere, { recursive: true });
  await cp(fixture("packages/tiny-cjs"), join(elsewhere, "node_modules/tiny-cjs"), { recursive: true });
  const nearby = join(system.folder, "nearby");
  await cp(elsewhere, nearby, { recursive: true });

  const build = async (path: string, output: string) => {
    await system.json(["build", path, "-o", output]);
    return readFile(join(system.folder, output));
  };
  const [first, again, moved] = [
    await build(nearby, "1.wasm"),
    await build(nearby, "2.wasm"),
    await build(elsewhere, "3.wasm"),
  ];
  assert.ok(first.equals(again), "twice");
  assert.ok(first.equals(moved), "from another folder");
  assert.ok((await WebAssembly.compile(first)) instanceof WebAssembly.Module);
  assert.ok(!first.includes(system.folder), "no path of this machine is in it");

  await system.deployPath("built", elsewhere);
  const { body } = await system.admin("GET", "/v1/functions/built/versions");
  assert.equal(body.versions[0].artifactHash, createHash("sha256").update(first).digest("hex"));
  assert.equal(body.versions[0].artifactBytes, first.length);

  await writeFile(join(nearby, "data.json"), '{ "apple": 9 }\n');
  assert.ok(!(await build(nearby, "4.wasm")).equals(first), "other content, other bytes");
});

describe("a refused deployment", () => {
  test("tells every finding at once, and stores nothing", async () => {
    const files: Record<string, string> = {};
    for (const name of ["index.ts", "lib/compute.ts"])
      files[name] = await readFile(join(fixture("refused"), name), "utf8");
    const { status, body } = await system.admin("POST", "/v1/functions", { name: "refused", files });
    assert.equal(status, 422);
    assert.equal(body.error.code, "analysis_failed");
    const found = body.analysis.findings.map((one: Document) => `${one.rule} ${one.file}:${one.line}`);
    for (const expected of [
      "process-execution index.ts:1",
      "raw-socket index.ts:2",
      "config-invalid index.ts:5",
      "dynamic-code index.ts:9",
      "dynamic-code lib/compute.ts:2",
    ])
      assert.ok(found.includes(expected), `${expected} is not among\n${found.join("\n")}`);
    assert.ok(
      body.analysis.findings.some((one: Document) => /annotation/.test(one.rule)),
      "the missing annotation",
    );
    for (const { column, hint, message } of body.analysis.findings)
      assert.ok(column >= 1 && hint.length > 0 && message.length > 0);

    for (const path of ["refused", "refused/versions", "refused/invocations"])
      assert.equal((await system.admin("GET", `/v1/functions/${path}`)).status, 404, path);
    assert.equal((await system.call("refused")).body.error.code, "function_not_found");
  });

  test("shows a frame for each on the command line", async () => {
    const { code, stdout, stderr } = await system.cli(["deploy", "refused", fixture("refused")]);
    assert.deepEqual([code, stdout], [1, ""]);
    for (const place of ["index.ts:1:", "index.ts:2:", "index.ts:5:", "index.ts:9:", "lib/compute.ts:2:"])
      assert.ok(stderr.includes(place), `${place} is not in\n${stderr}`);
    assert.match(stderr, /child_process/);
  });

  test("top-level code that fails is refused, too", async () => {
    const source = "/** @function */\nexport default () => 1;\nthrow new Error('at the start');\n";
    const input = { name: "broken", files: { "index.ts": source } };
    const { status, body } = await system.admin("POST", "/v1/functions", input);
    assert.deepEqual([status, body.error.code], [422, "compile_failed"]);
    assert.match(body.error.message, /at the start/);
    assert.equal((await system.admin("GET", "/v1/functions/broken")).status, 404);
  });
});

describe("the end of the server", () => {
  const slow = (ms: number) =>
    `export default async () => { await new Promise((r) => setTimeout(r, ${ms})); return { answer: "slow" }; };`;
  const running = () => until(async () => (await system.stats()).activeExecutions > 0);

  test("kill -9 keeps what was acknowledged: functions, versions, which is live", async () => {
    await system.deploy("slow", slow(4_000));
    const lost = system.fetch("slow", { headers: { "x-request-id": "cut-off" } });
    lost.catch(() => {});
    const listed = async () => (await system.admin("GET", "/v1/functions/slow/invocations")).body.invocations;
    await until(async () => (await listed())[0]?.status === "running");
    for (const n of [1, 2, 3]) await system.deploy("kept", `export default () => ({ answer: ${n} });`);
    await system.admin("POST", "/v1/functions/kept/rollback", { version: 2 });
    await system.deploy("last-minute", "export default () => ({ here: true });");
    assert.equal(await system.stop("SIGKILL"), null);
    await assert.rejects(lost);

    await system.restart();
    assert.deepEqual((await system.call("last-minute")).body, { here: true });
    assert.deepEqual((await system.call("kept")).body, { answer: 2 }, "rolled back as before");
    assert.equal((await system.admin("GET", "/v1/functions/kept/versions")).body.versions.length, 3);
    const [row] = await listed();
    assert.deepEqual(
      [row.requestId, row.status],
      ["cut-off", "aborted"],
      "nothing runs for ever in the history",
    );
  });

  test("SIGTERM answers what is in flight, records it, and exits with 0", async () => {
    await system.deploy("draining", slow(2_000));
    const inFlight = Array.from({ length: 2 }, () => system.call("draining"));
    // A client that never gives a connection up by itself.
    const agent = new Agent({ keepAlive: true });
    const kept = once(httpGet(`${system.edgeUrl}/f/draining`, { agent }), "response");
    await until(async () => (await system.stats()).activeExecutions === 3);
    const exit = system.stop("SIGTERM");
    for (const { status, body } of await Promise.all(inFlight))
      assert.deepEqual([status, body.answer], [200, "slow"]);
    const [response] = (await kept) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    await response.toArray();
    const answered = performance.now();
    assert.equal(await exit, 0);
    // Connections are not kept for the five seconds in which clients could use them again.
    assert.ok(performance.now() - answered < 4_000, "ends soon after the last answer");
    agent.destroy();
    await assert.rejects(system.fetch("draining"), "nobody listens any more");

    await system.restart();
    const rows = await system.invocations("draining", 3);
    assert.deepEqual(
      rows.map((row) => row.status),
      ["completed", "completed", "completed"],
    );
    for (const row of rows) assert.ok(row.durationMs >= 1_900, String(row.durationMs));
  });

  test("a guest that never ends does not hold it up for longer than its limit", async () => {
    await system.deploy("endless", "export default () => { for (;;) {} };", { timeoutMs: 1_000 });
    const answer = system.call("endless");
    await running();
    assert.equal(await system.stop("SIGTERM"), 0);
    const { status, body } = await answer;
    assert.deepEqual([status, body.error.code], [504, "execution_timeout"]);
    await system.restart();
    assert.equal((await system.invocations("endless", 1))[0].status, "timeout");
  });

  test("a second signal ends it at once", async () => {
    await system.deploy("slow", slow(4_500));
    const lost = system.fetch("slow");
    lost.catch(() => {});
    await running();
    const exit = system.stop("SIGTERM");
    await until(async () => (await fetch(`${system.edgeUrl}/readyz`).catch(() => undefined))?.status !== 200);
    await sleep(50);
    system.signal("SIGTERM");
    assert.equal(await exit, 1);
    await assert.rejects(lost);
  });
});
