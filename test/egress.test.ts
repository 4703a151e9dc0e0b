import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { isPublicAddress } from "../runtime/host/egress/address-policy.ts";
import {
  createEgress,
  type Egress,
  type EgressOptions,
  type EgressPolicy,
} from "../runtime/host/egress/egress.ts";
import type { FetchRequest, FetchResponse } from "../runtime/protocol.ts";
import { HostError } from "../runtime/services.ts";

const never = new AbortController().signal;
const none = new Uint8Array(0);

function get(
  egress: Egress,
  url: string,
  more: Partial<FetchRequest> = {},
  policy?: EgressPolicy,
  signal = never,
) {
  return whole(
    egress.fetch(
      { method: "GET", url, headers: [], redirect: "follow", hasBody: false, ...more },
      none,
      signal,
      policy,
    ),
  );
}

/** An answer with its body read to the end. */
async function whole(
  answer: ReturnType<Egress["fetch"]>,
): Promise<{ head: FetchResponse; body: Uint8Array }> {
  const { head, body } = await answer;
  if (body instanceof Uint8Array) return { head, body };
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { head, body: Buffer.concat(chunks) };
}

async function text(answer: Promise<{ body: Uint8Array }>): Promise<string> {
  return Buffer.from((await answer).body).toString();
}

const withCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof HostError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

interface Site {
  port: number;
  origin: string;
  requests: IncomingMessage[];
  handle: RequestListener;
  server: Server;
}

async function site(): Promise<Site> {
  const self = { requests: [] as IncomingMessage[] } as Site;
  self.server = createServer((request, response) => {
    self.requests.push(request);
    self.handle(request, response);
  }).listen(0, "127.0.0.1");
  await once(self.server, "listening");
  self.port = (self.server.address() as AddressInfo).port;
  self.origin = `http://127.0.0.1:${self.port}`;
  return self;
}

describe("egress addresses", () => {
  it("knows what is not the public Internet", () => {
    const denied =
      "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.255 169.254.169.254 168.63.129.16 172.16.0.1 " +
      "172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.9 224.0.0.1 " +
      "239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::8.8.8.8 " +
      "64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:10::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 " +
      "fe80::1%eth0 fec0::1 ff02::1 4000::1 x";
    for (const address of denied.split(" ")) assert.equal(isPublicAddress(address), false, address);
    for (const address of [
      "8.8.8.8",
      "1.1.1.1",
      "172.32.0.1",
      "100.128.0.1",
      "2606:4700:4700::1111",
      "2a00::1",
    ])
      assert.equal(isPublicAddress(address), true, address);
  });

  it("denies literals in every form that a URL may have, without connecting", async () => {
    const egress = createEgress({ resolve: () => assert.fail("a literal was resolved") });
    const hosts = [
      ...[
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
      ],
      ...["0", "0.0.0.0", "169.254.169.254", "0xa9fea9fe", "10.0.0.1", "１２７.０.０.１", "%31%32%37.0.0.1"],
      ...[
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fd00:ec2::254]",
      ],
      ...["[2002:7f00:1::]", "[fe80::1]", "[2001:0:7f00:1::]"],
    ];
    for (const host of hosts)
      await assert.rejects(get(egress, `http://${host}/`), withCode("egress_denied"), host);
    await egress.close();
  });

  it("denies other schemes, credentials in URLs, blocked ports and what is no URL", async () => {
    const egress = createEgress({ resolve: async () => ["8.8.8.8"] });
    for (const url of [
      "ftp://a.example/",
      "file:///etc/passwd",
      "data:,x",
      "http://u:p@a.example/",
      "http://u@a.example/",
    ])
      await assert.rejects(get(egress, url), withCode("egress_denied"), url);
    for (const port of [22, 25, 6667, 10080])
      await assert.rejects(get(egress, `http://a.example:${port}/`), withCode("egress_denied"), String(port));
    for (const url of ["", "/x", "http://", "http://a b/"])
      await assert.rejects(get(egress, url), withCode("egress_protocol"), url);
    await egress.close();
  });

  it("denies a name when one of its addresses is private, and names no address", async () => {
    for (const addresses of [
      ["8.8.8.8", "10.1.2.3"],
      ["::ffff:8.8.8.8"],
      ["127.0.0.1"],
      ["2606:4700::1", "fd00::1"],
    ]) {
      const egress = createEgress({ resolve: async () => addresses });
      await assert.rejects(get(egress, "http://mixed.example/"), (error: HostError) => {
        assert.equal(error.code, "egress_denied");
        assert.equal(error.message, "mixed.example is not a public address");
        return true;
      });
      await egress.close();
    }
  });

  it("looks two names up at once for a tenant, also when nobody waits for them any more, and others' beside them", async () => {
    const asked: string[] = [];
    const answers: (() => void)[] = [];
    const egress = createEgress({
      resolve: (name) => {
        asked.push(name);
        return new Promise((resolve) => answers.push(() => resolve(["10.0.0.1"])));
      },
    });
    const [hostile, other] = [{}, {}];
    const ended = new AbortController();
    const failing = ["a", "b", "c", "d"].map((name) =>
      assert.rejects(get(egress, `http://${name}.example/`, {}, hostile, ended.signal), {
        code: "egress_aborted",
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    ended.abort();
    await Promise.all(failing);
    const late = assert.rejects(get(egress, "http://late.example/", {}, hostile), { code: "egress_denied" });
    const beside = assert.rejects(get(egress, "http://beside.example/", {}, other), {
      code: "egress_denied",
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(asked, ["a.example", "b.example", "beside.example"]);
    answers[0]!();
    answers[2]!();
    await beside;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(asked.slice(3), ["late.example"]);
    answers[3]!();
    await late;
  });

  it("says that a name does not resolve", async () => {
    for (const resolve of [
      async () => [],
      async () => ["nonsense"],
      () => Promise.reject(new Error("ENOTFOUND 10.0.0.53")),
    ]) {
      const egress = createEgress({ resolve });
      await assert.rejects(get(egress, "http://missing.example/"), {
        code: "egress_dns",
        message: "the name missing.example could not be resolved",
      });
      await egress.close();
    }
  });

  it("keeps to the function's own list", async () => {
    const egress = createEgress({ resolve: async () => ["10.0.0.1"] });
    const reason = async (host: string, hosts: string[]) =>
      (await get(egress, `http://${host}/`, {}, { hosts }).catch((error) => error)).message;
    const notListed = (host: string) => `${host} is not in the function's egress list`;
    const passed = (host: string) => `${host} is not a public address`;
    assert.equal(await reason("a.example", []), notListed("a.example"));
    assert.equal(await reason("a.example", ["A.EXAMPLE"]), passed("a.example"));
    assert.equal(await reason("a.example.", ["a.example"]), passed("a.example."));
    assert.equal(await reason("x.a.example", ["a.example"]), notListed("x.a.example"));
    assert.equal(await reason("x.a.example", ["*.a.example"]), passed("x.a.example"));
    assert.equal(await reason("a.example", ["*.a.example"]), notListed("a.example"));
    assert.equal(await reason("evila.example", ["*.a.example"]), notListed("evila.example"));
    await egress.close();
  });

  it("refuses a bad entry of the operator's list", () => {
    for (const entry of ["a.example", "a.example:x", ":80", "a/b:80", "u@a:80"])
      assert.throws(() => createEgress({ allow: [entry] }), TypeError, entry);
  });
});

describe("egress requests", () => {
  let a: Site;
  let b: Site;
  let egress: Egress;
  const make = (options: EgressOptions = {}) =>
    createEgress({ allow: [`127.0.0.1:${a.port}`, `127.0.0.1:${b.port}`], ...options });
  before(async () => {
    a = await site();
    b = await site();
    egress = make();
  });
  after(async () => {
    await egress.close();
    for (const { server } of [a, b]) {
      server.closeAllConnections();
      server.close();
    }
  });

  it("sends method, path, headers and body, and returns status, headers and body", async () => {
    let sent = "";
    a.handle = async (request, response) => {
      for await (const chunk of request) sent += chunk;
      response.writeHead(
        201,
        "Made",
        [
          ["x-a", "1"],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ].flat(),
      );
      response.end("answer");
    };
    const answer = await whole(
      egress.fetch(
        {
          method: "post",
          url: `${a.origin}/p?q=1#f`,
          headers: [["X-Mine", "ä"]],
          redirect: "follow",
          hasBody: true,
        },
        Buffer.from("body"),
        never,
      ),
    );
    const request = a.requests.at(-1)!;
    assert.deepEqual([request.method, request.url, sent], ["POST", "/p?q=1", "body"]);
    assert.equal(request.headers["x-mine"], "ä");
    assert.equal(request.headers["content-length"], "4");
    assert.equal(request.headers.host, `127.0.0.1:${a.port}`);
    assert.deepEqual([answer.head.status, answer.head.statusText], [201, "Made"]);
    assert.equal(answer.head.url, `${a.origin}/p?q=1`);
    assert.equal(answer.head.redirected, false);
    assert.deepEqual(
      answer.head.headers.filter(([name]) => name === "set-cookie").map(([, value]) => value),
      ["a=1", "b=2"],
    );
    assert.equal(Buffer.from(answer.body).toString(), "answer");
  });

  it("sets the headers that are the host's itself", async () => {
    a.handle = (_request, response) => response.end();
    const names =
      "Host Connection Upgrade TE Trailer Transfer-Encoding Content-Length Keep-Alive Proxy-Authorization Expect";
    await get(egress, a.origin, { headers: names.split(" ").map((name) => [name, "evil"]) });
    assert.doesNotMatch(JSON.stringify(a.requests.at(-1)!.rawHeaders), /evil/);
    assert.equal(a.requests.at(-1)!.headers.host, `127.0.0.1:${a.port}`);
  });

  it("refuses what could break out of a header, bad methods, and a GET with a body", async () => {
    const count = a.requests.length;
    for (const value of ["a\r\nb: c", "a\nb", "a\0b", "€"])
      await assert.rejects(get(egress, a.origin, { headers: [["x", value]] }), withCode("egress_protocol"));
    for (const name of ["a b", "a\r\nb", "", "a:b"])
      await assert.rejects(get(egress, a.origin, { headers: [[name, "x"]] }), withCode("egress_protocol"));
    for (const method of ["GET / HTTP/1.1\r\nx: y", "", "a b"])
      await assert.rejects(get(egress, a.origin, { method }), withCode("egress_protocol"));
    for (const method of ["CONNECT", "trace"])
      await assert.rejects(get(egress, a.origin, { method }), withCode("egress_denied"));
    await assert.rejects(get(egress, a.origin, { hasBody: true }), withCode("egress_protocol"));
    await assert.rejects(
      get(egress, a.origin, { headers: [["x", "y".repeat(17_000)]] }),
      withCode("egress_too_large"),
    );
    assert.equal(a.requests.length, count);
  });

  it("resolves a name once and connects to what was vetted, with the name as Host", async () => {
    a.handle = (_request, response) => response.end("here");
    let resolved = 0;
    const rebinding = make({
      allow: [`rebind.example:${a.port}`],
      resolve: async () => (resolved++ === 0 ? ["127.0.0.1"] : ["127.0.0.2"]),
    });
    assert.equal(await text(get(rebinding, `http://rebind.example:${a.port}/`)), "here");
    assert.equal(resolved, 1);
    assert.equal(a.requests.at(-1)!.headers.host, `rebind.example:${a.port}`);
    await rebinding.close();

    // Public at first and private later: what is asked again is vetted again, and the first answer is what was used.
    let asked = 0;
    const publicFirst = createEgress({
      connectTimeoutMs: 200,
      resolve: async () => (asked++ === 0 ? ["2001:4860:ffff::1"] : ["127.0.0.1"]),
    });
    const startMs = performance.now();
    await assert.rejects(get(publicFirst, `http://rebind.example:${a.port}/`), (error: HostError) => {
      assert.match(error.code, /^egress_(connect|timeout)$/);
      assert.doesNotMatch(error.message, /2001|127/);
      assert.ok(performance.now() - startMs < 400);
      return true;
    });
    assert.equal(asked, 1);
    await assert.rejects(get(publicFirst, `http://rebind.example:${a.port}/`), withCode("egress_denied"));
    await publicFirst.close();
  });

  it("follows redirects and vets each", async () => {
    a.handle = (request, response) => {
      const to = request.url!.slice(1);
      if (to === "") return response.end("end");
      response
        .writeHead(302, { location: to === "b" ? `${b.origin}/` : decodeURIComponent(to) })
        .end("ignored");
    };
    b.handle = (_request, response) => response.writeHead(307, { location: `${a.origin}/` }).end();
    const answer = await get(egress, `${a.origin}/b`);
    assert.deepEqual(
      [answer.head.url, answer.head.redirected, answer.head.status],
      [`${a.origin}/`, true, 200],
    );
    const to = (url: string) => get(egress, `${a.origin}/${encodeURIComponent(url)}`);
    for (const url of [
      "http://169.254.169.254/",
      "http://localhost:1/",
      "//2130706433/",
      "file:///x",
      "http://u:p@a.example/",
    ])
      await assert.rejects(to(url), withCode("egress_denied"), url);
    await assert.rejects(to("http://["), withCode("egress_protocol"));
    const listed = { hosts: ["other.example"] };
    await assert.rejects(get(egress, a.origin, {}, listed), withCode("egress_denied"));
  });

  it("stops after five redirects, and obeys manual and error", async () => {
    let hops = 0;
    a.handle = (_request, response) => response.writeHead(302, { location: `/${++hops}` }).end();
    await assert.rejects(get(egress, a.origin), withCode("egress_redirects"));
    assert.equal(hops, 6);
    await assert.rejects(get(egress, a.origin, { redirect: "error" }), withCode("egress_redirects"));
    const manual = await get(egress, a.origin, { redirect: "manual" });
    assert.equal(manual.head.status, 302);
  });

  it("rewrites methods and strips credentials as fetch does", async () => {
    const headers: [string, string][] = [
      ["authorization", "secret"],
      ["cookie", "secret"],
      ["x-mine", "kept"],
      ["content-type", "text/plain"],
    ];
    const cases: [status: number, method: string, seen: string][] = [
      [301, "POST", "GET"],
      [302, "POST", "GET"],
      [302, "PUT", "PUT"],
      [303, "PUT", "GET"],
      [303, "HEAD", "HEAD"],
      [307, "POST", "POST"],
      [308, "POST", "POST"],
    ];
    for (const [status, method, seen] of cases) {
      a.handle = (_request, response) => response.writeHead(status, { location: b.origin }).end();
      let received = "";
      b.handle = async (request, response) => {
        for await (const chunk of request) received += chunk;
        response.end();
      };
      const hasBody = method !== "HEAD";
      await egress.fetch(
        { method, url: a.origin, headers, redirect: "follow", hasBody },
        Buffer.from("data"),
        never,
      );
      const request = b.requests.at(-1)!;
      const name = `${status} ${method}`;
      assert.equal(request.method, seen, name);
      assert.equal(received, seen === method && hasBody ? "data" : "", name);
      assert.equal(request.headers["content-type"], seen === method ? "text/plain" : undefined, name);
      assert.equal(request.headers["x-mine"], "kept");
      assert.equal(request.headers.authorization, undefined);
      assert.equal(request.headers.cookie, undefined);
    }
    a.handle = (request, response) =>
      request.url === "/" ? response.writeHead(302, { location: "/same" }).end() : response.end();
    await get(egress, a.origin, { headers });
    assert.equal(a.requests.at(-1)!.headers.authorization, "secret");
  });

  it("decompresses what it asked for, within its bound", async () => {
    const plain = "thimble ".repeat(1000);
    const forms: [coding: string, bytes: Buffer][] = [
      ["gzip", gzipSync(plain)],
      ["deflate", deflateSync(plain)],
      ["deflate", deflateRawSync(plain)],
      ["br", brotliCompressSync(plain)],
      ["gzip, br", brotliCompressSync(gzipSync(plain))],
    ];
    for (const [coding, bytes] of forms) {
      a.handle = (_request, response) => response.writeHead(200, { "content-encoding": coding }).end(bytes);
      const answer = await get(egress, a.origin);
      assert.equal(Buffer.from(answer.body).toString(), plain, coding);
      assert.ok(!answer.head.headers.some(([name]) => /^content-(encoding|length)$/.test(name)));
    }
    a.handle = (_request, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip");
    await assert.rejects(get(egress, a.origin), withCode("egress_protocol"));
    const bomb = gzipSync(gzipSync(Buffer.alloc(200_000_000)));
    a.handle = (_request, response) =>
      response.writeHead(200, { "content-encoding": "gzip, gzip" }).end(bomb);
    await assert.rejects(get(egress, a.origin), withCode("egress_too_large"));
    a.handle = (_request, response) =>
      response.writeHead(200, { "content-encoding": "zstd" }).end("as it is");
    const unknown = await get(egress, a.origin);
    assert.equal(Buffer.from(unknown.body).toString(), "as it is");
    assert.ok(unknown.head.headers.some(([name, value]) => name === "content-encoding" && value === "zstd"));
    a.handle = (_request, response) => response.writeHead(204, { "content-encoding": "gzip" }).end();
    assert.equal(await text(get(egress, a.origin)), "");
  });

  it("bounds body and headers of an answer", async () => {
    a.handle = (_request, response) => response.end(Buffer.alloc(11 * 1024 * 1024));
    await assert.rejects(get(egress, a.origin), withCode("egress_too_large"));
    a.handle = (_request, response) => response.end(Buffer.alloc(10 * 1024 * 1024));
    assert.equal((await get(egress, a.origin)).body.length, 10 * 1024 * 1024);
    a.handle = (_request, response) => response.writeHead(200, { x: "y".repeat(17_000) }).end();
    await assert.rejects(get(egress, a.origin), withCode("egress_too_large"));
  });

  it("stops at once when it is aborted, at any stage", async () => {
    await assert.rejects(
      get(egress, a.origin, {}, undefined, AbortSignal.abort()),
      withCode("egress_aborted"),
    );
    const stages: RequestListener[] = [() => {}, (_request, response) => response.write("part")];
    for (const handle of stages) {
      a.handle = handle;
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 50);
      await assert.rejects(
        get(egress, a.origin, {}, undefined, controller.signal),
        withCode("egress_aborted"),
      );
      await assert.rejects(
        get(egress, a.origin, {}, undefined, AbortSignal.timeout(50)),
        withCode("egress_timeout"),
      );
    }
    const stuck = createEgress({ resolve: () => new Promise(() => {}) });
    await assert.rejects(
      get(stuck, "http://slow.example/", {}, undefined, AbortSignal.timeout(50)),
      withCode("egress_timeout"),
    );
    const closing = get(stuck, "http://slow.example/");
    const rejected = assert.rejects(closing, withCode("egress_aborted"));
    await stuck.close();
    await rejected;
    await assert.rejects(get(stuck, "http://slow.example/"), withCode("egress_aborted"));
  });

  it("tells a refused connection from one that breaks or is no HTTP", async () => {
    const answers = ["", "no http at all\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"];
    for (const bytes of answers) {
      const tcp = createTcpServer((socket) => {
        socket.on("error", () => {});
        socket.resume().end(bytes);
      }).listen(0, "127.0.0.1");
      await once(tcp, "listening");
      const { port } = tcp.address() as AddressInfo;
      const allowed = createEgress({ allow: [`127.0.0.1:${port}`] });
      await assert.rejects(get(allowed, `http://127.0.0.1:${port}/`), withCode("egress_protocol"), bytes);
      tcp.close();
      await once(tcp, "close");
      await assert.rejects(get(allowed, `http://127.0.0.1:${port}/`), {
        code: "egress_connect",
        message: `could not connect to 127.0.0.1:${port}`,
      });
      await assert.rejects(get(allowed, `https://127.0.0.1:${port}/`), withCode("egress_connect"));
      await allowed.close();
    }
  });

  it("leaves no connection behind", async () => {
    a.handle = (_request, response) => response.end("x");
    await Promise.all(Array.from({ length: 20 }, () => get(egress, a.origin)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const open = await new Promise((resolve) => a.server.getConnections((_error, count) => resolve(count)));
    assert.equal(open, 0);
  });
});
