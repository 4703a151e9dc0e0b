import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { artifactOf, json, sandboxes } from "./support/sandbox.ts";

/** Calls of the host that a function waits for: what they may cost, and what becomes of bad ones. */
const { runtime, run, program } = sandboxes();

const answer = async (source: string) => json(await run(await program(source)));
const attempt = `const attempt = (f) => { try { return f(); } catch (e) { return e.code ?? e.name; } };`;

test("a function that waits in a synchronous call is stopped on time, and others run meanwhile", async () => {
  const slow = await program(
    `import { pbkdf2Sync } from "node:crypto"; export default () => { try { for (;;) pbkdf2Sync("a", "b", 1_000_000, 64, "sha512"); } finally { for (;;); } };`,
  );
  const quick = await program(`export default () => "quick"`);
  const began = performance.now();
  const stuck = run(slow, { timeoutMs: 300 });
  let answered = 0;
  for (let i = 0; i < 20; i++) {
    await run(quick);
    answered++;
  }
  const { outcome } = await stuck;
  assert.equal(outcome.kind, "timedOut");
  assert.equal(answered, 20);
  assert.ok(performance.now() - began < 20_000);
  // and its sandbox can be used again
  assert.equal(
    json(
      await run(
        await program(
          `import { scryptSync } from "node:crypto"; export default () => scryptSync("a", "b", 8).length;`,
        ),
      ),
    ),
    8,
  );
});

test("a client that goes away ends a function that waits in a synchronous call", async () => {
  const slow = await program(
    `import { pbkdf2Sync } from "node:crypto"; export default () => { for (;;) pbkdf2Sync("a", "b", 1_000_000, 64, "sha512"); };`,
  );
  const client = new AbortController();
  const running = run(slow, { signal: client.signal });
  setTimeout(() => client.abort(), 30);
  assert.equal((await running).outcome.kind, "aborted");
});

test("what would take long on the thread that all share is refused", async () => {
  const source = `import crypto from "node:crypto"; import zlib from "node:zlib"; ${attempt}
    const pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\\nAAAA\\n-----END ENCRYPTED PRIVATE KEY-----";
    export default () => [
      () => crypto.pbkdf2Sync("a", "b", 2_000_000, 8, "sha256"),
      () => crypto.pbkdf2Sync("a", "b", 1_000_000, 1 << 20, "sha256"),
      () => crypto.pbkdf2Sync("a", new Uint8Array(8 << 20), 1, 1 << 20, "sha256"),
      () => crypto.scryptSync("a", "b", 8, { N: 2 ** 20, r: 8 }),
      () => crypto.scryptSync("a", "b", 1 << 20, { N: 2, r: 2 ** 15, p: 1 }),
      () => crypto.scryptSync("a", "b", 8, { N: 1024, p: 1000 }),
      () => crypto.generateKeyPairSync("rsa", { modulusLength: 16384 }),
      () => crypto.generateKeyPairSync("dh", { primeLength: 8192 }),
      () => crypto.createPrivateKey({ key: pem, passphrase: "x" }),
      () => crypto.createHash("shake256", { outputLength: 1 << 26 }).update("").digest().length,
      () => Intl.getCanonicalLocales(Array.from({ length: 5_000 }, (_, i) => "en-x-" + i)),
      () => new Intl.DisplayNames("en", { type: "language" }).of("en" + "-aaaaa".repeat(5_000)),
      () => [...new Intl.Segmenter().segment("a".repeat(50_000))].length,
      () => (10n ** 9000n).toLocaleString().length,
      () => zlib.brotliCompressSync("a", { params: { [zlib.constants.BROTLI_PARAM_LARGE_WINDOW]: 1 } }).length,
      () => zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(2_000_000)), { maxOutputLength: 1000 }).length,
    ].map(attempt);`;
  assert.deepEqual(await answer(source), [
    "ERR_OUT_OF_RANGE",
    "ERR_OUT_OF_RANGE",
    "ERR_OUT_OF_RANGE",
    "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
    "ERR_OUT_OF_RANGE",
    "ERR_OUT_OF_RANGE",
    "ERR_OUT_OF_RANGE",
    "ERR_INVALID_ARG_VALUE",
    "ERR_NOT_SUPPORTED",
    "too_large",
    "RangeError",
    "RangeError",
    "RangeError",
    "RangeError",
    "ERR_BROTLI_INVALID_PARAM",
    "ERR_BUFFER_TOO_LARGE",
  ]);
});

test("streams that hold the host's memory are few at a time, and those that have ended do not count", async () => {
  const source = `import zlib from "node:zlib"; import { once } from "node:events";
    const open = async (make, count) => {
      const streams = Array.from({ length: count }, make);
      const results = await Promise.all(streams.map((s) => new Promise((done) => {
        s.on("error", (e) => done(e.code)); s.write("a", (e) => done(e ? e.code : "open"));
      })));
      const ended = streams.filter((s) => !s.closed).map((s) => once(s.destroy(), "close"));
      await Promise.all(ended);
      await new Promise((next) => setTimeout(next, 20));
      return results.filter((r) => r === "open").length + " " + [...new Set(results)].sort();
    };
    export default async () => [
      await open(() => zlib.createBrotliCompress(), 6), await open(() => zlib.createGzip(), 40), await open(() => zlib.createGzip(), 10),
    ];`;
  assert.deepEqual(await answer(source), [
    "4 open,too_many_operations",
    "32 open,too_many_operations",
    "10 open",
  ]);
});

test("top-level code may hash and format, but not wait", async () => {
  const source = `import { createHash, scryptSync } from "node:crypto"; ${attempt}
    const built = [createHash("sha256").update("a").digest("hex").slice(0, 8), (1234.5).toLocaleString("de-DE"), attempt(() => scryptSync("a", "b", 8))];
    export default () => built;`;
  assert.deepEqual(await answer(source), ["ca978112", "1.234,5", "Error"]);
});

test("what nobody waits for any more is not begun", async () => {
  const deriving = (length: number) =>
    program(
      `import { pbkdf2Sync } from "node:crypto"; export default () => pbkdf2Sync("a", "b", ${length}, 64, "sha512").length;`,
    );
  const slow = await deriving(1_000_000);
  const short = await deriving(1);
  const many = Array.from({ length: 60 }, () => run(slow, { timeoutMs: 200 }));
  for (const { outcome } of await Promise.all(many)) assert.notEqual(outcome.kind, "trapped");
  // two had begun; all sixty would take a quarter of a minute and more
  assert.equal(json(await run(short, { timeoutMs: 5_000 })), 64);
});

test("Brotli's input may be long: its best quality is for short ones", async () => {
  const source = `import zlib from "node:zlib"; export default () => {
    const input = Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * 2654435761) >>> 24));
    return zlib.brotliDecompressSync(zlib.brotliCompressSync(input)).equals(input);
  };`;
  assert.equal(await answer(source), true);
});

describe("a malformed call ends the sandbox", () => {
  const calls: Record<string, string> = {
    "no JSON": `host(20, "{")`,
    "an unknown service": `host(20, '["nothing"]')`,
    "a hash without an id": `host(20, '["hash"]')`,
    "a cipher without a start": `host(20, '["cipher",null,"final"]')`,
    "an unknown method of Intl": `host(20, '["intl","use","NumberFormat",null,null,"constructor"]')`,
    "a result of another length": `host(22, undefined, new Uint8Array(5))`,
    "a compression of nothing known": `host(20, '["zlib","__proto__",{}]')`,
  };
  for (const [name, call] of Object.entries(calls)) {
    test(name, async () => {
      const source = `const { host } = globalThis[Symbol.for("thimble.modules")]["thimble:node"]; export default () => { try { host(20, '["hash",1,"md5",-1,0,true]'); ${call}; for (;;) host(21); } catch {} return "went on"; };`;
      const loaded = await runtime.load(await artifactOf(source));
      const { outcome } = await run(loaded, { timeoutMs: 1_000 });
      assert.notEqual(outcome.kind, "completed", JSON.stringify(outcome));
    });
  }
});
