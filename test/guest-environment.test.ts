import assert from "node:assert/strict";
import { test } from "node:test";
import { Guest, run } from "./support/guest.ts";

test("the variables are there in each of their forms, also through what top-level code kept", async () => {
  const source = `const kept = process.env; const atBuild = [process.env.A, Deno.env.get("A")];
    export default (request, ctx) => [kept.A, process.env.A, Deno.env.get("A"), Deno.env.has("nope"), Deno.env.has("toString"), Deno.env.toObject(), ctx.env.A, atBuild];`;
  const result = await run(source, { env: { A: "1", FUNCTION_TIMEOUT_MS: "5000" } });
  const all = { A: "1", FUNCTION_TIMEOUT_MS: "5000", NODE_ENV: "production" };
  assert.deepEqual(result, ["1", "1", "1", false, false, all, "1", [null, null]]);
});

test("the native entries are gone and the globals are what libraries look for", async () => {
  const source = `export default () => [["host", "random", "dispatch", "register"].map((n) => typeof globalThis[Symbol.for("thimble." + n)]),
    navigator.userAgent, process.platform, process.cwd(), process.argv, self === globalThis, Object.keys(globalThis).filter((k) => k !== "performance" && k !== "structuredClone")]`;
  const gone = Array(4).fill("undefined");
  assert.deepEqual(await run(source), [gone, "Thimble", "wasi", "/", [], true, []]);
});

test("randomness comes from the host", async () => {
  const source = `export default () => { let error; try { crypto.getRandomValues(new Uint8Array(65537)) } catch (e) { error = e.name }
    let type; try { crypto.getRandomValues(new Float64Array(1)) } catch (e) { type = e.name }
    return [Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint16Array(2))], error, type] }`;
  const uuid = "00010203-0405-4607-8809-0a0b0c0d0e0f";
  const [random, id, values, quota, type] = (await run(source)) as unknown[];
  assert.deepEqual([random, id, quota, type], [0.5, uuid, "QuotaExceededError", "TypeMismatchError"]);
  assert.equal((values as unknown[]).length, 2);
});

test("structuredClone, atob and TextDecoder work", async () => {
  const source = `export default async () => [structuredClone({ a: [new Date(0)] }).a[0].getTime(), atob(btoa("x")), new TextDecoder().decode(new Uint8Array([226, 130, 172]))]`;
  assert.deepEqual(await run(source), [0, "x", "€"]);
});

test("top-level code is refused what there is only at run time", async () => {
  const cases: [string, string][] = [
    ["setTimeout(() => {}, 1)", "setTimeout"],
    ["setInterval(() => {}, 1)", "setInterval"],
    ["await fetch('http://a')", "fetch"],
    ["crypto.getRandomValues(new Uint8Array(1))", "crypto.getRandomValues"],
    ["crypto.randomUUID()", "crypto.randomUUID"],
    ["AbortSignal.timeout(1)", "setTimeout"],
    ["import { sql } from 'thimble:db'; await sql`select 1`", "sql"],
  ];
  for (const [code, what] of cases) {
    const message = `${what} is not available in top-level code: it runs once at build time. Move it into the handler.`;
    await assert.rejects(
      Guest.of(`${code}; export default () => 1`),
      (error: Error) => error.message.includes(message),
      code,
    );
  }
});

test("an image answers again and again, also after a request at build time", async () => {
  const guest = await Guest.of("let n = 0; export default () => ++n");
  assert.deepEqual([guest.request().json(), guest.request().json()], [1, 2]);
});
