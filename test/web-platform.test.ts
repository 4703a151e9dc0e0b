import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engine, json, sandboxes } from "./support/sandbox.ts";

const { program, run } = sandboxes();
const answer = async (body: string) =>
  json(await run(await program(`export default async () => { ${body} }`)));

describe("crypto.subtle", () => {
  test("makes other keys at each request", async () => {
    const guest = await program(`export default async () => {
      const made = [];
      for (const [algorithm, usages] of [[{ name: "AES-GCM", length: 256 }, ["encrypt"]], [{ name: "ECDSA", namedCurve: "P-256" }, ["sign"]],
        ["Ed25519", ["sign"]], ["X25519", ["deriveBits"]], [{ name: "HMAC", hash: "SHA-256" }, ["sign"]]]) {
        const key = await crypto.subtle.generateKey(algorithm, true, usages);
        made.push(JSON.stringify(await crypto.subtle.exportKey("jwk", key.privateKey ?? key)));
      }
      return [...made, crypto.randomUUID()];
    }`);
    const all: string[] = [];
    for (let i = 0; i < 5; i++) all.push(...json(await run(guest)));
    assert.equal(new Set(all).size, all.length);
  });

  test("agrees with itself and with known answers", async () => {
    const result = await answer(`
      const text = new TextEncoder().encode("thimble"), { subtle } = crypto;
      const hmac = await subtle.importKey("raw", new TextEncoder().encode("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
      const mac = await subtle.sign("HMAC", hmac, new TextEncoder().encode("The quick brown fox jumps over the lazy dog"));
      const rsa = await subtle.generateKey({ name: "RSA-PSS", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }, false, ["sign", "verify"]);
      const signature = await subtle.sign({ name: "RSA-PSS", saltLength: 32 }, rsa.privateKey, text);
      const password = await subtle.importKey("raw", text, "PBKDF2", false, ["deriveKey"]);
      const derive = () => subtle.deriveKey({ name: "PBKDF2", salt: new Uint8Array(8), iterations: 1000, hash: "SHA-256" }, password, { name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
      const iv = new Uint8Array(12);
      const sealed = await subtle.encrypt({ name: "AES-GCM", iv }, await derive(), text);
      const opened = await subtle.decrypt({ name: "AES-GCM", iv }, await derive(), sealed);
      return [new Uint8Array(mac).toHex(), await subtle.verify({ name: "RSA-PSS", saltLength: 32 }, rsa.publicKey, signature, text),
        rsa.privateKey.algorithm.hash.name, new TextDecoder().decode(opened)];`);
    assert.deepEqual(result, [
      "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
      true,
      "SHA-256",
      "thimble",
    ]);
  });

  test("keeps what is not extractable, and bounds what would hold a thread for long", async () => {
    const result = await answer(`
      const name = (promise) => promise.then(() => "none", (error) => error.name);
      const key = await crypto.subtle.generateKey({ name: "AES-CBC", length: 128 }, false, ["encrypt"]);
      const huge = { name: "RSA-OAEP", modulusLength: 16384, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-1" };
      const password = await crypto.subtle.importKey("raw", new Uint8Array(1), "PBKDF2", false, ["deriveBits"]);
      const slow = { name: "PBKDF2", salt: new Uint8Array(1), iterations: 1e9, hash: "SHA-1" };
      return [await name(crypto.subtle.exportKey("raw", key)), await name(crypto.subtle.generateKey(huge, true, ["encrypt"])),
        await name(crypto.subtle.deriveBits(slow, password, 128)), await name(crypto.subtle.digest("MD5", new Uint8Array(1))),
        await name(crypto.subtle.digest("SHA-1", "text")),
        await name(crypto.subtle.digest({ name: "cSHAKE128", outputLength: 2 ** 31 }, new Uint8Array(1))),
        await name(crypto.subtle.deriveBits({ ...slow, iterations: 1e6 }, password, 2 ** 20)),
        await name(crypto.subtle.deriveBits({ ...slow, salt: new Uint8Array(8e6), iterations: 1 }, password, 2 ** 20)),
        await name(crypto.subtle.deriveKey({ ...slow, iterations: 1e6 }, password, { name: "HMAC", hash: "SHA-1", length: 2 ** 20 }, true, ["sign"])),
        await name(crypto.subtle.deriveBits({ ...slow, iterations: 1000, hash: { name: "SHA-512" } }, password, 512))];`);
    assert.deepEqual(result, [
      "InvalidAccessError",
      "OperationError",
      "OperationError",
      "NotSupportedError",
      "TypeError",
      "OperationError",
      "OperationError",
      "OperationError",
      "OperationError",
      "none",
    ]);
  });

  test("survives what a hostile guest sends", async () => {
    const { outcome } = await run(
      await program(`export default async () => {
        const outcomes = [];
        const odd = [{ get name() { return { $bytes: [0, 99] } } }, { name: "AES-GCM", iv: { $bytes: [-1, 5] } }, { $key: {}, $bytes: [0, 0] }, { name: "__proto__" }];
        for (const algorithm of odd) outcomes.push(await crypto.subtle.digest(algorithm, new Uint8Array(4)).then(() => "none", (e) => e.name));
        return outcomes;
      }`),
    );
    assert.equal(outcome.kind, "completed", JSON.stringify(outcome));
  });
});

describe("TextDecoder", () => {
  test("knows the encodings of the standard, in pieces as well, and at build time", async () => {
    const guest = await program(`
      const early = new TextDecoder("shift_jis").decode(new Uint8Array([0x83, 0x65]));
      export default () => {
        const streaming = new TextDecoder("euc-kr");
        const pieces = [0xc7, 0xd1, 0xb1].map((byte) => streaming.decode(new Uint8Array([byte]), { stream: true })).join("|") + streaming.decode();
        let fatal; try { new TextDecoder("big5", { fatal: true }).decode(new Uint8Array([0x81])) } catch (e) { fatal = e.name }
        let label; try { new TextDecoder("utf-99") } catch (e) { label = e.name }
        return [early, pieces, new TextDecoder("latin1").decode(new Uint8Array([0x80, 0xe9])), new TextDecoder("utf-16").decode(new Uint8Array([0x74, 0, 0xe9, 0])),
          new TextDecoder("gb18030").decode(new Uint8Array([0x84, 0x31, 0xa4, 0x37])), fatal, label, new TextDecoder("ascii").encoding,
          new TextDecoder("windows-1251").decode(new Uint8Array(200_000).fill(0xc0)).length];
      };`);
    assert.deepEqual(json(await run(guest)), [
      "テ",
      "|한|\ufffd",
      "€é",
      "té",
      "\ufffd",
      "TypeError",
      "RangeError",
      "windows-1252",
      200_000,
    ]);
  });
});

describe("parts that are loaded when they are used", () => {
  test("are there however a function comes to them, and are as they were for the next request", async () => {
    const hidden = await program(`export default async (request) => {
      const name = ["Readable", "Stream"].join(""), before = Object.getOwnPropertyDescriptor(globalThis, name).get !== undefined;
      const stream = new globalThis[name]({ start(c) { c.enqueue("x"); c.close() } });
      return [before, typeof globalThis["URL" + "Pattern"], (await stream.getReader().read()).value, before && stream instanceof ReadableStream];
    }`);
    for (let i = 0; i < 2; i++) assert.deepEqual(json(await run(hidden)).slice(1, 3), ["function", "x"]);
    const replaced = await answer("globalThis.URLPattern = 1; return [URLPattern, typeof TransformStream]");
    assert.deepEqual(replaced, [1, "function"]);
  });

  test("are in the image of a function that names them, and in no other", async () => {
    const sizeOf = async (source: string) => (await program(source)).image.segments.byteLength;
    const plain = await sizeOf("export default () => 1");
    const named = await sizeOf("export default () => new Response(new ReadableStream())");
    assert.ok(named > plain + 100_000, `${named} and ${plain}`);
    assert.ok(engine.base.bytes.length < 1_200_000);
  });
});

describe("globals of the minimum common API", () => {
  test("are all there", async () => {
    const names = `AbortController AbortSignal Blob ByteLengthQueuingStrategy CompressionStream CountQueuingStrategy Crypto CryptoKey
      CustomEvent DecompressionStream DOMException ErrorEvent Event EventTarget File FormData Headers MessageChannel MessageEvent MessagePort
      PromiseRejectionEvent ReadableByteStreamController ReadableStream ReadableStreamBYOBReader ReadableStreamBYOBRequest
      ReadableStreamDefaultController ReadableStreamDefaultReader Request Response SubtleCrypto TextDecoder TextDecoderStream TextEncoder
      TextEncoderStream TransformStream TransformStreamDefaultController URL URLPattern URLSearchParams WritableStream
      WritableStreamDefaultController WritableStreamDefaultWriter atob btoa clearInterval clearTimeout console crypto fetch navigator
      performance queueMicrotask reportError self setInterval setTimeout structuredClone addEventListener dispatchEvent`;
    const missing = await answer(
      `return ${JSON.stringify(names.split(/\s+/))}.filter((name) => globalThis[name] === undefined)`,
    );
    assert.deepEqual(missing, []);
  });

  test("messages, clones and errors pass as the standard has them", async () => {
    const result = await answer(`
      const { port1, port2 } = new MessageChannel();
      const got = new Promise((resolve) => { port2.onmessage = (event) => resolve(event.data) });
      port1.postMessage({ at: new Date(5), list: [1, , 3] });
      const data = await got;
      const seen = [];
      addEventListener("error", (event) => { seen.push(event.message); event.preventDefault() });
      reportError(new Error("told"));
      let refused; try { structuredClone(() => {}) } catch (e) { refused = e.name }
      const buffer = new ArrayBuffer(4); const moved = structuredClone(buffer, { transfer: [buffer] });
      return [data.at.getTime(), data.list.length, seen, refused, buffer.detached, moved.byteLength, (await (await fetch("data:,a%20b")).text())];`);
    assert.deepEqual(result, [5, 3, ["told"], "DataCloneError", true, 4, "a b"]);
  });
});

describe("bodies that are whole", () => {
  test("are streams like any other for what asks for their stream", async () => {
    const result = await answer(`
      const text = (stream) => new Response(stream).text();
      const made = [new Response("é1").body, new Response(new Uint8Array([50])).body, new Blob(["3"]).stream()];
      const kinds = made.map((stream) => stream instanceof ReadableStream && stream.constructor === ReadableStream);
      const texts = []; for (const stream of made) texts.push(await text(stream));
      const [one, two] = new Response("tee").body.tee();
      const byob = new Response("byob").body.getReader({ mode: "byob" });
      const { value } = await byob.read(new Uint8Array(8));
      const upper = new TransformStream({ transform(chunk, controller) { controller.enqueue(chunk); } });
      const chunks = []; for await (const chunk of new Response("loop").body) chunks.push(chunk.length);
      const cancelled = new Response("x"); await cancelled.body.cancel();
      const closed = new Response("y").body.getReader(); const before = await closed.read(); const after = await closed.read(); await closed.closed;
      const handedOn = new Response("on"), same = new Response(handedOn.body, handedOn);
      const locked = new Response("z"); locked.body.getReader();
      const refused = await locked.text().catch((error) => error.name);
      let taken = ""; try { new Response(locked.body) } catch (error) { taken = error.name }
      return { kinds, texts, tee: [await text(one), await text(two)], byob: new TextDecoder().decode(value),
        piped: await text(new Response("piped").body.pipeThrough(upper)), chunks, cancelled: cancelled.bodyUsed,
        closed: [before.value.length, before.done, after.done], handedOn: [handedOn.body === same.body, await same.text(), handedOn.bodyUsed, same.bodyUsed],
        refused, taken, empty: await text(new Response("").body), none: new Response().body };`);
    assert.deepEqual(result, {
      kinds: [true, true, true],
      texts: ["é1", "2", "3"],
      tee: ["tee", "tee"],
      byob: "byob",
      piped: "piped",
      chunks: [4],
      cancelled: true,
      closed: [1, false, true],
      handedOn: [true, "on", true, true],
      refused: "TypeError",
      taken: "TypeError",
      empty: "",
      none: null,
    });
  });
});

describe("Headers", () => {
  test("take byte strings only, from lists, records and other headers", async () => {
    const result = await answer(`
      const caught = (work) => { try { return [...work()] } catch (error) { return error.name } };
      const long = "ÿ".repeat(300), wide = "a\\u0100";
      const odd = [["a", "1"]]; odd[Symbol.iterator] = function* () { yield ["b", "2"] };
      const from = new Headers({ "X-A": "1", "Set-Cookie": "c" }); from.append("set-cookie", "d");
      const copy = new Headers(from); copy.set("x-a", 2);
      const patched = new Headers(from); patched[Symbol.iterator] = function* () { yield ["p", "q"] };
      return [caught(() => new Headers({ a: long }))[0][1] === long, caught(() => new Headers({ a: wide })), caught(() => new Headers([["a", wide]])),
        caught(() => new Headers([[wide, "a"]])), caught(() => new Headers({ [wide]: "a" })), caught(() => { const h = new Headers(); h.set("a", wide); return h }),
        caught(() => { const h = new Headers(); h.append("a", wide); return h }), caught(() => { const h = new Headers(); h.set("a"); return h }),
        caught(() => new Headers([["a"]])), caught(() => new Headers([["a", "b", "c"]])), caught(() => new Headers([1])), caught(() => new Headers({ [Symbol()]: "a" })),
        caught(() => new Headers(null)), caught(() => new Headers(odd)), caught(() => new Headers(new Map([["m", 1]]))), caught(() => copy), caught(() => from),
        caught(() => new Headers(patched)), caught(() => new Headers({ ["x".concat("-", "rope".repeat(99))]: "v".concat("w".repeat(9000)) }))[0][1].length];`);
    const bad = "TypeError";
    assert.deepEqual(result, [
      true,
      ...Array(12).fill(bad),
      [["b", "2"]],
      [["m", "1"]],
      [
        ["set-cookie", "c"],
        ["set-cookie", "d"],
        ["x-a", "2"],
      ],
      [
        ["set-cookie", "c"],
        ["set-cookie", "d"],
        ["x-a", "1"],
      ],
      [["p", "q"]],
      9001,
    ]);
  });
});
