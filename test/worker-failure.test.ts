import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { wireServer } from "../gateway/cli/wiring.ts";
import { loadConfig } from "../gateway/config.ts";
import { loggerTo } from "../gateway/log.ts";
import { type RunningServer, startServer } from "../gateway/server.ts";
import { type Document, until } from "./support/system.ts";

/** Faults on the host's side of a worker, brought about by code that is loaded into it. */

const KEY = "worker-failure-test-key";

const faults = `
process.on("SIGUSR2", () => setImmediate(() => { throw new Error("a fault of the platform") }));
process.on("SIGPIPE", () => process.send({ tell: "giveBack", params: { key: "f", count: 1, wanted: 0 } }));
process.on("SIGWINCH", () => process.send({ tell: "heartbeat", params: { memoryBytes: "much" } }));
`;

describe("a worker process", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "thimble-failure-"));
  const logged: Document[] = [];
  let server: RunningServer;

  const admin = async (method: string, path: string, body?: unknown): Promise<Document> => {
    const response = await fetch(server.adminUrl + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return response.json();
  };
  const pidOf = async (): Promise<number> => (await admin("GET", "/v1/stats")).processes[0]?.pid;
  const replaced = (pid: number) =>
    until(async () => {
      const [worker] = (await admin("GET", "/v1/stats")).processes;
      return worker && worker.pid !== pid && worker.state === "ready";
    });

  before(async () => {
    const env = {
      ...{ THIMBLE_WORKERS: "1", PORT: "0", ADMIN_PORT: "0" },
      ...{ THIMBLE_ADMIN_KEY: KEY, THIMBLE_DATA_DIR: dataDir },
    };
    const config = loadConfig({ cwd: dataDir, env });
    const log = loggerTo("info", { write: (line) => void logged.push(JSON.parse(line)) });
    const deps = await wireServer(config, log);
    const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(faults)}`];
    server = await startServer(config, { ...deps, fleet: { ...deps.fleet, execArgv } as typeof deps.fleet });
    await admin("POST", "/v1/functions", {
      name: "slow",
      files: {
        "index.ts": `/** @function */
export default async () => { await new Promise((resolve) => setTimeout(resolve, 4000)); return "slept"; }`,
      },
    });
  });
  after(async () => {
    await server.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test("that fails by a fault of its own answers what it is at, and is replaced", async () => {
    const pid = await pidOf();
    const requests = Array.from({ length: 3 }, () => fetch(`${server.edgeUrl}/f/slow`));
    await until(async () => (await admin("GET", "/v1/stats")).activeExecutions === 3);
    process.kill(pid, "SIGUSR2");
    for (const response of await Promise.all(requests)) {
      assert.equal(response.status, 500);
      assert.equal(((await response.json()) as Document).error.code, "internal_error");
    }
    await replaced(pid);
    const failure = logged.find(({ msg }) => msg === "the worker failed");
    assert.equal(failure.err.message, "a fault of the platform");
    assert.equal(failure.worker, 1);
  });

  test("that gives back what it does not have is killed, and so is one whose messages have not their form", async () => {
    for (const [signal, reason] of [
      ["SIGPIPE", /^it broke the protocol: gave back 1 of 0 slots/],
      ["SIGWINCH", /^it broke the protocol: [\s\S]*memoryBytes/],
    ] as const) {
      await sleep(100);
      const pid = await pidOf();
      process.kill(pid, signal);
      await replaced(pid);
      const ended = logged.findLast(({ msg }) => msg === "a worker ended");
      assert.equal(ended.pid, pid);
      assert.match(ended.reason, reason);
    }
  });
});
