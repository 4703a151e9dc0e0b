import assert from "node:assert/strict";
import { test } from "node:test";
import { Op } from "../runtime/protocol.ts";
import { Guest, run } from "./support/guest.ts";

const inHandler = (body: string) => `export default async (request, ctx) => { ${body} }`;
const octets = (...bytes: number[]) => new Uint8Array(bytes);

test("a request body is read as text, JSON, bytes, a buffer or a blob, once", async () => {
  const read = async (expression: string) =>
    run(inHandler(`return { value: ${expression}, used: request.bodyUsed }`), { body: '{"a":"é"}' });
  assert.deepEqual(await read("await request.text()"), { value: '{"a":"é"}', used: true });
  assert.deepEqual(await read("await request.json()"), { value: { a: "é" }, used: true });
  assert.deepEqual(await read("(await request.bytes()).length"), { value: 10, used: true });
  assert.deepEqual(await read("(await request.arrayBuffer()).byteLength"), { value: 10, used: true });
  assert.deepEqual(await read("await (await request.blob()).slice(1, 4).text()"), {
    value: '"a"',
    used: true,
  });
  assert.deepEqual(await read("1"), { value: 1, used: false });
  const twice = inHandler(
    "await request.text(); return request.json().catch((e) => ({ name: e.name, message: e.message }))",
  );
  assert.deepEqual(await run(twice, { body: "{}" }), {
    name: "TypeError",
    message: "The body has already been used",
  });
});

test("a clone and a derived request have the body too", async () => {
  const source = inHandler(`const copy = request.clone();
    const derived = new Request("http://other/", request);
    return [await copy.text(), await derived.text(), derived.method, derived.url, derived.headers.get("x-a")];`);
  const result = await run(source, { body: "data", headers: [["x-a", "b"]] });
  assert.deepEqual(result, ["data", "data", "POST", "http://other/", "b"]);
});

test("body streams: reader, iteration, tee, and as a response", async () => {
  const read = inHandler(`const reader = request.body.getReader();
    const first = await reader.read(); const second = await reader.read();
    return [first.value.length, first.done, second.done, request.bodyUsed];`);
  assert.deepEqual(await run(read, { body: "four" }), [4, false, true, true]);
  const iterate = inHandler(`const [a, b] = request.body.tee(); let n = 0;
    for await (const chunk of a) n += chunk.length;
    return [n, await new Response(b).text()];`);
  assert.deepEqual(await run(iterate, { body: "four" }), [4, "four"]);
  const guest = await Guest.of(
    inHandler(`let n = 0; return new Response(new ReadableStream({ async pull(c) {
      if (n++ === 3) c.close(); else { await new Promise((r) => setTimeout(r, 1)); c.enqueue(new TextEncoder().encode("x" + n)) } } }))`),
  );
  guest.request();
  for (let i = 0; i < 3; i++) guest.complete(guest.last(Op.timer));
  assert.equal(guest.answer?.body, "x1x2x3");
});

test("forms: urlencoded and multipart, read and written", async () => {
  const type = (value: string): [string, string][] => [["content-type", value]];
  const list =
    "const form = await request.formData(); return [...form].map(([k, v]) => typeof v === 'string' ? [k, v] : [k, v.name, v.type, v.size]);";
  const urlencoded = { body: "a=1&b=x+y&a=%C3%A9", headers: type("application/x-www-form-urlencoded") };
  assert.deepEqual(await run(inHandler(list), urlencoded), [
    ["a", "1"],
    ["b", "x y"],
    ["a", "é"],
  ]);
  const multipart = [
    '--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\none --XX two\r\n',
    '--XX\r\nContent-Disposition: form-data; name="f"; filename="t.bin"\r\nContent-Type: image/png\r\n\r\n\r\n\0\r\n--XX--\r\n',
  ].join("");
  const parsed = await run(inHandler(list), {
    body: multipart,
    headers: type("multipart/form-data; boundary=XX"),
  });
  assert.deepEqual(parsed, [
    ["a", "one --XX two"],
    ["f", "t.bin", "image/png", 3],
  ]);
  const round =
    inHandler(`const form = new FormData(); form.append("a", "1"); form.set("f", new File(["body"], "n.txt", { type: "text/plain" }));
    const made = await new Response(form).formData(); return [made.get("a"), made.get("f").name, await made.get("f").text()];`);
  assert.deepEqual(await run(round), ["1", "n.txt", "body"]);
});

test("headers of requests and responses are real Headers", async () => {
  const source =
    inHandler(`const h = request.headers; const r = new Response("x", { headers: [["Set-Cookie", "a=1"], ["set-cookie", "b=2"]] });
    r.headers.append("X-B", "1"); r.headers.append("x-b", "2"); const seen = []; r.headers.forEach((v, k) => seen.push(k));
    return [h instanceof Headers, h.get("X-A"), h.has("nope"), [...h.keys()], r.headers.getSetCookie(), r.headers.get("x-b"), seen];`);
  const result = await run(source, {
    headers: [
      ["x-a", "1"],
      ["x-a", "2"],
    ],
  });
  assert.deepEqual(result, [
    true,
    "1, 2",
    false,
    ["x-a"],
    ["a=1", "b=2"],
    "1, 2",
    ["content-type", "set-cookie", "set-cookie", "x-b"],
  ]);
  const cookies = await Guest.of(
    inHandler(
      'const r = new Response(null); r.headers.append("set-cookie", "a"); r.headers.append("set-cookie", "b"); return r',
    ),
  );
  assert.deepEqual(cookies.request().answer?.head.headers, [
    ["set-cookie", "a"],
    ["set-cookie", "b"],
  ]);
});

test("binary bodies pass unchanged", async () => {
  const guest = await Guest.of(inHandler("return new Response(await request.bytes())"));
  const bytes = octets(0, 255, 128, 10, 13, 0);
  guest.request({ body: bytes });
  assert.deepEqual(guest.answer?.bytes, bytes);
});

test("Response refuses a bad status and a body where none may be", async () => {
  const names =
    inHandler(`return [() => new Response("", { status: 99 }), () => new Response("x", { status: 204 }), () => new Request("/relative"),
    () => new Request("http://a", { body: "x" })].map((f) => { try { f(); return "none" } catch (e) { return e.name } })`);
  assert.deepEqual(await run(names), ["RangeError", "TypeError", "TypeError", "TypeError"]);
});

test("url.searchParams and URLSearchParams have all their forms", async () => {
  const source = inHandler(`const url = new URL("http://a/?x=1&x=2"); const p = url.searchParams;
    p.append("y", "a b"); url.search = url.search + "&z=3"; p.delete("x");
    return [url.href, p.get("z"), p === url.searchParams, p instanceof URLSearchParams, String(new URLSearchParams({ a: 1, b: "c d" })),
      String(new URLSearchParams([["q", "1"]])), URL.parse("nope"), URL.canParse("http://a")];`);
  assert.deepEqual(await run(source), [
    "http://a/?y=a+b&z=3",
    "3",
    true,
    true,
    "a=1&b=c+d",
    "q=1",
    null,
    true,
  ]);
});
