import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { OPERATIONS } from "../gateway/admin/operations/index.ts";
import { allows, SCOPES } from "../gateway/scope.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

/** Every operation of the admin API, also those to come, against what goes wrong with requests. */

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

const files = { "index.ts": "/** @function one */" };

/** A good body for each operation that takes one, and what a second call like the first one is answered where it is no 200. */
const CALLS: Record<string, { body?: Record<string, unknown>; again?: number }> = {
  "POST /v1/functions": { body: { name: "f", files, config: { timeoutMs: 100 } } },
  "DELETE /v1/functions/:name": { again: 404 },
  "POST /v1/functions/:name/rollback": { body: { version: 1 } },
  "PUT /v1/functions/:name/traffic": { body: { 1: 100, sticky: "cookie" } },
  "PUT /v1/functions/:name/access": { body: { access: "public" } },
  "POST /v1/functions/:name/invoke": { body: { method: "POST", path: "/", body: { a: 1 } } },
  "PUT /v1/functions/:name/secrets": { body: { A: "1", B: "2" } },
  "PUT /v1/functions/:name/secrets/:key": { body: { value: "1" } },
  "DELETE /v1/functions/:name/secrets/:key": { again: 404 },
  "POST /v1/keys": { body: { name: "k", scopes: ["read"], function: "f" }, again: 201 },
};

let server: TestServer;
let api: Document;
const keys: Record<string, string> = {};

before(async () => {
  server = await startTestServer({ FUNCTION_QUEUE_LIMIT: "100" });
  api = await (await server.admin("GET", "/v1/openapi.json")).json();
  await good();
  for (const scope of SCOPES) keys[scope] = (await makeKey({ scopes: [scope] })).key;
  keys.elsewhere = (await makeKey({ scopes: ["admin"], function: "other" })).key;
});
after(() => server?.close());

const makeKey = async (input: object): Promise<Document> =>
  (await server.admin("POST", "/v1/keys", { name: "made", ...input })).json();

/** What the operations find: a function with a version, a secret, and a key, whose id is given. */
async function good(): Promise<Record<string, string>> {
  await server.admin("POST", "/v1/functions", { name: "f", files });
  await server.admin("PUT", "/v1/functions/f/secrets/A", { value: "1" });
  return { name: "f", key: "A", id: (await makeKey({ scopes: ["read"] })).id };
}

for (const operation of OPERATIONS) {
  const method = operation.method.toUpperCase();
  const { path, scope } = operation;
  const title = `${method} ${path}`;
  const { body, again = 200 } = CALLS[title] ?? {};
  const absent = { name: "absent", key: "ABSENT", id: "00000000-0000-4000-8000-000000000000" };
  const params = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);

  const at = (values: Record<string, string>) =>
    path.replace(/:(\w+)/g, (_, name: string) => values[name] ?? "");

  async function send(
    values: Record<string, string>,
    sent: unknown = body,
    { key = server.key, query = "" }: { key?: string | null; query?: string } = {},
  ): Promise<{ status: number; code: string | undefined }> {
    const response = await fetch(server.adminUrl + at(values) + query, {
      method,
      headers: {
        "content-type": "application/json",
        ...(key !== null && { authorization: `Bearer ${key}` }),
      },
      ...(sent !== undefined &&
        method !== "GET" && { body: typeof sent === "string" ? sent : JSON.stringify(sent) }),
    });
    const document: Document = await response.json();
    if (response.status >= 400)
      assert.ok(document.error.code && document.error.message && document.error.requestId);
    assert.equal(response.headers.get("x-request-id") !== null, true);
    return { status: response.status, code: document.error?.code };
  }

  const isRefused = async (sent: unknown, why: string, status = 400, code = "invalid_input") =>
    assert.deepEqual(await send({ name: "f", key: "A", id: absent.id }, sent), { status, code }, why);

  describe(title, () => {
    test("has an example here, if it takes a body", () => {
      assert.equal(operation.body !== undefined, body !== undefined);
    });

    test("asks for a key, also where there is nothing", async () => {
      for (const values of [{ name: "f", key: "A", id: absent.id }, absent])
        assert.deepEqual(await send(values, body, { key: null }), { status: 401, code: "unauthorized" });
    });

    test("refuses keys of other scopes and other functions, before it looks at anything else", async () => {
      const sent = operation.restrict ? body : "{";
      for (const own of SCOPES) {
        if (scope === null || allows([own], scope)) continue;
        const { status, code } = await send(absent, sent, { key: keys[own]! });
        assert.deepEqual([own, status, code], [own, 403, "forbidden"]);
      }
      // The list shows such a key its own function; the description is for every key.
      if (scope === null || title === "GET /v1/functions") return;
      const { status, code } = await send({ name: "f", key: "A", id: absent.id }, body, {
        key: keys.elsewhere!,
      });
      assert.deepEqual([status, code], [403, "forbidden"]);
    });

    if (params.length > 0) {
      test("answers 404 for what is not there, and for names that cannot be", async () => {
        for (const values of [
          absent,
          { name: "../x", key: "..", id: "1 or 1=1" },
          { name: "A".repeat(9_000), key: "x", id: "\0" },
        ]) {
          const encoded = Object.fromEntries(
            Object.entries(values).map(([name, value]) => [name, encodeURIComponent(value)]),
          );
          const { status, code } = await send(encoded as typeof absent);
          assert.ok(
            status === 404 || status === 400,
            `${JSON.stringify(values).slice(0, 60)}: ${status} ${code}`,
          );
        }
      });
    }

    if (body !== undefined) {
      const schema = () => {
        const { requestBody } = api.paths[path.replace(/:(\w+)/g, "{$1}")][operation.method];
        return z.fromJSONSchema(requestBody.content["application/json"].schema);
      };

      test("refuses what is no JSON, or another kind of it", async () => {
        for (const text of [
          "",
          "{",
          "nul",
          '"text"',
          "[]",
          "7",
          "null",
          '{"__proto__":{}}',
          "[".repeat(100_000),
        ])
          await isRefused(text, text.slice(0, 20));
        await isRefused(Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1"), "bytes");
      });

      test("refuses a body that is too large, before it has come", async () => {
        const headers = {
          authorization: `Bearer ${server.key}`,
          "content-type": "application/json",
          "content-length": 70_000_000,
        };
        const sending = request(server.adminUrl + at({ name: "f", key: "A", id: absent.id }), {
          method,
          headers,
        });
        sending.on("error", () => {});
        sending.flushHeaders();
        const [response] = await once(sending, "response");
        assert.equal(response.statusCode, 413);
        sending.destroy();
      });

      test("refuses each field of another type than is described, fields that are missing and others than there are", async () => {
        const described = schema();
        const wrong = [null, 7, -1, 1.5, true, [], {}, [null], "", "\0", "\ud800", "x".repeat(40_000)];
        let refused = 0;
        for (const field of Object.keys(body)) {
          for (const value of wrong) {
            const sent = { ...body, [field]: value };
            if (described.safeParse(sent).success) continue;
            await isRefused(sent, `${field}: ${JSON.stringify(value).slice(0, 40)}`);
            refused++;
          }
          const { [field]: _, ...missing } = body;
          if (!described.safeParse(missing).success) await isRefused(missing, `without ${field}`);
        }
        assert.ok(refused > 0 || title.endsWith("/invoke"), "something can be wrong");
        const more = { ...body, "surprise!": true };
        assert.ok(!described.safeParse(more).success || title.endsWith("/traffic"));
        await isRefused(more, "a field more");
      });
    }

    if (operation.query) {
      test("refuses queries that are none", async () => {
        for (const query of ["?limit=many", "?limit=-1", "?limit=1e9", "?limit="]) {
          const { status, code } = await send({ name: "f", key: "A", id: absent.id }, body, { query });
          assert.deepEqual([query, status, code], [query, 400, "invalid_input"]);
        }
      });
    }

    test("does it, and says the same or that it is done when it is told again", async () => {
      const values = await good();
      const first = await send(values);
      assert.ok(first.status === 200 || first.status === 201, `${first.status} ${first.code}`);
      assert.equal((await send(values)).status, again);
    });

    test("takes the same from many at once", async () => {
      const values = await good();
      const all = await Promise.all(Array.from({ length: 8 }, () => send(values)));
      for (const { status, code } of all) assert.ok([200, 201, again].includes(status), `${status} ${code}`);
      assert.ok(all.some(({ status }) => status < 300));
    });
  });
}

test("nothing of this was a fault of the platform's", () => {
  assert.deepEqual(
    server.logged.filter(({ level }) => Number(level) >= 50),
    [],
  );
});
