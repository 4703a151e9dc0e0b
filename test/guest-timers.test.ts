import assert from "node:assert/strict";
import { test } from "node:test";
import { Op } from "../runtime/protocol.ts";
import { Guest } from "./support/guest.ts";

const start = async (body: string) =>
  (await Guest.of(`export default async (request, ctx) => { ${body} }`)).request();

test("setTimeout passes its delay and arguments, and gives a number", async () => {
  const guest = await start(
    "return new Promise((resolve) => { const id = setTimeout((a, b) => resolve([typeof id, a, b]), 12.7, 1, 2) })",
  );
  assert.equal(guest.answer, undefined);
  assert.equal(guest.last(Op.timer).text, "12");
  guest.complete(guest.last(Op.timer));
  assert.deepEqual(guest.json(), ["number", 1, 2]);
});

test("odd delays become 1 ms, setImmediate 0", async () => {
  const guest = await start(
    "setTimeout(() => {}); setTimeout(() => {}, -5); setTimeout(() => {}, 2 ** 31); setTimeout(() => {}, 'x'); setImmediate(() => {})",
  );
  assert.deepEqual(
    guest.calls.filter(({ op }) => op === Op.timer).map(({ text }) => text),
    ["1", "1", "1", "1", "0"],
  );
});

test("clearTimeout cancels at the host; a late completion is ignored", async () => {
  const guest = await start(
    "const id = setTimeout(() => console.log('fired'), 5); clearTimeout(id); clearTimeout(id); clearTimeout(undefined); clearTimeout(999)",
  );
  const timer = guest.last(Op.timer);
  assert.deepEqual(
    guest.calls.filter(({ op }) => op === Op.cancel).map(({ text }) => text),
    [`${timer.id}`],
  );
  guest.complete(timer).complete({ ...timer, id: 777 });
  assert.deepEqual(guest.logs, []);
});

test("setInterval goes on until it is cleared, from its own callback too", async () => {
  const guest = await start(
    "return new Promise((resolve) => { let n = 0; const id = setInterval(() => { if (++n === 3) { clearInterval(id); resolve(n) } }, 10) })",
  );
  for (let i = 0; i < 3; i++) guest.complete(guest.last(Op.timer));
  assert.deepEqual(guest.json(), 3);
  assert.equal(Number(guest.last(Op.cancel).text), guest.last(Op.timer).id);
});

test("an error in a timer's callback fails the invocation, after the response it is logged", async () => {
  const failed = await start("await new Promise(() => setTimeout(() => { throw new Error('in timer') }, 1))");
  failed.complete(failed.last(Op.timer));
  assert.equal(failed.failure?.message, "in timer");
  const answered = await start(
    "ctx.waitUntil(new Promise(() => setTimeout(() => { throw new Error('in timer') }, 1))); return 1",
  );
  answered.complete(answered.last(Op.timer));
  assert.match(answered.logs[0]?.message ?? "", /^Uncaught Error: in timer/);
});

test("an error in a microtask fails the invocation and does not stop the others", async () => {
  const guest = await start(
    "queueMicrotask(() => { throw new Error('in microtask') }); queueMicrotask(() => console.log('next')); await new Promise(() => {})",
  );
  assert.equal(guest.failure?.message, "in microtask");
  assert.equal(guest.logs[0]?.message, "next");
});

test("queueMicrotask, process.nextTick and setImmediate run", async () => {
  const guest = await start(
    "const seen = []; queueMicrotask(() => seen.push(1)); process.nextTick((x) => seen.push(x), 2); return new Promise((r) => setImmediate(() => r(seen)))",
  );
  guest.complete(guest.last(Op.timer));
  assert.deepEqual(guest.json(), [1, 2]);
});

test("request.signal fires when the client goes away; who does not listen to it is given up", async () => {
  const guest = await start(
    "const { signal } = request; return new Promise((r) => signal.addEventListener('abort', () => r([signal.aborted, signal.reason.name])))",
  );
  assert.deepEqual(guest.abort().json(), [true, "AbortError"]);
  const late = await start(
    "const { signal } = request; await new Promise((r) => setTimeout(r, 1)); return signal.aborted",
  );
  late.abort().complete(late.last(Op.timer));
  assert.equal(late.json(), true);
  assert.equal((await start("await new Promise((r) => setTimeout(r, 1))")).abort().done, true);
  const background = await start(
    "ctx.waitUntil(new Promise((r) => setTimeout(r, 1))); return new Promise(() => {})",
  );
  assert.equal(background.abort().done, false);
  assert.equal(background.complete(background.last(Op.timer)).done, true);
});

test("AbortController, AbortSignal.abort, any and timeout", async () => {
  const guest =
    await start(`const c = new AbortController(); const all = AbortSignal.any([c.signal, AbortSignal.timeout(50)]); let n = 0;
    all.onabort = () => n++; all.addEventListener("abort", () => n++, { once: true });
    const timeout = AbortSignal.timeout(20);
    c.abort("why"); c.abort("again");
    return new Promise((r) => { timeout.onabort = () => r([n, all.reason, AbortSignal.abort().reason.name, timeout.reason.name]) });`);
  guest.complete(guest.last(Op.timer));
  assert.deepEqual(guest.json(), [2, "why", "AbortError", "TimeoutError"]);
});

test("EventTarget: once, signal, removal, handleEvent, preventDefault", async () => {
  const guest = await start(`const t = new EventTarget(), seen = [], c = new AbortController();
    const removed = () => seen.push("removed");
    t.addEventListener("x", (e) => { seen.push(e.type + e.detail); e.preventDefault() }, { once: true });
    t.addEventListener("x", { handleEvent() { seen.push("object") } });
    t.addEventListener("x", () => seen.push("signal"), { signal: c.signal });
    t.addEventListener("x", removed); t.removeEventListener("x", removed);
    const kept = t.dispatchEvent(new CustomEvent("x", { detail: 1, cancelable: true })); c.abort();
    return [kept, t.dispatchEvent(new Event("x")), seen];`);
  assert.deepEqual(guest.json(), [false, true, ["x1", "object", "signal", "object"]]);
});
