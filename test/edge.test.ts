import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestServer, type TestServer } from "./support/test-server.ts";

interface ErrorDocument {
  error: { code: string; message: string; requestId: string };
}

describe("edge", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      FUNCTION_MAX_CONCURRENT: "2",
      FUNCTION_QUEUE_TIMEOUT_MS: "50",
      MAX_BODY_MB: "1",
    });
    for (const name of [
      "echo",
      "throw",
      "memory",
      "hang",
      "slow",
      "split",
      "interim",
      "cookies",
      "empty",
      "crash",
    ]) {
      const deployed = await server.deploy(name, name, name === "hang" ? { config: { timeoutMs: 300 } } : {});
      assert.equal(deployed.status, 201);
    }
  });
  after(() => server.close());

  const edge = (path: string, init?: RequestInit) => fetch(server.edgeUrl + path, init);
  const echo = async (path: string, init?: RequestInit) => {
    const response = await edge(path, init);
    assert.equal(response.status, 200);
    return (await response.json()) as {
      method: string;
      url: string;
      headers: [string, string][];
      body: string;
      bytes: number;
      env: Record<string, string>;
      context: Record<string, unknown>;
    };
  };
  const failure = async (response: Response, status: number, code: string) => {
    const document = (await response.json()) as ErrorDocument;
    assert.deepEqual([response.status, document.error.code], [status, code]);
    assert.deepEqual(Object.keys(document.error), ["code", "message", "requestId"]);
    assert.equal(response.headers.get("x-request-id"), document.error.requestId);
    return document.error;
  };
  /** Bytes as they are, and the whole answer. */
  const raw = async (bytes: string) => {
    const socket = connect(Number(new URL(server.edgeUrl).port), "127.0.0.1");
    socket.write(bytes);
    return text(socket);
  };

  test("shows the function method, rest of the path, query, headers and body", async () => {
    const { host } = new URL(server.edgeUrl);
    const seen = await echo("/f/echo/a%20b/c?x=1&y=%2F", {
      method: "PUT",
      body: "hello",
      headers: { "x-own": "1" },
    });
    assert.equal(seen.method, "PUT");
    assert.equal(seen.url, `http://${host}/a%20b/c?x=1&y=%2F`);
    assert.equal(seen.body, "hello");
    assert.ok(seen.headers.some(([name, value]) => name === "x-own" && value === "1"));
    assert.equal((await echo("/f/echo")).url, `http://${host}/`);
    assert.equal((await echo("/f/echo?q")).url, `http://${host}/?q`);
    assert.equal((await echo("/f/echo/")).url, `http://${host}/`);
  });

  test("tells the function its limits as variables (R2)", async () => {
    const { env, context } = await echo("/f/echo");
    assert.deepEqual(env, {
      FUNCTION_TIMEOUT_MS: "5000",
      FUNCTION_MAX_MEMORY_MB: "128",
      DB_TIMEOUT_MS: "5000",
    });
    assert.deepEqual([context.functionName, context.version], ["echo", 1]);
  });

  test("keeps headers of the connection from the function, and the function's from the client", async () => {
    const answer = await raw(
      "GET /f/echo HTTP/1.1\r\nHost: h\r\nConnection: close, x-private\r\nX-Private: 1\r\nTE: trailers\r\nX-Shown: 1\r\n\r\n",
    );
    const names = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))).headers.map(
      ([name]: [string]) => name,
    );
    assert.deepEqual(names.sort(), ["host", "x-shown"]);
    const cookies = await edge("/f/cookies");
    assert.deepEqual(cookies.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(cookies.headers.get("content-length"), "2");
    assert.equal(cookies.headers.get("transfer-encoding"), null);
    assert.equal(await cookies.text(), "ok");
  });

  test("passes a valid request id on and replaces an invalid one", async () => {
    const kept = await edge("/f/echo", { headers: { "x-request-id": "abc-1.2" } });
    assert.equal(kept.headers.get("x-request-id"), "abc-1.2");
    assert.equal(((await kept.json()) as { context: { requestId: string } }).context.requestId, "abc-1.2");
    const replaced = await edge("/f/echo", { headers: { "x-request-id": "a b{}" } });
    assert.match(replaced.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  });

  test("answers HEAD without a body, and statuses that have none", async () => {
    const head = await edge("/f/echo", { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    const empty = await edge("/f/empty");
    assert.equal(empty.status, 204);
    assert.equal(await empty.text(), "");
  });

  test("refuses bodies over the limit, by their length and by counting", async () => {
    const big = randomBytes(20_000_000);
    await failure(await edge("/f/echo", { method: "POST", body: big }), 413, "payload_too_large");
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 20; i++) controller.enqueue(big.subarray(0, 100_000));
        controller.close();
      },
    });
    const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
    await failure(await edge("/f/echo", init), 413, "payload_too_large");
    assert.equal(
      (await echo("/f/echo", { method: "POST", body: big.subarray(0, 1024 * 1024) })).bytes,
      1024 * 1024,
    );
  });

  test("takes chunked bodies whole", async () => {
    const stream = new ReadableStream({
      start(controller) {
        for (const part of ["one,", "two"]) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    assert.equal(
      (await echo("/f/echo", { method: "POST", body: stream, duplex: "half" } as RequestInit)).body,
      "one,two",
    );
  });

  test("knows no unknown functions and paths", async () => {
    await failure(await edge("/f/nobody"), 404, "function_not_found");
    await failure(await edge("/f/%65cho"), 404, "function_not_found");
    await failure(await edge("/elsewhere"), 404, "not_found");
    await failure(await edge("/v1/functions"), 404, "not_found");
    await failure(await edge("/f/constructor"), 404, "function_not_found");
  });

  test("turns every way to fail into its code, and tells clients nothing more", async () => {
    const thrown = await failure(await edge("/f/throw"), 500, "function_error");
    assert.equal(thrown.message, "The function threw an error");
    await failure(await edge("/f/memory"), 500, "memory_limit");
    const crashed = await failure(await edge("/f/crash"), 500, "internal_error");
    assert.ok(!crashed.message.includes("secret"));
    await failure(await edge("/f/interim"), 502, "invalid_response");
    const split = await edge("/f/split");
    assert.equal(split.headers.get("set-cookie"), null);
    await failure(split, 502, "invalid_response");
    const logged = server.logged.find((line) => line.requestId === thrown.requestId);
    assert.equal(logged?.error, "TypeError: secret detail");
    assert.equal(logged?.stack, "at secret.ts:1");
  });

  test("ends an execution at its limit with execution_timeout", async () => {
    const error = await failure(await edge("/f/hang"), 504, "execution_timeout");
    assert.equal(error.message, "Execution timed out after 300 ms");
  });

  test("refuses beyond the concurrency limit after the queue time (R2)", async () => {
    const responses = await Promise.all([edge("/f/slow"), edge("/f/slow"), edge("/f/slow")]);
    const refused = responses.filter((response) => response.status === 429);
    assert.equal(refused.length, 1);
    assert.equal(refused[0]?.headers.get("retry-after"), "1");
    await failure(refused[0] as Response, 429, "concurrency_limit");
    assert.equal((await edge("/f/slow")).status, 200);
  });

  test("aborts the execution when its client goes away", async () => {
    const client = new AbortController();
    const started = performance.now();
    const gone = edge("/f/hang", { signal: client.signal });
    await sleep(50);
    client.abort();
    await assert.rejects(gone);
    while (!server.logged.some((line) => line.outcome === "aborted")) {
      assert.ok(performance.now() - started < 280, "went on to its time limit");
      await sleep(5);
    }
    const stats = (await (await server.admin("GET", "/v1/stats")).json()) as { activeExecutions: number };
    assert.equal(stats.activeExecutions, 0);
  });

  test("refuses malformed hosts, requests and methods in the one shape", async () => {
    for (const host of ["a/b", "a@b", "", "a b", "[::1", "x:99999999"]) {
      const answer = await raw(`GET /f/echo HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      if (host === "") continue;
      assert.match(answer, /^HTTP\/1.1 400 /, `${host}: ${answer}`);
      assert.match(answer, /"code":"invalid_input"/);
    }
    assert.match(await raw("nonsense\r\n\r\n"), /400 Bad Request.*"code":"invalid_input"/s);
    assert.match(
      await raw("TRACE /f/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
      /"method_not_allowed"/,
    );
  });

  test("says that it is alive and ready", async () => {
    assert.deepEqual(await (await edge("/healthz")).json(), { status: "ok" });
    assert.deepEqual(await (await edge("/readyz")).json(), { status: "ready" });
  });
});

describe("edge, whole request (R7)", () => {
  test("bounds a body that does not come, and the execution by what is left", async () => {
    const server = await startTestServer({ FUNCTION_REQUEST_TIMEOUT_MS: "150" });
    await server.deploy("echo");
    await server.deploy("hang");
    const started = performance.now();
    const stuck = httpRequest(`${server.edgeUrl}/f/echo`, {
      method: "POST",
      headers: { "content-length": "10" },
    });
    stuck.write("abc");
    const [response] = await once(stuck, "response");
    assert.equal(response.statusCode, 504);
    assert.match(await text(response), /"execution_timeout".*Request timed out after 150 ms/);
    assert.ok(performance.now() - started < 600);
    stuck.destroy();
    const hung = (await (await fetch(`${server.edgeUrl}/f/hang`)).json()) as ErrorDocument;
    assert.equal(hung.error.message, "Execution timed out after 150 ms");
    await server.close();
  });
});

describe("edge, at the end", () => {
  test("finishes what is in flight, refuses what comes, and keeps the record", async () => {
    const server = await startTestServer();
    await server.deploy("slow");
    const inFlight = fetch(`${server.edgeUrl}/f/slow`);
    await sleep(50);
    const stopped = server.stop();
    const response = await inFlight;
    assert.equal(await response.text(), "slow");
    await stopped;
    await assert.rejects(fetch(`${server.edgeUrl}/healthz`));
    const again = await startTestServer({}, server.dataDir);
    const history = await again.admin("GET", "/v1/functions/slow/invocations");
    const { invocations } = (await history.json()) as { invocations: { status: string }[] };
    assert.deepEqual(
      invocations.map(({ status }) => status),
      ["completed"],
    );
    assert.equal(await (await fetch(`${again.edgeUrl}/f/slow`)).text(), "slow");
    await again.close();
  });
});
