import assert from "node:assert/strict";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Admission } from "../gateway/admission.ts";
import { HeldAnswers } from "../gateway/edge/held-answers.ts";
import { LoadShedder } from "../gateway/edge/load-shedder.ts";
import type { Registry } from "../gateway/edge/registry.ts";
import { UnsentAnswers, type UnsentAnswersOptions } from "../gateway/edge/unsent-answers.ts";
import { silentLogger } from "../gateway/log.ts";
import { startTestServer, type TestServer } from "./support/test-server.ts";

/** What clients can have the server do by connections and requests that are slow, large or many. */

describe("connections", () => {
  let server: TestServer;
  let port: number;
  before(async () => {
    server = await startTestServer({
      FUNCTION_MAX_CONCURRENT: "40",
      FUNCTION_QUEUE_LIMIT: "0",
      MAX_CONNECTIONS: "10",
    });
    port = Number(new URL(server.edgeUrl).port);
    for (const name of ["one", "slow", "hang"]) assert.equal((await server.deploy(name)).status, 201);
  });
  after(() => server.close());

  const open = () => connect(port, "127.0.0.1");
  const raw = (bytes: string) => {
    const socket = open();
    socket.write(bytes);
    return text(socket);
  };
  const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`;
  const statuses = (answers: string) =>
    [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

  test("are answered in order when requests come in a row, and refused beyond what one may have under way", async () => {
    const few = await raw(get("/f/slow").repeat(5) + get("/f/one", "Connection: close\r\n"));
    assert.deepEqual(statuses(few), [200, 200, 200, 200, 200, 200]);
    const many = await raw(get("/f/slow").repeat(99) + get("/f/one", "Connection: close\r\n"));
    const codes = statuses(many);
    assert.equal(codes.length, 100);
    assert.deepEqual(codes.slice(0, 32), Array(32).fill(200));
    assert.deepEqual([...new Set(codes.slice(32))], [503]);
    assert.match(many, /"code":"overloaded","message":"There are too many requests on this connection/);
    assert.match(many, /^retry-after: 1/m);
  });

  test("go on after that, and with requests that come later", async () => {
    const socket = open();
    const answer = text(socket);
    socket.write(get("/f/slow").repeat(40));
    await sleep(500);
    socket.write(get("/f/one").repeat(3) + get("/f/one", "Connection: close\r\n"));
    assert.deepEqual(statuses(await answer).slice(40), [200, 200, 200, 200]);
  });

  test("beyond the limit are told to come again", async () => {
    const sockets = Array.from({ length: 10 }, open);
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    await sleep(50);
    const answer = await raw("");
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.match(answer, /^retry-after: 1\r$/m);
    assert.match(answer, /"code":"overloaded"/);
    for (const socket of sockets) socket.destroy();
    await sleep(50);
    assert.deepEqual(statuses(await raw(get("/f/one", "Connection: close\r\n"))), [200]);
  });

  test("with two hosts in a request are told so", async () => {
    const close = "Connection: close\r\n";
    assert.deepEqual(statuses(await raw(get("/f/one", `host: h\r\n${close}`))), [400]);
    assert.deepEqual(statuses(await raw(get("/f/one", `X-Host: h\r\n${close}`))), [200]);
  });

  test("with too large headers are told so", async () => {
    const answer = await raw(get("/f/one", `X-Large: ${"a".repeat(20_000)}\r\n`));
    assert.deepEqual(statuses(answer), [431]);
    assert.match(answer, /"code":"headers_too_large"/);
    const url = await raw(get(`/f/one?${"a".repeat(20_000)}`));
    assert.deepEqual(statuses(url), [431]);
  });

  test("whose headers do not come end with request_timeout", async () => {
    const began = performance.now();
    const answer = await raw("GET /f/one HTTP/1.1\r\nHost: h\r\nX-Slow");
    assert.deepEqual(statuses(answer), [408]);
    assert.match(answer, /"code":"request_timeout"/);
    assert.ok(performance.now() - began >= 9_900);
  });

  test("that are idle are closed after a while", async () => {
    const began = performance.now();
    assert.deepEqual(statuses(await raw(get("/f/one"))), [200]);
    assert.ok(performance.now() - began >= 4_900);
  });

  test("that a client leaves end what they had under way", async () => {
    const agents = Array.from({ length: 3 }, () => {
      const request = httpRequest({ port, host: "127.0.0.1", path: "/f/hang", agent: false });
      request.on("error", () => {});
      request.end();
      return request;
    });
    const active = async () =>
      ((await (await server.admin("GET", "/v1/stats")).json()) as Stats).activeExecutions;
    while ((await active()) !== 3) await sleep(10);
    for (const request of agents) request.destroy();
    while ((await active()) !== 0) await sleep(10);
  });
});

interface Stats {
  activeExecutions: number;
}

describe("load shedding", () => {
  const request = (url: string) => ({ url }) as IncomingMessage;
  const parts = () => {
    const refused: string[] = [];
    const admission = new Admission({
      ...{ queueTimeoutMs: 10_000, queueLimit: 1, limit: 10, totalQueueLimit: 2 },
    });
    const registry = {
      find: (name: string) => (name.length === 1 ? { main: { limits: { concurrency: 1 } } } : undefined),
    } as unknown as Registry;
    const metrics = { refused: (name: string, code: string) => void refused.push(`${name} ${code}`) };
    return {
      shedder: new LoadShedder({ admission, registry, metrics, log: silentLogger() }),
      admission,
      refused,
    };
  };

  test("refuses what admission would refuse, and counts it", async () => {
    const { shedder, admission, refused } = parts();
    const slots = [admission.acquire("a", 1), admission.acquire("a", 1)];
    assert.equal(shedder.refusal(request("/f/a/b?c"))?.code, "concurrency_limit");
    assert.equal(shedder.refusal(request("/f/b")), undefined);
    slots.push(admission.acquire("b", 1), admission.acquire("b", 1));
    assert.equal(shedder.refusal(request("/f/c"))?.code, "overloaded");
    assert.deepEqual(refused, ["a concurrency_limit", "c overloaded"]);
    assert.equal(shedder.refusal(request("/healthz")), undefined);
    for (const slot of slots) (await slot)();
  });

  test("refuses what comes when a turn of the event loop has taken too long, and no more in the next", async () => {
    const { shedder, refused } = parts();
    for (let i = 0; i < 100; i++) assert.equal(shedder.refusal(request("/f/a")), undefined);
    const until = performance.now() + 550;
    while (performance.now() < until);
    assert.equal(shedder.refusal(request("/f/a"))?.code, "overloaded");
    // names that there are not make no counters
    assert.equal(shedder.refusal(request(`/f/${"x".repeat(1000)}`))?.code, "overloaded");
    assert.deepEqual(refused, ["a overloaded"]);
    assert.equal(shedder.refusal(request("/healthz")), undefined);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(shedder.refusal(request("/f/a")), undefined);
  });
});

describe("answers that nobody takes", () => {
  const bytes = 20_000_000;

  /** A server of large answers, and clients of it that read nothing at first. */
  async function serving(options: UnsentAnswersOptions) {
    const unsent = new UnsentAnswers(options);
    const server = createServer((_request, answer) => {
      answer.on("close", () => unsent.remove(answer));
      answer.end(Buffer.alloc(bytes));
      unsent.add(answer, bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const ask = async () => {
      const socket = connect(port, "127.0.0.1").pause();
      socket.on("error", () => {});
      const asked = new Promise((resolve) => server.once("request", resolve));
      socket.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      await asked;
      return socket;
    };
    return { server, ask };
  }
  const received = async (socket: Socket) => {
    let length = 0;
    socket.on("data", (chunk) => {
      length += chunk.length;
    });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    await closed;
    return length;
  };

  test("are cut off, those that wait longest first, when they are too many", async () => {
    const { server, ask } = await serving({ maxBytes: 2.5 * bytes });
    const [first, second, third] = [await ask(), await ask(), await ask()];
    await sleep(50);
    const [one, two, three] = await Promise.all([first, second, third].map(received));
    assert.ok(one! < bytes, `${one}`);
    assert.ok(two! > bytes && three! > bytes);
    // what has been taken counts no longer
    assert.ok((await received(await ask())) > bytes);
    server.close();
  });

  test("are cut off when nothing is taken for long, and not when it goes on slowly", async () => {
    const { server, ask } = await serving({ stallMs: 400 });
    const [stalled, slow] = [await ask(), await ask()];
    let length = 0;
    slow.on("data", (chunk) => {
      length += chunk.length;
      slow.pause();
      setTimeout(() => slow.resume(), 5);
    });
    slow.resume();
    await new Promise((resolve) => slow.once("close", resolve));
    assert.ok(length > bytes, `${length}`);
    assert.ok((await received(stalled)) < bytes);
    server.close();
  });
});

describe("answers", () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const spin = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };

  test("of one turn of the event loop leave together, in order, and are not held for long", async () => {
    const held = new HeldAnswers();
    const sent: string[] = [];
    held.add(() => sent.push("a"));
    spin(1);
    held.releaseLate();
    assert.deepEqual(sent, ["a"]);
    held.add(() => sent.push("b"));
    held.add(() => sent.push("c"));
    await turn();
    assert.deepEqual(sent, ["a", "b", "c"]);
  });

  test("of a turn that takes long wait for its end, and the next turn's do not", async () => {
    const held = new HeldAnswers();
    const sent: string[] = [];
    held.add(() => {});
    spin(110);
    held.add(() => sent.push("late"));
    spin(1);
    held.releaseLate();
    assert.equal(sent.length, 0);
    await turn();
    assert.deepEqual(sent, ["late"]);
    held.add(() => sent.push("next"));
    spin(1);
    held.releaseLate();
    assert.deepEqual(sent, ["late", "next"]);
  });
});
