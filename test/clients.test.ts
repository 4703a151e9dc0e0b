import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { createEgress, type Egress } from "../runtime/host/egress/egress.ts";
import { inNode, inSandbox } from "./support/packages.ts";

/** Clients of services, unchanged, against a stand-in for what they talk to. */
const folder = path.join(import.meta.dirname, "fixtures", "packages");

async function body(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

const json = (response: ServerResponse, status: number, value: unknown): void => {
  response
    .writeHead(status, { "content-type": "application/json", "request-id": "req_1" })
    .end(JSON.stringify(value));
};

let flaky = false;

async function standIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const sent = await body(request);
  switch (`${request.method} ${request.url}`) {
    case "POST /v1/chat/completions": {
      assert.equal(request.headers.authorization, "Bearer key");
      const { stream, messages } = JSON.parse(sent);
      if (!stream)
        return json(response, 200, {
          choices: [{ message: { content: `you said ${messages[0].content}` } }],
        });
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const content of ["one ", "two ", "three"]) {
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
        await new Promise((next) => setTimeout(next, 5));
      }
      response.end("data: [DONE]\n\n");
      return;
    }
    case "POST /v1/customers":
      assert.equal(request.headers.authorization, "Bearer sk_test_1");
      return json(response, 200, {
        id: "cus_1",
        object: "customer",
        name: new URLSearchParams(sent).get("name"),
      });
    case "PUT /object":
      assert.match(request.headers.authorization ?? "", /^AWS4-HMAC-SHA256 Credential=AKID\//);
      assert.equal(sent, "content");
      response.writeHead(204).end();
      return;
    case "GET /late":
      await new Promise((next) => setTimeout(next, 500));
      return json(response, 200, "late");
    case "GET /flaky":
      // every other time
      flaky = !flaky;
      return json(response, flaky ? 503 : 200, { ok: !flaky });
    default:
      if (request.url?.startsWith("/echo"))
        return json(response, 200, {
          method: request.method,
          url: request.url,
          headers: [request.headers["x-a"], request.headers["x-b"]],
          type: request.headers["content-type"]?.split(";")[0],
          body: sent,
        });
      json(response, 404, { error: { message: "there is no such thing", type: "invalid_request_error" } });
  }
}

describe("clients of services", () => {
  const server = createServer((request, response) => void standIn(request, response));
  let egress: Egress;
  let origin = "";
  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    egress = createEgress({ allow: [`127.0.0.1:${(server.address() as AddressInfo).port}`] });
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await egress.close();
    server.closeAllConnections();
    server.close();
  });

  for (const [name, prefix] of [
    ["openai", "/v1"],
    ["stripe", ""],
    ["aws4fetch", ""],
    ["http-clients", ""],
  ] as const) {
    test(name, async () => {
      const file = path.join(folder, `${name}.ts`);
      const sandboxed = await inSandbox(file, {
        fetch: (request, bytes, signal) => egress.fetch(request, bytes, signal),
      });
      await using native = await inNode(file);
      const sent = { headers: { "x-upstream": origin + prefix } };
      const [here, there] = [await sandboxed(sent), await native(sent)];
      assert.deepEqual(JSON.parse(here.body), JSON.parse(there.body));
      assert.equal(here.status, 200);
    });
  }
});

describe("clients of what speaks TCP are refused by name", () => {
  for (const name of ["ioredis", "pg"]) {
    test(name, async () => {
      const answer = await (await inSandbox(path.join(folder, `${name}.ts`)))({});
      assert.match(answer.body, /node:net is not supported in a sandbox/);
    });
  }
});
