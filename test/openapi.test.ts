import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { startTestServer, type TestServer } from "./support/test-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

/** The description of the admin API, held against the server: what it says is what is answered. */
describe("OpenAPI description", () => {
  let server: TestServer;
  let api: Document;
  /** Operations whose good answer was seen. */
  const seen = new Set<string>();

  before(async () => {
    server = await startTestServer();
    api = await (await server.admin("GET", "/v1/openapi.json")).json();
  });
  after(() => server.close());

  /** Calls an operation and checks the answer against what is described for its status. */
  async function call(method: string, template: string, values: Record<string, string>, body?: unknown) {
    const operation = api.paths[template]?.[method.toLowerCase()];
    assert.ok(operation, `${method} ${template} is not described`);
    const path = template.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
    const response = await server.admin(method, path, body);
    const document: Document = await response.json();
    const described = operation.responses[response.status];
    assert.ok(described, `${method} ${template} answered ${response.status}, which is not described`);
    const { schema } = described.content["application/json"];
    const resolved = schema.$ref ? api.components.schemas[schema.$ref.split("/").at(-1)] : schema;
    const checked = z.fromJSONSchema(resolved).safeParse(document);
    assert.ok(
      checked.success,
      `${method} ${template}: ${checked.error?.message}\n${JSON.stringify(document)}`,
    );
    if (operation.requestBody && body !== undefined && response.status < 300) {
      const input = z.fromJSONSchema(operation.requestBody.content["application/json"].schema);
      assert.ok(
        input.safeParse(body).success,
        `${method} ${template}: the body that was taken is not described`,
      );
    }
    if (response.status < 300) seen.add(`${method} ${template}`);
    return document;
  }

  test("is OpenAPI 3.1, each operation with parameters, key and errors", () => {
    assert.equal(api.openapi, "3.1.0");
    for (const [path, operations] of Object.entries<Document>(api.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const [method, operation] of Object.entries<Document>(operations)) {
        const declared = operation.parameters.filter((one: Document) => one.in === "path");
        assert.deepEqual(
          declared.map((one: Document) => one.name),
          named,
          `${method} ${path}`,
        );
        assert.ok(
          operation.summary && operation.responses[401] && operation.responses[403],
          `${method} ${path}`,
        );
      }
    }
  });

  test("describes what every operation answers, good and bad", async () => {
    const name = { name: "described" };
    const files = { "index.ts": "/** @function echo */" };
    await call("POST", "/v1/functions", {}, { name: "described", files });
    await call("POST", "/v1/functions", {}, { name: "Not One", files });
    await call("POST", "/v1/functions", {}, { name: "described", files: { "index.ts": "no annotation" } });
    await call("GET", "/v1/functions", {});
    await call("GET", "/v1/functions/{name}", name);
    await call("GET", "/v1/functions/{name}", { name: "absent" });
    await call("POST", "/v1/functions/{name}/invoke", name, { body: { a: 1 }, query: { q: ["1", "2"] } });
    await server.deploy("failing", "throw");
    await call("POST", "/v1/functions/{name}/invoke", { name: "failing" }, {});
    await call("POST", "/v1/functions/{name}/invoke", name, { method: "not one" });
    await fetch(`${server.edgeUrl}/f/described`, {
      headers: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    });
    for (let rows = 0; rows < 2; ) {
      rows = (await call("GET", "/v1/functions/{name}/invocations", name)).invocations.length;
    }
    await call("GET", "/v1/functions/{name}/logs", name);
    await call("GET", "/v1/functions/{name}/versions", name);
    await call("POST", "/v1/functions/{name}/rollback", name, { version: 1 });
    await call("POST", "/v1/functions/{name}/rollback", name, { version: 9 });
    await call("PUT", "/v1/functions/{name}/traffic", name, { 1: 100, sticky: "header:x-user" });
    await call("PUT", "/v1/functions/{name}/traffic", name, { 1: 10 });
    await call("PUT", "/v1/functions/{name}/access", name, { access: "key" });
    await call("PUT", "/v1/functions/{name}/secrets", name, { A: "1", B: "2", C: "3" });
    await call("PUT", "/v1/functions/{name}/secrets/{key}", { ...name, key: "D" }, { value: "4" });
    await call("GET", "/v1/functions/{name}/secrets", name);
    await call("DELETE", "/v1/functions/{name}/secrets/{key}", { ...name, key: "A" });
    await call("DELETE", "/v1/functions/{name}/secrets/{key}", { ...name, key: "A" });
    await call("DELETE", "/v1/functions/{name}/secrets", name);
    const { id } = await call("POST", "/v1/keys", {}, { name: "k", scopes: ["read"], function: "described" });
    await call("GET", "/v1/keys", {});
    await call("DELETE", "/v1/keys/{id}", { id });
    await call("DELETE", "/v1/keys/{id}", { id: "none" });
    await call("POST", "/v1/master-key/rotation", {});
    await call("GET", "/v1/audit", {});
    await call("GET", "/v1/stats", {});
    await call("DELETE", "/v1/functions/{name}", name);
  });

  test("describes the form of a deployment field by field: those are taken, and no others", async () => {
    const { schema } = api.paths["/v1/functions"].post.requestBody.content["multipart/form-data"];
    assert.deepEqual([schema.required, schema.additionalProperties], [["name"], false]);
    const values: Record<string, string | Blob> = { config: "{}", name: "formed" };
    const send = async (fields: string[]) => {
      const form = new FormData();
      for (const field of fields) {
        const described = schema.properties[field];
        const isFile = (described?.items ?? described)?.contentMediaType && field !== "config";
        if (isFile) form.append(field, new Blob(["/** @function echo */"]), "index.ts");
        else form.append(field, values[field] ?? described?.enum?.[0] ?? "index.ts");
      }
      const headers = { authorization: `Bearer ${server.key}` };
      const response = await fetch(`${server.adminUrl}/v1/functions`, {
        method: "POST",
        headers,
        body: form,
      });
      return [response.status, ((await response.json()) as Document).error?.message];
    };
    const sourceFields = Object.keys(schema.properties).filter(
      (field) => !["module", "asset", "fileName"].includes(field),
    );
    assert.deepEqual(await send(sourceFields), [201, undefined]);
    assert.deepEqual(await send([...sourceFields, "surprise"]), [
      400,
      '"surprise" is no field of a deployment',
    ]);
    // The module gets as far as the compiler, which has none for these tests.
    assert.equal((await send(["name", "module", "asset", "fileName"]))[0], 422);
  });

  test("has no operation that the test before has not seen answer well", () => {
    const described = Object.entries<Document>(api.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const unseen = described.filter((one) => !seen.has(one) && one !== "GET /v1/openapi.json");
    assert.deepEqual(unseen, []);
  });
});
