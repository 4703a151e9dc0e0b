import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { packSections } from "../compiler/container.ts";
import { AnalysisError } from "../compiler/index.ts";
import { emptyModule, readModule, writeModule } from "../compiler/wasm/index.ts";
import { httpWorld } from "../runtime/component/http.ts";
import { World } from "../runtime/component/world.ts";
import { FunctionLog } from "../runtime/function-log.ts";
import type { Program } from "../runtime/index.ts";
import { GuestEnded } from "../runtime/metered-execution.ts";
import { Scheduler } from "../runtime/scheduler.ts";
import { Turns } from "../runtime/turns.ts";
import { buildWasm, bytes, modules } from "./support/modules.ts";
import { noServices, type RunOptions, text } from "./support/sandbox.ts";
import { compileC, componentOf, parseComponent as parse } from "./support/toolchains.ts";

/** Modules and components that mean harm: each gets its error, and everyone else goes on. */

const { runtime, run } = modules();
const load = async (wasm: Uint8Array): Promise<Program> => runtime.load((await buildWasm(wasm)).artifact);
const module = async (code: string): Promise<Program> =>
  load(await parse(`(module ${code} ${code.includes("(memory (") ? "" : '(memory (export "memory") 1)'})`));

const honest = await load(
  await compileC('#include <stdio.h>\nint main(void) { printf("{\\"body\\":\\"honest\\"}"); }'),
);

/** How a request ends, while an honest one beside it is answered. */
async function outcomeOf(program: Program, options: RunOptions = {}) {
  const hostile = run(program, { timeoutMs: 100, ...options });
  assert.equal(text(await run(honest)), "honest");
  const { outcome } = await hostile;
  assert.equal(text(await run(honest)), "honest");
  return outcome;
}

describe("core modules", () => {
  test("loops, in the start function and anywhere else", async () => {
    const loop = "(loop $again (br $again))";
    for (const code of [
      `(func $s ${loop}) (start $s) (func (export "_start"))`,
      `(func (export "_start") ${loop})`,
      `(func (export "_initialize") ${loop}) (func (export "handler"))`,
    ]) {
      assert.deepEqual(await outcomeOf(await module(code)), { kind: "timedOut", timeoutMs: 100 });
      assert.equal((await outcomeOf(await module(code), { fuel: 100_000 })).kind, "outOfFuel");
    }
  });

  test("memories and tables that grow, or are large from the beginning", async () => {
    const growing = await module(
      '(func (export "_start") (loop $again (drop (memory.grow (i32.const 16))) (br $again)))',
    );
    assert.equal((await outcomeOf(growing, { timeoutMs: 5_000 })).kind, "outOfMemory");
    const large = await module('(memory (export "memory") 4096) (func (export "_start"))');
    assert.equal((await outcomeOf(large)).kind, "outOfMemory");
    const tables = await module(
      '(table 1 funcref) (func (export "_start") (loop $again (drop (table.grow (ref.null func) (i32.const 1000))) (br $again)))',
    );
    const { kind } = await outcomeOf(tables, { timeoutMs: 5_000 });
    assert.equal(kind, "trapped");
    await assert.rejects(module('(memory (export "memory") 65536) (func (export "_start"))'), {
      code: "compile_failed",
    });
    await assert.rejects(module('(table 1000000 funcref) (func (export "_start"))'), {
      code: "compile_failed",
    });
  });

  test("endless recursion", async () => {
    const program = await module(
      '(func $f (param i32) (result i32) (i32.add (call $f (i32.add (local.get 0) (i32.const 1))) (i32.const 1))) (func (export "_start") (drop (call $f (i32.const 0))))',
    );
    assert.equal((await outcomeOf(program, { timeoutMs: 5_000 })).kind, "stackOverflow");
  });

  test("calls of the host that take long", async () => {
    const import_ = (name: string, parameters: string) =>
      `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${parameters}) (result i32)))`;
    const endless = (call: string) => `(loop $again (drop ${call}) (br $again))`;
    const repeated = (times: number, body: string) =>
      `(local.set $i (i32.const 0)) (loop $next ${body}
         (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${times}))))`;
    const hostile = {
      // 1,024 times the same 16 MiB for the log
      fd_write: `${import_("fd_write", "i32 i32 i32 i32")} (memory (export "memory") 512)
        (func (export "_start") (local $i i32)
          ${repeated(1_024, "(i64.store (i32.shl (local.get $i) (i32.const 3)) (i64.const 0x0100000000010000))")}
          ${endless("(call $fd_write (i32.const 2) (i32.const 0) (i32.const 1024) (i32.const 9000))")})`,
      // a folder of 4,000 names, read from the beginning
      fd_readdir: `${import_("path_create_directory", "i32 i32 i32")} ${import_("fd_readdir", "i32 i32 i32 i64 i32")}
        (func (export "_start") (local $i i32)
          ${repeated(
            4_000,
            `(i32.store (i32.const 100) (i32.add (i32.const 0x61616161) (i32.add (i32.and (local.get $i) (i32.const 15))
               (i32.add (i32.shl (i32.and (i32.shr_u (local.get $i) (i32.const 4)) (i32.const 15)) (i32.const 8))
                 (i32.shl (i32.and (i32.shr_u (local.get $i) (i32.const 8)) (i32.const 15)) (i32.const 16))))))
             (drop (call $path_create_directory (i32.const 4) (i32.const 100) (i32.const 4)))`,
          )}
          ${endless("(call $fd_readdir (i32.const 4) (i32.const 1024) (i32.const 24) (i64.const 0) (i32.const 2000))")})`,
      // links that lead through 2,000 names each
      path_symlink: `${import_("path_symlink", "i32 i32 i32 i32 i32")} ${import_("path_filestat_get", "i32 i32 i32 i32 i32")}
        ${import_("path_create_directory", "i32 i32 i32")} (data (i32.const 0) "ab")
        (func (export "_start") (local $i i32)
          ${repeated(1_023, "(i32.store (i32.add (i32.const 100) (i32.shl (local.get $i) (i32.const 2))) (i32.const 0x2f2e2e2f)) (i32.store8 (i32.add (i32.const 100) (i32.shl (local.get $i) (i32.const 2))) (i32.const 0x61))")}
          (i32.store (i32.const 4192) (i32.const 0x62))
          (drop (call $path_create_directory (i32.const 4) (i32.const 0) (i32.const 1)))
          (drop (call $path_symlink (i32.const 100) (i32.const 4093) (i32.const 4) (i32.const 1) (i32.const 1)))
          ${endless("(call $path_filestat_get (i32.const 4) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 9000))")})`,
    };
    for (const [name, code] of Object.entries(hostile)) {
      const { outcome, metrics } = await run(await module(code), { timeoutMs: 300 });
      assert.equal(outcome.kind, "timedOut", `${name}: ${JSON.stringify(outcome)}`);
      assert.ok(metrics.wallMs < 3_000, `${name}: ${metrics.wallMs} ms`);
    }
  });

  test("handlers around everything catch neither limits nor their own exit", async () => {
    const guarded = (inner: string) =>
      `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
       (func (export "_start") (loop $again (block $caught (try_table (catch_all $caught) ${inner})) (br $again)))`;
    assert.equal((await outcomeOf(await module(guarded("(loop $l (br $l))")))).kind, "timedOut");
    const exits = await outcomeOf(await module(guarded("(call $exit (i32.const 3))")), { timeoutMs: 5_000 });
    assert.ok(exits.kind === "threw" && exits.error.message === "the module exited with code 3");
    assert.equal((await outcomeOf(await module(guarded("unreachable")))).kind, "threw");
  });

  test("more than a module may have", async () => {
    const targets = "0 ".repeat(20_000);
    await assert.rejects(module(`(func (export "_start") (br_table ${targets} 0 (i32.const 0)))`), {
      code: "compile_failed",
      message: /branchTargets/,
    });
    const many: ReturnType<typeof emptyModule> = { ...emptyModule(), types: [{ params: [], results: [] }] };
    many.functions = Array.from({ length: 50_001 }, () => ({
      type: 0,
      locals: [],
      code: Uint8Array.of(0x0b),
      position: 0,
    }));
    await assert.rejects(buildWasm(writeModule(many)), {
      code: "compile_failed",
      message: /functions is 50001/,
    });
    await assert.rejects(
      module(`(func (export "_start") ${"block ".repeat(11_000)}${"end ".repeat(11_000)})`),
      {
        code: "compile_failed",
        message: /nesting/,
      },
    );
  });

  test("custom sections full of lies", async () => {
    const core = readModule(await parse('(module (memory (export "memory") 1) (func (export "_start")))'));
    for (const name of [
      "name",
      "producers",
      "dylink.0",
      "linking",
      ".debug_info",
      "metadata.code.branch_hint",
      "thimble:manifest",
    ]) {
      const lying = {
        ...core,
        customs: [{ name, bytes: Uint8Array.from({ length: 100 }, (_, i) => 255 - i) }],
      };
      assert.equal((await outcomeOf(await load(writeModule(lying)))).kind, "invalidResponse", name);
    }
    for (const config of ["{", '{"timeoutMs":-1}', '{"no":1}', "[]", "\u{ff}"]) {
      const lying = { ...core, customs: [{ name: "thimble:config", bytes: bytes(config) }] };
      await assert.rejects(buildWasm(writeModule(lying)), AnalysisError, config);
    }
    const own = {
      ...core,
      customs: [{ name: "thimble:config", bytes: bytes('{"timeoutMs":50,"stdio":"raw"}') }],
    };
    const { analysis } = await buildWasm(writeModule(own));
    assert.deepEqual(analysis.config, { timeoutMs: 50, stdio: "raw" });
  });

  test("names of the host's, and imports of everything", async () => {
    for (const name of ["thimble:fuel", "thimble:memory:0", "thimble:start"]) {
      await assert.rejects(
        module(`(global $g (export "${name}") (mut i64) (i64.const 0)) (func (export "_start"))`),
        { code: "compile_failed" },
      );
    }
    const everything = [
      '(import "thimble:meter" "slice" (func))',
      '(import "wasi_snapshot_preview1" "memory" (memory 1))',
      '(import "env" "memory" (memory 1))',
      '(import "env" "table" (table 1 funcref))',
      '(import "wasi_unstable" "fd_write" (func))',
      '(import "" "" (func))',
    ];
    await assert.rejects(
      buildWasm(await parse(`(module ${everything.join(" ")} (func (export "_start")))`)),
      (error: unknown) => {
        assert.ok(error instanceof AnalysisError);
        const forbidden = error.analysis.findings.filter(({ rule }) => rule === "forbidden-import");
        const text = forbidden.map(({ message }) => message).join("\n");
        return (
          forbidden.length === 5 &&
          ["slice", "memory", "table", "fd_write", '""'].every((name) => text.includes(name))
        );
      },
    );
  });

  test("pointers to nowhere, and lengths that are none", async () => {
    const code = (call: string) =>
      `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
       (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
       (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
       (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
       (func (export "_start") (call $exit ${call}))`;
    for (const [call, errno] of [
      ["(call $write (i32.const 1) (i32.const -1) (i32.const 1) (i32.const 0))", 21],
      ["(call $write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))", 28],
      ["(call $write (i32.const 1000000) (i32.const 0) (i32.const 0) (i32.const 0))", 8],
      ["(call $random (i32.const 65530) (i32.const 100))", 21],
      ["(call $random (i32.const 0) (i32.const -1))", 28],
      ["(call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))", 28],
      ["(call $poll (i32.const 65530) (i32.const 0) (i32.const 1) (i32.const 0))", 21],
    ] as const) {
      const outcome = await outcomeOf(await module(code(call)), { timeoutMs: 5_000 });
      assert.ok(
        outcome.kind === "threw" && outcome.error.message.endsWith(`code ${errno}`),
        `${call}: ${JSON.stringify(outcome)}`,
      );
    }
  });
});

describe("components", () => {
  const component = async (code: string, realloc = "return realloc(old, size);") =>
    load(
      await componentOf(
        await compileC(
          `#include <stdlib.h>
           #include <string.h>
           static struct { int tag; unsigned short status; void *headers; size_t count; const char *body; size_t length; } answer = { 0, 200 };
           __attribute__((import_module("thimble:function/log@0.1.0"), import_name("write"))) void log_write(int level, const char *text, size_t length);
           __attribute__((import_module("thimble:function/config@0.1.0"), import_name("all"))) void config_all(void *);
           __attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t had, size_t align, size_t size) { ${realloc} }
           __attribute__((export_name("cabi_post_thimble:function/handler@0.1.0#handle"))) void after(void *result) { if (answer.count == 1) __builtin_trap(); }
           static void *area[2];
           __attribute__((export_name("thimble:function/handler@0.1.0#handle")))
           void *handle(const char *m, size_t ml, const char *u, size_t ul, void *h, size_t hl, const char *b, size_t bl) { ${code} return &answer; }`,
          { reactor: true },
        ),
      ),
    );

  test("a realloc that never returns, or calls back", async () => {
    const spins = await component("config_all(area);", 'for (;;) { __asm__ volatile(""); }');
    assert.equal((await outcomeOf(spins, { timeoutMs: 5_000, env: { A: "b" } })).kind, "trapped");
    const calls = await component("config_all(area);", 'log_write(0, "x", 1); return realloc(old, size);');
    // the transpiler lets it: nothing of the host's is on its way that it could disturb
    assert.equal((await outcomeOf(calls, { timeoutMs: 5_000, env: { A: "b" } })).kind, "completed");
  });

  describe("resources of their own", () => {
    /** A component in the text format: `handle` uses `$new` and `$drop` of a resource with this destructor. */
    const own = async (destructor: string, handle = "(call $drop (call $new (i32.const 7)))") =>
      load(
        await parse(`(component
          (core module $destructors (memory 1) ${destructor})
          (core instance $d (instantiate $destructors))
          (type $r (resource (rep i32) (dtor (core func $d "destroy"))))
          (core func $new (canon resource.new $r))
          (core func $drop (canon resource.drop $r))
          (core module $main
            (import "r" "new" (func $new (param i32) (result i32)))
            (import "r" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
              ${handle}
              (i32.store16 (i32.const 4) (i32.const 200))
              (i32.const 0)))
          (core instance $m (instantiate $main
            (with "r" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
          (import "thimble:function/types@0.1.0" (instance $types
            (type $headers (list (tuple string string)))
            (type $request (record (field "method" string) (field "url" string) (field "headers" $headers) (field "body" (list u8))))
            (export "request" (type (eq $request)))
            (type $response (record (field "status" u16) (field "headers" $headers) (field "body" (list u8))))
            (export "response" (type (eq $response)))))
          (alias export $types "request" (type $request))
          (alias export $types "response" (type $response))
          (func $handle (param "request" $request) (result (result $response (error string)))
            (canon lift (core func $m "handle") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
          (instance $handler (export "handle" (func $handle)))
          (export "thimble:function/handler@0.1.0" (instance $handler)))`),
      );
    const nothing = '(func (export "destroy") (param i32))';

    test("whose destructors trap, never return, recurse without end, or take all memory", async () => {
      assert.equal((await outcomeOf(await own(nothing))).kind, "completed");
      for (const [code, kind] of [
        ["unreachable", "threw"],
        ["(loop $again (br $again))", "trapped"],
        ["(call $f (local.get 0)) (call $f (local.get 0))", "stackOverflow"],
        ["(loop $again (drop (memory.grow (i32.const 16))) (br $again))", "outOfMemory"],
      ] as const) {
        const component = await own(`(func $f (export "destroy") (param i32) ${code})`);
        assert.equal((await outcomeOf(component, { timeoutMs: 5_000 })).kind, kind, code);
      }
    });

    test("of which there are more and more, open or dropped: they end before the host's memory does", async () => {
      const count = "(local.set $i (i32.add (local.get $i) (i32.const 1)))";
      for (const work of ["(drop (call $new (i32.const 7)))", "(call $drop (call $new (local.get $i)))"]) {
        const component = await own(nothing, `(loop $again ${count} ${work} (br $again))`);
        const before = process.memoryUsage.rss();
        const outcome = await outcomeOf(component, { timeoutMs: 5_000 });
        assert.ok(outcome.kind === "trapped" && /handles/.test(outcome.message), JSON.stringify(outcome));
        assert.ok(process.memoryUsage.rss() - before < 200e6);
      }
    });

    test("that are dropped twice, or never were", async () => {
      for (const code of [
        "(call $drop (i32.const 99))",
        "(call $drop (i32.const -1))",
        "(call $drop (i32.const 0))",
      ])
        assert.equal((await outcomeOf(await own(nothing, code))).kind, "threw", code);
      const twice =
        "(local.set $i (call $new (i32.const 7))) (call $drop (local.get $i)) (call $drop (local.get $i))";
      assert.equal((await outcomeOf(await own(nothing, twice))).kind, "threw");
    });
  });

  test("a few bytes that stand for many", async () => {
    const large = await component(
      "char *text = malloc(40 << 20); memset(text, 120, 40 << 20); log_write(0, text, 40 << 20);",
    );
    const outcome = await outcomeOf(large, { timeoutMs: 5_000 });
    assert.ok(
      outcome.kind === "trapped" && /carries more than/.test(outcome.message),
      JSON.stringify(outcome),
    );
    const headers = await component("answer.headers = calloc(1 << 20, 16); answer.count = 1 << 20;");
    assert.equal((await outcomeOf(headers, { timeoutMs: 5_000 })).kind, "trapped");
  });

  test("results that are none, and traps while they are taken down", async () => {
    const nowhere = await component("answer.body = (const char *) 0xfffffff0; answer.length = 100;");
    const cut = await outcomeOf(nowhere, { timeoutMs: 5_000 });
    assert.ok(
      cut.kind === "completed" && (cut.response.body as Uint8Array).length === 0,
      "only its own memory is read",
    );
    const text = await component("return (void *) 0xfffffff0;");
    assert.equal((await outcomeOf(text, { timeoutMs: 5_000 })).kind, "threw");
    const traps = await component(
      'static void *header[4]; header[0] = "a"; header[1] = (void *) 1; header[2] = "b"; header[3] = (void *) 1; answer.headers = header; answer.count = 1;',
    );
    assert.equal((await outcomeOf(traps, { timeoutMs: 5_000 })).kind, "threw");
  });

  test("headers and bodies, of which many together are more than the host holds", () => {
    const world = () =>
      new World({
        env: {},
        functionName: "test",
        services: noServices,
        log: new FunctionLog(),
        turns: new Turns({ timeoutMs: 1_000, cpuMs: null }, new Scheduler(), "test", performance.now()),
        outputLimitBytes: 10 * 1024 * 1024,
        charge() {},
        endSlice() {},
      });
    const bodies = world();
    const { Fields, OutgoingRequest } = httpWorld(bodies).imports["wasi:http/types"];
    const request = () => new OutgoingRequest(new Fields()).body().write().write(new Uint8Array(9_000_000));
    for (let i = 0; i < 7; i++) request();
    assert.throws(request, GuestEnded);
    assert.match(bodies.refused ?? "", /bytes of headers and bodies/);

    const headers = world();
    const types = httpWorld(headers).imports["wasi:http/types"];
    const fields = () => new types.Fields().append("a", new Uint8Array(60_000).fill(97));
    assert.throws(() => {
      for (let i = 0; i < 2_000; i++) fields();
    }, GuestEnded);
  });

  test("logs without end are cut, and cost fuel", async () => {
    const chatty = await component('for (;;) log_write(0, "hello", 5);');
    const { outcome, logs } = await run(chatty, { timeoutMs: 200 });
    assert.equal(outcome.kind, "timedOut");
    assert.equal(logs.length, 1_000);
    assert.equal((await outcomeOf(chatty, { fuel: 1_000_000, timeoutMs: 5_000 })).kind, "outOfFuel");
  });
});

test("what is no artefact is not loaded", async () => {
  for (const bad of [
    bytes(""),
    packSections([["thimble:manifest", bytes('{"kind":"component"}')]]),
    packSections([["thimble:manifest", bytes('{"kind":"module","format":1}')]]),
    packSections([["thimble:manifest", bytes('{"kind":"other"}')]]),
  ]) {
    await assert.rejects(runtime.load(bad), { code: "artifact_invalid" });
  }
});
