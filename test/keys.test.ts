import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FailureLimit } from "../gateway/admin/failure-limit.ts";
import { OPERATIONS } from "../gateway/admin/operations/index.ts";
import { allows, SCOPES } from "../gateway/scope.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

const bodyOf = (path: string): unknown => {
  if (path === "/v1/functions") return { name: "guarded", files: { "index.ts": "/** @function echo */" } };
  if (path.endsWith("/traffic")) return { 1: 100 };
  if (path.endsWith("/rollback")) return { version: 1 };
  if (path.endsWith("/access")) return { access: "public" };
  if (path.endsWith("/secrets")) return { A: "b" };
  if (path.endsWith("/secrets/:key")) return { value: "b" };
  if (path === "/v1/keys") return { name: "made", scopes: ["read"] };
  return {};
};

describe("keys of the admin API", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.deploy("guarded", "echo");
    await server.deploy("other", "echo");
  });
  after(() => server.close());

  const call = async (method: string, path: string, body?: unknown): Promise<[number, Document]> => {
    const response = await server.admin(method, path, body);
    return [response.status, await response.json()];
  };
  const make = async (input: Record<string, unknown>): Promise<Document> => {
    const [status, document] = await call("POST", "/v1/keys", { name: "test", ...input });
    assert.equal(status, 201, JSON.stringify(document));
    return document;
  };
  const as = async (
    key: string,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<[number, Document]> => {
    const response = await fetch(server.adminUrl + path, {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return [response.status, await response.json()];
  };
  const pathOf = (path: string) =>
    path
      .replace(":name", "guarded")
      .replace(":key", "A")
      .replace(":id", "00000000-0000-4000-8000-000000000000");

  for (const { method, path, scope, body } of OPERATIONS) {
    test(`${method.toUpperCase()} ${path} is refused without a key, and with keys of any other scope`, async () => {
      const bare = await fetch(server.adminUrl + pathOf(path), { method: method.toUpperCase() });
      assert.deepEqual([bare.status, ((await bare.json()) as Document).error.code], [401, "unauthorized"]);
      for (const held of SCOPES) {
        if (scope === null || allows([held], scope)) continue;
        const { key } = await make({ scopes: [held] });
        const input = body === undefined ? undefined : bodyOf(path);
        const [status, { error }] = await as(key, method.toUpperCase(), pathOf(path), input);
        assert.deepEqual([status, error.code], [403, "forbidden"], held);
        assert.ok(error.message.includes(`"${scope}"`), error.message);
      }
    });

    if (body) {
      test(`${method.toUpperCase()} ${path} refuses a body that is malformed, of a wrong type, or too large`, async () => {
        for (const bad of ["", "{", "null", "[]", '"text"', "7", "\u0000"]) {
          const [status, { error }] = await call(method.toUpperCase(), pathOf(path), bad);
          assert.deepEqual([status, error.code], [400, "invalid_input"], JSON.stringify(bad));
        }
        const response = await fetch(server.adminUrl + pathOf(path), {
          method: method.toUpperCase(),
          headers: { authorization: `Bearer ${server.key}` },
          body: new Uint8Array(64 * 1048576 + 1).fill(32),
        });
        assert.deepEqual(
          [response.status, ((await response.json()) as Document).error.code],
          [413, "payload_too_large"],
        );
      });
    }
  }

  test("a scope suffices for what it names", async () => {
    const { key } = await make({ scopes: ["invoke"] });
    assert.equal((await as(key, "POST", "/v1/functions/guarded/invoke", {}))[0], 200);
    const deployer = await make({ scopes: ["deploy"] });
    const input = { name: "by-key", files: { "index.ts": "/** @function one */" } };
    assert.equal((await as(deployer.key, "POST", "/v1/functions", input))[0], 201);
    assert.equal((await as(deployer.key, "GET", "/v1/functions"))[0], 200, "who deploys may look");
    const admin = await make({ scopes: ["admin"] });
    assert.equal((await as(admin.key, "GET", "/v1/keys"))[0], 200);
  });

  test("a key for one function is good for no other", async () => {
    const { key } = await make({ scopes: ["deploy", "invoke"], function: "guarded" });
    assert.equal((await as(key, "GET", "/v1/functions/guarded"))[0], 200);
    for (const [method, path, body] of [
      ["GET", "/v1/functions/other"],
      ["DELETE", "/v1/functions/other"],
      ["POST", "/v1/functions/other/invoke", {}],
      ["POST", "/v1/functions", { name: "third", files: { "index.ts": "/** @function one */" } }],
      ["GET", "/v1/stats"],
    ] as const) {
      const [status, { error }] = await as(key, method, path, body);
      assert.deepEqual([status, error.code], [403, "forbidden"], `${method} ${path}`);
    }
    const [, { functions }] = await as(key, "GET", "/v1/functions");
    assert.deepEqual(
      functions.map((one: Document) => one.name),
      ["guarded"],
    );
    const input = { name: "guarded", files: { "index.ts": "/** @function one */" } };
    assert.equal((await as(key, "POST", "/v1/functions", input))[0], 201);
  });

  test("is shown once, listed without itself, and refused once it is revoked or expired", async () => {
    const made = await make({
      name: "ci of the shop",
      scopes: ["read"],
      expiresAt: new Date(Date.now() + 700).toISOString(),
    });
    const lasting = await make({ scopes: ["read"] });
    assert.match(made.key, /^thk_[\w-]{43}$/);
    assert.equal((await as(made.key, "GET", "/v1/functions"))[0], 200);
    const [, { keys }] = await call("GET", "/v1/keys");
    const listed = keys.find((one: Document) => one.id === made.id);
    assert.deepEqual([listed.name, listed.scopes, listed.function], ["ci of the shop", ["read"], null]);
    assert.ok(listed.lastUsedAt);
    assert.ok(!JSON.stringify(keys).includes(made.key));
    await sleep(750);
    assert.equal((await as(made.key, "GET", "/v1/functions"))[0], 401);
    assert.equal((await call("DELETE", `/v1/keys/${lasting.id}`))[0], 200);
    assert.equal((await as(lasting.key, "GET", "/v1/functions"))[0], 401);
    const [status, again] = await call("DELETE", `/v1/keys/${lasting.id}`);
    assert.equal(status, 200, "twice does no harm");
    assert.ok(again.revokedAt);
    for (const id of ["nonsense", "00000000-0000-4000-8000-000000000000", "%00"])
      assert.equal((await call("DELETE", `/v1/keys/${id}`))[1].error.code, "key_not_found");
  });

  test("is refused when malformed", async () => {
    for (const [input, field] of [
      [{ scopes: ["read"] }, "name"],
      [{ name: "x" }, "scopes"],
      [{ name: "x", scopes: [] }, "scopes"],
      [{ name: "x", scopes: ["root"] }, "scopes"],
      [{ name: "x\u001b[31m", scopes: ["read"] }, "name"],
      [{ name: "x", scopes: ["read"], function: "Not One" }, "function"],
      [{ name: "x", scopes: ["read"], expiresAt: "2001-01-01T00:00:00Z" }, "expiresAt"],
      [{ name: "x", scopes: ["read"], expiresAt: "soon" }, "expiresAt"],
    ] as const) {
      const [status, { error }] = await call("POST", "/v1/keys", input);
      assert.deepEqual([status, error.code], [400, "invalid_input"]);
      assert.ok(error.message.includes(field), error.message);
    }
  });

  test("every change is in the audit log with who made it, and so is who was refused", async () => {
    const { key, id } = await make({ name: "auditor's friend", scopes: ["read"] });
    await as(key, "DELETE", "/v1/functions/other");
    await as("wrong-key-0123456789", "POST", "/v1/functions/other/rollback", { version: 1 });
    await call("PUT", "/v1/functions/other/secrets/TOKEN", { value: "not in the log" });
    await call("DELETE", "/v1/functions/absent");
    const [, { entries }] = await call("GET", "/v1/audit?limit=10");
    const seen = entries.map(({ actor, action, functionName, status }: Document) => [
      actor,
      action,
      functionName,
      status,
    ]);
    for (const expected of [
      [`auditor's friend (${id})`, "DELETE /v1/functions/:name", "other", 403],
      ["unknown", "POST /v1/functions/:name/rollback", "other", 401],
      ["admin", "PUT /v1/functions/:name/secrets/:key", "other", 200],
      ["admin", "DELETE /v1/functions/:name", "absent", 404],
      ["admin", "POST /v1/keys", null, 201],
    ])
      assert.ok(
        seen.some((one: unknown) => JSON.stringify(one) === JSON.stringify(expected)),
        `${expected} is not among ${JSON.stringify(seen)}`,
      );
    assert.ok(!JSON.stringify(entries).includes("not in the log"));
    const [, ofOther] = await call("GET", "/v1/audit?function=other");
    assert.ok(ofOther.entries.length > 0);
    assert.ok(ofOther.entries.every((one: Document) => one.functionName === "other"));
  });
});

describe("functions that ask for a key", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.deploy("private", "echo");
  });
  after(() => server.close());

  const keyFor = async (input: Record<string, unknown>): Promise<Document> =>
    (await server.admin("POST", "/v1/keys", { name: "client", ...input })).json();
  const get = (key?: string, path = "private") =>
    fetch(`${server.edgeUrl}/f/${path}`, key === undefined ? {} : { headers: { "x-function-key": key } });

  test("answer those with a key for them, and nobody else, previews included", async () => {
    const early = await keyFor({ scopes: ["invoke"], function: "private" });
    assert.equal((await get()).status, 200);
    const changed = await server.admin("PUT", "/v1/functions/private/access", { access: "key" });
    const { function: fn } = (await changed.json()) as Document;
    assert.equal(fn.access, "key");
    for (const path of ["private", "private/deep", fn.previews[1].slice(3)]) {
      const response = await get(undefined, path);
      assert.deepEqual(
        [response.status, ((await response.json()) as Document).error.code],
        [401, "unauthorized"],
      );
    }
    const late = await keyFor({ scopes: ["invoke"] });
    const reader = await keyFor({ scopes: ["read"] });
    const foreign = await keyFor({ scopes: ["invoke"], function: "another" });
    assert.equal((await get(early.key)).status, 200);
    assert.equal((await get(late.key)).status, 200);
    assert.equal((await get(reader.key)).status, 401);
    assert.equal((await get(foreign.key)).status, 401);
    assert.equal((await get("nonsense")).status, 401);
    assert.ok(!(await (await get(early.key)).text()).includes(early.key), "the function does not see it");

    await server.admin("DELETE", `/v1/keys/${late.id}`);
    assert.equal((await get(late.key)).status, 401, "revoked at once");
    const brief = await keyFor({ scopes: ["invoke"], expiresAt: new Date(Date.now() + 400).toISOString() });
    assert.equal((await get(brief.key)).status, 200);
    await sleep(450);
    assert.equal((await get(brief.key)).status, 401, "expired without being told");

    await server.admin("PUT", "/v1/functions/private/access", { access: "public" });
    assert.equal((await get()).status, 200);
  });
});

describe("guessing keys", () => {
  test("ends after 20 wrong ones from an address, for that address", async () => {
    const server = await startTestServer();
    const guess = () =>
      fetch(`${server.adminUrl}/v1/stats`, { headers: { authorization: "Bearer guessed" } });
    for (let n = 0; n < 20; n++) assert.equal((await guess()).status, 401);
    const response = await guess();
    assert.equal(response.status, 429);
    assert.equal(((await response.json()) as Document).error.code, "too_many_failures");
    assert.match(response.headers.get("retry-after") ?? "", /^\d+$/);
    assert.equal(
      (await server.admin("GET", "/v1/stats")).status,
      429,
      "right or wrong, nothing is looked at",
    );
    await server.close();
  });

  test("is counted for each address by itself, and a bounded number of them", () => {
    const limit = new FailureLimit();
    for (let n = 0; n < 20; n++) limit.failed("1.2.3.4");
    assert.throws(() => limit.check("1.2.3.4"), { code: "too_many_failures" });
    limit.check("5.6.7.8");
    for (let n = 0; n < 10_000; n++) limit.failed(`address ${n}`);
    limit.check("1.2.3.4");
  });
});
