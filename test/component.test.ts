import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnalysisError } from "../compiler/index.ts";
import type { ComponentProgram } from "../runtime/index.ts";
import { buildWasm, bytes, modules } from "./support/modules.ts";
import { compiler, json, type RunOptions, text } from "./support/sandbox.ts";
import {
  compileAssemblyScript,
  compileC,
  componentizeJs,
  componentizeQjs,
  componentOf,
  parseComponent,
  proxyWorld,
} from "./support/toolchains.ts";

const bench = modules();
const run = (program: ComponentProgram, options?: RunOptions) => bench.run(program, options);
const load = async (component: Uint8Array) =>
  (await bench.runtime.load(
    (
      await buildWasm(component, { fileName: "a.wasm" })
    ).artifact,
  )) as ComponentProgram;

const functionWorld = `package test:component;
world function { include thimble:function/function@0.1.0; }
`;
const handles = (code: string, imports = "") => `${imports}
const encode = (value) => Uint8Array.from(unescape(encodeURIComponent(JSON.stringify(value))), (c) => c.charCodeAt(0));
let count = 0;
export const handler = { handle(request) { ${code} } };
`;

/** What most tests ask: one component that does what the request's method says. */
const versatile = await load(
  await componentizeQjs(
    handles(
      `count++;
      switch (request.method) {
        case "SPIN": for (;;) {}
        case "GROW": { const kept = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); }
        case "DEEP": { const deep = (n) => deep(n + 1) + 1; return deep(0); }
        case "THROW": throw "what the function says";
        case "CRASH": throw new Error("crashed");
        case "LARGE": return { status: 200, headers: [], body: new Uint8Array(1 << 20) };
        case "SEND": return send({ method: "POST", url: "http://other/", headers: [["a", "b"]], body: request.body });
        case "QUERY": {
          const params = [{ tag: "integer", val: 7 }, { tag: "text", val: "x" }, { tag: "null" }, { tag: "boolean", val: true }];
          const { columns, rows, count } = query("select $1", params);
          return { status: 200, headers: [], body: encode({ columns, rows: rows.map((row) => row.map(({ tag, val }) => [tag, String(val)])), count: Number(count) }) };
        }
        case "REFUSED": try { send({ method: "GET", url: "http://other/", headers: [], body: new Uint8Array() }); } catch (error) { return { status: 200, headers: [], body: encode(error.payload ?? error) }; }
      }
      write("warn", "asked for " + request.url);
      return { status: 201, headers: [["x-a", "b"], ...request.headers], body: encode({ method: request.method, body: [...request.body], count, env: get("NAME"), none: get("NONE") == null }) };`,
      `import { write } from "thimble:function/log@0.1.0";
       import { get } from "thimble:function/config@0.1.0";
       import { query } from "thimble:function/database@0.1.0";
       import { send } from "thimble:function/outgoing-http@0.1.0";`,
    ),
    functionWorld,
    "function",
  ),
);
const ask = (method: string, options: RunOptions = {}) =>
  run(versatile, { ...options, request: { method, ...options.request } });

describe("thimble:function/handler, a component of componentize-qjs", () => {
  test("a request in, a response out, its log and its variables", async () => {
    const request = {
      url: "http://localhost/a?b=c",
      headers: [["x-c", "d"]] as [string, string][],
      body: bytes("hi"),
    };
    const result = await ask("PUT", { request, env: { NAME: "value" } });
    assert.ok(result.outcome.kind === "completed", JSON.stringify(result.outcome));
    assert.equal(result.outcome.response.status, 201);
    assert.deepEqual(result.outcome.response.headers, [
      ["x-a", "b"],
      ["x-c", "d"],
    ]);
    const answer = json(result);
    assert.deepEqual(answer, { method: "PUT", body: [104, 105], count: 1, env: "value", none: true });
    assert.deepEqual(result.logs, [{ level: "warn", message: "asked for http://localhost/a?b=c" }]);
  });

  test("each request has an instance of its own", async () => {
    for (let i = 0; i < 3; i++) assert.equal(json(await ask("GET")).count, 1);
    assert.equal(bench.runtime.stats().busy, 0);
    const fuel = new Set<number>();
    for (let i = 0; i < 3; i++) fuel.add((await ask("GET")).metrics.fuel);
    assert.equal(fuel.size, 1);
  });

  test("outgoing HTTP and the database are the host's, and wait without holding the thread", async () => {
    const calls: unknown[] = [];
    const fetch = async (head: unknown, body: unknown) => {
      calls.push([head, Buffer.from(body as Uint8Array).toString()]);
      await new Promise((resolve) => setTimeout(resolve, 20));
      return {
        head: {
          status: 202,
          statusText: "",
          headers: [["c", "d"]] as [string, string][],
          url: "",
          redirected: false,
        },
        body: bytes("answer"),
      };
    };
    const sent = ask("SEND", { services: { fetch }, request: { body: bytes("question") } });
    assert.equal(json(await ask("GET")).count, 1);
    const result = await sent;
    assert.equal(text(result), "answer");
    assert.equal(result.metrics.hostCalls, 1);
    assert.deepEqual(calls, [
      [
        { method: "POST", url: "http://other/", headers: [["a", "b"]], redirect: "manual", hasBody: true },
        "question",
      ],
    ]);
    const queries: unknown[] = [];
    const openDatabase = () => ({
      query: async (request: unknown) => {
        queries.push(request);
        const columns = [{ name: "a", type: 23 }];
        return {
          columns,
          rows: [[1, 1.5, "t", null, { $json: { a: 1 } }, { $bigint: "9" }, true]],
          count: 1,
          command: "SELECT",
        };
      },
      release() {},
      close() {},
    });
    assert.deepEqual(json(await ask("QUERY", { services: { openDatabase } })), {
      columns: ["a"],
      rows: [
        [
          ["integer", "1"],
          ["float", "1.5"],
          ["text", "t"],
          ["null", "undefined"],
          ["json", '{"a":1}'],
          ["integer", "9"],
          ["boolean", "true"],
        ],
      ],
      count: 1,
    });
    assert.deepEqual(queries, [{ text: "select $1", params: [{ $bigint: "7" }, "x", null, true] }]);
    assert.deepEqual(json(await ask("REFUSED")), { code: "unavailable", message: "no network in this test" });
  });

  test("limits are those of every function", async () => {
    const outcomes: [string, RunOptions, string][] = [
      ["SPIN", { timeoutMs: 50 }, "timedOut"],
      ["SPIN", { fuel: 5_000_000 }, "outOfFuel"],
      ["GROW", { memoryLimitBytes: 16 * 1024 * 1024 }, "outOfMemory"],
      ["THROW", {}, "threw"],
      ["CRASH", {}, "threw"],
      ["LARGE", { responseLimitBytes: 1_000 }, "responseTooLarge"],
    ];
    for (const [method, options, kind] of outcomes) {
      const { outcome } = await ask(method, options);
      assert.equal(outcome.kind, kind, `${method}: ${JSON.stringify(outcome)}`);
      assert.equal(json(await ask("GET")).count, 1);
    }
    const { outcome } = await ask("THROW");
    assert.ok(outcome.kind === "threw");
    assert.equal(outcome.error.message, "what the function says");
    assert.ok(["threw", "stackOverflow"].includes((await ask("DEEP")).outcome.kind));
  });

  test("one that spins lets others through", async () => {
    const spinning = ask("SPIN", { timeoutMs: 500 });
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    for (let i = 0; i < 3; i++) assert.equal(json(await ask("GET")).count, 1);
    assert.equal((await spinning).outcome.kind, "timedOut");
    clearInterval(ticking);
    assert.ok(turns > 5, `${turns} turns of the event loop`);
  });

  test("an artefact is built again from itself", async () => {
    const component = await componentizeQjs(
      handles("return { status: 200, headers: [], body: request.body }"),
      functionWorld,
      "function",
    );
    const { artifact, analysis } = await buildWasm(component);
    assert.deepEqual((await compiler.rebuild(artifact)).artifact, artifact);
    assert.equal(analysis.module?.kind, "component");
    assert.ok(analysis.module.exports.includes("thimble:function/handler@0.1.0"));
    assert.ok(analysis.module.imports.some((name) => name.startsWith("wasi:cli/environment@0.2.")));
  });
});

describe("other languages", () => {
  test("C, by the canonical ABI", async () => {
    const core = await compileC(
      `#include <stdlib.h>
       #include <string.h>
       typedef struct { const char *at; size_t length; } text;
       static struct { int tag; union { struct { unsigned short status; void *headers; size_t count; text body; } ok; text err; }; } answer;
       static char buffer[256];
       __attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t had, size_t align, size_t size) {
         return realloc(old, size);
       }
       __attribute__((export_name("thimble:function/handler@0.1.0#handle")))
       void *handle(text method, text url, void *headers, size_t count, text body) {
         if (body.length == 0) { answer.tag = 1; answer.err = (text){ "no body", 7 }; return &answer; }
         memcpy(buffer, "got ", 4);
         memcpy(buffer + 4, body.at, body.length);
         answer.tag = 0;
         answer.ok.status = 200;
         answer.ok.headers = 0;
         answer.ok.count = 0;
         answer.ok.body = (text){ buffer, body.length + 4 };
         return &answer;
       }`
        .replace(
          "text method, text url, void *headers, size_t count, text body",
          "const char *m, size_t ml, const char *u, size_t ul, void *h, size_t hl, const char *b, size_t bl",
        )
        .replace(/body\.at/g, "b")
        .replace(/body\.length/g, "bl"),
      { reactor: true },
    );
    const program = await load(await componentOf(core));
    assert.equal(text(await run(program, { request: { body: bytes("it") } })), "got it");
    const { outcome } = await run(program);
    assert.ok(outcome.kind === "threw");
    assert.equal(outcome.error.message, "no body");
  });

  test("AssemblyScript, by the canonical ABI", async () => {
    const core = await compileAssemblyScript(
      `export function realloc(old: usize, had: usize, align: usize, size: usize): usize {
         const place = heap.alloc(size);
         if (had > 0) memory.copy(place, old, had);
         return place;
       }
       export function handle(m: usize, ml: usize, u: usize, ul: usize, h: usize, hl: usize, b: usize, bl: usize): usize {
         const url = String.UTF8.decodeUnsafe(u, ul);
         const answer = String.UTF8.encode("you asked for " + url);
         const area = heap.alloc(24);
         store<u8>(area, 0);
         store<u16>(area, 200, 4);
         store<u32>(area, 0, 8);
         store<u32>(area, 0, 12);
         store<u32>(area, <u32>changetype<usize>(answer), 16);
         store<u32>(area, answer.byteLength, 20);
         return area;
       }`,
      ["--use", "abort=", "--runtime", "stub"],
    );
    const component = await componentOf(core, {
      realloc: "cabi_realloc",
      handle: "thimble:function/handler@0.1.0#handle",
    });
    assert.equal(text(await run(await load(component))), "you asked for http://localhost/");
  });
});

describe("wasi:http/incoming-handler, a component of componentize-js", () => {
  test("a request in, a response out, requests to others", { timeout: 120_000 }, async () => {
    const program = await load(
      await componentizeJs(
        `addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
         async function answer(request) {
           const url = new URL(request.url);
           console.log("asked for " + url.pathname);
           if (url.pathname === "/spin") for (;;) {}
           if (url.pathname === "/other") {
             const other = await fetch("http://other/path", { method: "POST", body: "question" });
             return new Response("other said " + (await other.text()), { status: other.status });
           }
           return Response.json({ method: request.method, header: request.headers.get("x-a"), query: url.search, body: await request.text() }, { status: 201, headers: { "x-b": "c" } });
         }`,
        proxyWorld,
        "proxy",
      ),
    );
    const roomy = { memoryLimitBytes: 256 * 1024 * 1024 };
    const result = await run(program, {
      ...roomy,
      request: { url: "http://localhost/path?a=b", headers: [["x-a", "d"]], body: bytes("hi") },
    });
    assert.ok(result.outcome.kind === "completed", JSON.stringify(result.outcome));
    assert.equal(result.outcome.response.status, 201);
    assert.deepEqual(json(result), { method: "POST", header: "d", query: "?a=b", body: "hi" });
    assert.ok(result.outcome.response.headers.some(([name, value]) => name === "x-b" && value === "c"));
    assert.match(result.logs.map(({ message }) => message).join("\n"), /asked for \/path/);
    const fetch = async (head: { url: string }, body: unknown) => ({
      head: {
        status: 202,
        statusText: "",
        headers: [] as [string, string][],
        url: head.url,
        redirected: false,
      },
      body: bytes(`${head.url} ${Buffer.from(body as Uint8Array)}`),
    });
    const other = await run(program, {
      ...roomy,
      services: { fetch },
      request: { url: "http://localhost/other" },
    });
    assert.equal(text(other), "other said http://other/path question");
    const spun = await run(program, { ...roomy, timeoutMs: 200, request: { url: "http://localhost/spin" } });
    assert.equal(spun.outcome.kind, "timedOut");
  });
});

describe("what is refused", () => {
  test("imports that are not allowed, each by name, and a component without an entry", async () => {
    const component = await parseComponent(`(component
      (import "wasi:keyvalue/store@0.2.0" (instance))
      (import "evil:corp/all@1.0.0" (instance)))`);
    await assert.rejects(buildWasm(component, { fileName: "bad.wasm" }), (error: unknown) => {
      assert.ok(error instanceof AnalysisError);
      assert.deepEqual(
        error.analysis.findings.map(({ rule, sourceLine }) => [rule, sourceLine]),
        [
          ["forbidden-import", "import wasi:keyvalue/store@0.2.0;"],
          ["forbidden-import", "import evil:corp/all@1.0.0;"],
          ["module-invalid", "export …"],
        ],
      );
      return true;
    });
  });

  test("names that would end a string in the transpiler's code", async () => {
    for (const name of [
      "a'];globalThis.hacked=1;['",
      "a\\\\",
      "a\\n",
      "\\u{2028}",
      "`",
      "*/",
      "constructor",
      "__proto__",
    ]) {
      const exported = await parseComponent(`(component
        (core module $m (func (export "${name}") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func $f (result s32) (canon lift (core func $i "${name}")))
        (export "run" (func $f)))`);
      await assert.rejects(buildWasm(exported), { code: "compile_failed", message: /names a part/ }, name);
      const imported = await parseComponent(`(component
        (core module $m (import "${name}" "x" (func)))
        (core module $n (func (export "x")))
        (core instance $j (instantiate $n))
        (core instance $i (instantiate $m (with "${name}" (instance $j)))))`);
      await assert.rejects(buildWasm(imported), { code: "compile_failed", message: /names a part/ }, name);
    }
    assert.equal((globalThis as { hacked?: number }).hacked, undefined);
  });

  test("bytes that only begin like a component", async () => {
    const component = await parseComponent("(component)");
    for (const bad of [
      component.subarray(0, 8),
      component.subarray(0, 7),
      Uint8Array.of(...component, 1, 255),
    ]) {
      await assert.rejects(buildWasm(bad), (error: Error & { code?: string }) =>
        ["compile_failed", "analysis_failed"].includes(error.code ?? ""),
      );
    }
  });
});
