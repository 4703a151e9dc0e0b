import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { maskOf } from "../gateway/mask.ts";
import { connectEmbedded } from "../gateway/store/connect.ts";
import { MasterKeys } from "../gateway/store/master-keys.ts";
import { functionSecrets } from "../gateway/store/schema.ts";
import { Vault } from "../gateway/store/vault.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

describe("variables and secrets", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.deploy("echo");
  });
  after(() => server.close());

  const call = async (method: string, path: string, body?: unknown): Promise<[number, Document]> => {
    const response = await server.admin(method, `/v1/functions/${path}`, body);
    return [response.status, await response.json()];
  };
  const env = async (name = "echo") =>
    ((await (await fetch(`${server.edgeUrl}/f/${name}`)).json()) as Document).env;

  test("are in the environment of the next request, and gone with the one after their removal", async () => {
    const [, before] = await call("GET", "echo");
    const [status, { revision }] = await call("PUT", "echo/secrets/API_KEY", { value: "tok-1234567" });
    assert.deepEqual([status, revision], [200, before.revision + 1]);
    assert.equal((await env()).API_KEY, "tok-1234567");
    await call("PUT", "echo/secrets/API_KEY", { value: "tok-7654321" });
    assert.equal((await env()).API_KEY, "tok-7654321");
    assert.equal((await call("DELETE", "echo/secrets/API_KEY"))[0], 200);
    assert.ok(!("API_KEY" in (await env())));
    const [, now] = await call("GET", "echo");
    assert.deepEqual(
      [now.revision, now.version],
      [before.revision + 3, before.version],
      "a revision, no version",
    );
  });

  test("never come back: only names are shown", async () => {
    await call("PUT", "echo/secrets", { B: "value of b", A: "value of a" });
    const [, document] = await call("GET", "echo/secrets");
    assert.deepEqual(
      document.secrets.map((one: Document) => one.key),
      ["A", "B"],
    );
    assert.ok(!JSON.stringify(document).includes("value of"));
    assert.ok(!JSON.stringify(await call("GET", "echo")).includes("value of"));
    assert.ok(!JSON.stringify(server.logged).includes("value of"));
    assert.equal((await call("DELETE", "echo/secrets"))[0], 200);
    assert.deepEqual((await call("GET", "echo/secrets"))[1], { secrets: [] });
  });

  test("cannot take the place of what the platform sets", async () => {
    const [status, { error }] = await call("PUT", "echo/secrets/FUNCTION_TIMEOUT_MS", { value: "1" });
    assert.deepEqual([status, error.code], [400, "invalid_input"]);
    assert.equal((await env()).FUNCTION_TIMEOUT_MS, "5000");
  });

  test("are refused when malformed, and all or none of several are set", async () => {
    for (const [path, body, field] of [
      ["echo/secrets/1A", { value: "x" }, "key"],
      ["echo/secrets/a-b", { value: "x" }, "key"],
      [`echo/secrets/${"a".repeat(129)}`, { value: "x" }, "key"],
      ["echo/secrets/A", { value: 1 }, "value"],
      ["echo/secrets/A", {}, "value"],
      ["echo/secrets/A", { value: "a\0b" }, "value"],
      ["echo/secrets/A", { value: "x".repeat(32_769) }, "value"],
      ["echo/secrets/A", { value: "x", more: 1 }, "more"],
      ["echo/secrets", {}, "body"],
      ["echo/secrets", { GOOD: "x", "not good": "y" }, "not good"],
      ["echo/secrets", "{", "JSON"],
    ] as const) {
      const [status, { error }] = await call("PUT", path, body);
      assert.deepEqual(
        [status, error.code],
        [400, "invalid_input"],
        `${path} ${JSON.stringify(body).slice(0, 80)}`,
      );
      assert.ok(error.message.includes(field), error.message);
    }
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`K${n}`, "v"]));
    assert.equal((await call("PUT", "echo/secrets", many))[0], 400);
    await call("PUT", "echo/secrets/FIRST", { value: "x".repeat(30_000) });
    const [over, { error }] = await call("PUT", "echo/secrets/SECOND", { value: "y".repeat(3_000) });
    assert.deepEqual([over, error.code], [400, "invalid_input"], "too much together with those there are");
    assert.ok(!("SECOND" in (await env())));
    await call("DELETE", "echo/secrets");
    assert.deepEqual((await call("GET", "echo/secrets"))[1], { secrets: [] });
  });

  test("belong to a function that exists", async () => {
    assert.equal((await call("PUT", "nobody/secrets/A", { value: "x" }))[1].error.code, "function_not_found");
    assert.equal((await call("GET", "nobody/secrets"))[1].error.code, "function_not_found");
    assert.equal((await call("DELETE", "echo/secrets/NONE"))[1].error.code, "secret_not_found");
  });

  test("go with their function: one of the same name does not inherit them", async () => {
    await server.deploy("heir", "echo");
    await call("PUT", "heir/secrets/A", { value: "old owner" });
    await call("DELETE", "heir");
    await server.deploy("heir", "echo");
    assert.ok(!("A" in (await env("heir"))));
  });

  test("set at the same time, all are there in the end", async () => {
    await server.deploy("crowd", "echo");
    const keys = Array.from({ length: 12 }, (_, n) => `K${n}`);
    await Promise.all(keys.map((key) => call("PUT", `crowd/secrets/${key}`, { value: `${key}!` })));
    const seen = await env("crowd");
    for (const key of keys) assert.equal(seen[key], `${key}!`);
    const [, { revision }] = await call("GET", "crowd");
    assert.equal(revision, 2 + keys.length);
  });
});

describe("secrets at rest", () => {
  test("are sealed, survive a restart, and stop the start under another key", async () => {
    const first = await startTestServer();
    await first.deploy("echo");
    await first.admin("PUT", "/v1/functions/echo/secrets/API_KEY", { value: "plain-as-day-123" });
    await first.stop();
    const keyFile = join(first.dataDir, "master-key");
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
    const { db, close } = await connectEmbedded(first.dataDir);
    const rows = await db.select().from(functionSecrets);
    await close();
    assert.equal(rows.length, 1);
    assert.ok(!JSON.stringify(rows).includes("plain-as-day"));
    assert.ok(!Buffer.from(rows[0]!.sealed, "base64url").toString("latin1").includes("plain-as-day"));

    const again = await startTestServer({}, first.dataDir);
    const { env } = (await (await fetch(`${again.edgeUrl}/f/echo`)).json()) as Document;
    assert.equal(env.API_KEY, "plain-as-day-123");
    await again.stop();

    const key = readFileSync(keyFile, "utf8");
    const other = Buffer.alloc(32, 7).toString("hex");
    await assert.rejects(startTestServer({ THIMBLE_MASTER_KEY: other }, first.dataDir), {
      code: "master_key_wrong",
      message: /THIMBLE_MASTER_KEY/,
    });
    writeFileSync(keyFile, "not a key\n");
    await assert.rejects(startTestServer({}, first.dataDir), { code: "master_key_invalid" });
    const moved = await startTestServer({ THIMBLE_MASTER_KEY: key.trim() }, first.dataDir);
    await moved.stop();
    await rm(first.dataDir, { recursive: true });
  });

  test("cannot be changed or exchanged unnoticed", () => {
    const vault = new Vault([Buffer.alloc(32, 1)]);
    const sealed = vault.seal("value", "f/A");
    assert.equal(vault.open(sealed, "f/A"), "value");
    assert.notEqual(vault.seal("value", "f/A"), sealed, "a nonce of its own each time");
    assert.throws(() => vault.open(sealed, "f/B"), { code: "secret_damaged" });
    const [id, text = ""] = sealed.split(".");
    for (let at = 0; at < Buffer.from(text, "base64url").length; at++) {
      const bytes = Buffer.from(text, "base64url");
      bytes[at]! ^= 1;
      assert.throws(() => vault.open(`${id}.${bytes.toString("base64url")}`, "f/A"), {
        code: "secret_damaged",
      });
    }
    for (const bad of ["", id!, `${id}.`, `${id}.AAAA`])
      assert.throws(() => vault.open(bad, "f/A"), { name: "VaultError" });
  });

  test("a key from the setting leaves no file behind", () => {
    const keys = new MasterKeys({ masterKey: Buffer.alloc(32).toString("base64"), dataDir: "/nonexistent" });
    assert.equal(keys.add(), undefined);
    keys.forgetFormer();
  });
});

describe("a new master key", () => {
  const sealedIn = async (dataDir: string) => {
    const { db, close } = await connectEmbedded(dataDir);
    const rows = await db.select().from(functionSecrets);
    await close();
    return rows.map(({ sealed }) => sealed.split(".")[0]);
  };
  const rotate = async (server: TestServer) => {
    const response = await server.admin("POST", "/v1/master-key/rotation");
    return [response.status, await response.json()];
  };
  const greeting = async (server: TestServer) =>
    ((await (await fetch(`${server.edgeUrl}/f/echo`)).json()) as Document).env.GREETING;

  test("is made in the data folder, seals everything while secrets are set, and the former one is forgotten", async () => {
    const server = await startTestServer();
    await server.deploy("echo");
    const set = (values: Record<string, string>) => server.admin("PUT", "/v1/functions/echo/secrets", values);
    await set({ GREETING: "hello", OTHER: "x" });
    const keyFile = join(server.dataDir, "master-key");
    const former = readFileSync(keyFile, "utf8").trim();
    const crowd = Array.from({ length: 20 }, (_, n) => set({ [`KEY_${n}`]: "value" }));
    const [status, document] = await rotate(server);
    await Promise.all(crowd);
    assert.equal(status, 200);
    assert.equal((document as Document).keyMade, true);
    assert.ok((document as Document).resealed >= 2);
    const fresh = readFileSync(keyFile, "utf8").trim();
    assert.match(fresh, /^[\w-]{43}$/);
    assert.notEqual(fresh, former);
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
    assert.equal(await greeting(server), "hello");
    await server.stop();
    assert.equal(new Set(await sealedIn(server.dataDir)).size, 1, "all by one key");
    const again = await startTestServer({}, server.dataDir);
    assert.equal(await greeting(again), "hello");
    await again.stop();
    await assert.rejects(startTestServer({ THIMBLE_MASTER_KEY: former }, server.dataDir), {
      code: "master_key_wrong",
    });
    await rm(server.dataDir, { recursive: true });
  });

  test("can stand before the former one in the setting, which is taken away after the rotation", async () => {
    const [former, fresh] = ["11".repeat(32), "22".repeat(32)];
    const first = await startTestServer({ THIMBLE_MASTER_KEY: former });
    await first.deploy("echo");
    await first.admin("PUT", "/v1/functions/echo/secrets/GREETING", { value: "hello" });
    await first.stop();
    const both = await startTestServer({ THIMBLE_MASTER_KEY: `${fresh},${former}` }, first.dataDir);
    assert.equal(await greeting(both), "hello");
    assert.deepEqual(await rotate(both), [200, { resealed: 1, keyMade: false }]);
    assert.deepEqual(await rotate(both), [200, { resealed: 0, keyMade: false }]);
    await both.stop();
    const last = await startTestServer({ THIMBLE_MASTER_KEY: fresh }, first.dataDir);
    assert.equal(await greeting(last), "hello");
    await last.close();
  });

  test("that was written before a crash, but sealed nothing yet, does not lock anybody out", async () => {
    const first = await startTestServer();
    await first.deploy("echo");
    await first.admin("PUT", "/v1/functions/echo/secrets/GREETING", { value: "hello" });
    await first.stop();
    new MasterKeys({ dataDir: first.dataDir }).add();
    const again = await startTestServer({}, first.dataDir);
    assert.equal(await greeting(again), "hello");
    assert.deepEqual(await rotate(again), [200, { resealed: 1, keyMade: true }]);
    assert.equal(readFileSync(join(first.dataDir, "master-key"), "utf8").trim().split("\n").length, 1);
    await again.close();
  });
});

describe("secrets in logs", () => {
  test("are masked, as they are and as JSON and URLs write them", () => {
    const mask = maskOf(['p"ss wörd', "token-1", "token-12", "short"]);
    assert.equal(mask('a p"ss wörd b'), "a *** b");
    assert.equal(mask(JSON.stringify({ p: 'p"ss wörd' })), '{"p":"***"}');
    assert.equal(mask(`?p=${encodeURIComponent('p"ss wörd')}`), "?p=***");
    assert.equal(mask("token-12 token-1 tokens"), "*** *** tokens", "the longer one first");
    assert.equal(mask("short"), "short", "too short to be told from ordinary text");
    assert.equal(maskOf([".*+?^()|[]\\"])("a.*+?^()|[]\\b"), "a***b", "no pattern");
    assert.equal(maskOf(["\ud800lonely"])("\ud800lonely"), "***");
  });
});
