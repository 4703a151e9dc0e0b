import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnalysisError } from "../compiler/index.ts";
import { buildWasm, bytes, modules } from "./support/modules.ts";
import { bytesOf, json, text } from "./support/sandbox.ts";
import { compileAssemblyScript, compileC } from "./support/toolchains.ts";

const { program, run, runtime } = modules();

const header = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char body[1 << 16];
static size_t receive(void) { return fread(body, 1, sizeof body - 1, stdin); }
`;

const echo = await program(
  await compileC(`${header}
    int main(void) {
      size_t length = receive();
      fprintf(stderr, "got %zu bytes\\n", length);
      fwrite(body, 1, length, stdout);
      return 0;
    }`),
  { config: { stdio: "raw" } },
);

describe("what goes in and out", () => {
  test("a request comes as a JSON envelope, and one goes back", async () => {
    const module = await compileC(`${header}
      int main(void) {
        receive();
        if (!strstr(body, "\\"method\\":\\"PUT\\"") || !strstr(body, "\\"path\\":\\"/a/b\\"")) return 1;
        if (!strstr(body, "\\"query\\":{\\"q\\":\\"1\\"}") || !strstr(body, "\\"x-one\\":\\"a, b\\"")) return 2;
        if (!strstr(body, "\\"body\\":\\"hi\\"")) return 3;
        printf("{\\"status\\":201,\\"headers\\":{\\"x-two\\":[\\"c\\",\\"d\\"]},\\"body\\":{\\"ok\\":true}}");
      }`);
    const result = await run(await program(module), {
      request: {
        method: "PUT",
        url: "http://localhost/a/b?q=1",
        headers: [
          ["X-One", "a"],
          ["x-one", "b"],
        ],
        body: bytes("hi"),
      },
    });
    assert.equal(result.outcome.kind, "completed", JSON.stringify(result.outcome));
    assert.deepEqual(json(result), { ok: true });
    assert.ok(result.outcome.kind === "completed");
    assert.equal(result.outcome.response.status, 201);
    assert.deepEqual(result.outcome.response.headers, [
      ["x-two", "c"],
      ["x-two", "d"],
      ["content-type", "application/json"],
    ]);
  });

  test("bodies that are no text cross as base64", async () => {
    const module = await compileC(`${header}
      int main(void) {
        receive();
        if (!strstr(body, "\\"body\\":\\"/wA=\\",\\"bodyEncoding\\":\\"base64\\"")) return 1;
        printf("{\\"body\\":\\"/wA=\\",\\"bodyEncoding\\":\\"base64\\"}");
      }`);
    const result = await run(await program(module), { request: { body: Uint8Array.of(255, 0) } });
    assert.deepEqual([...bytesOf(result)], [255, 0]);
  });

  test("raw bodies go as they are, and standard error is the log", async () => {
    const result = await run(echo, { request: { body: bytes("hello") } });
    assert.equal(text(result), "hello");
    assert.deepEqual(result.logs, [{ level: "info", message: "got 5 bytes" }]);
    assert.ok(result.metrics.fuel > 1_000 && result.metrics.memoryBytes > 65_536);
  });

  test("a streamed body comes whole", async () => {
    const body = new Blob(["hel", "lo"]).stream();
    assert.equal(text(await run(echo, { request: { body } })), "hello");
  });

  test("json: a value in, a value out, and no output is no content", async () => {
    const source = `${header} int main(void) { size_t n = receive(); fwrite(body, 1, n, stdout); }`;
    const how = { config: { stdio: "json" } as const };
    const same = await program(await compileC(source), how);
    assert.deepEqual(json(await run(same, { request: { body: bytes('{"a":1}') } })), { a: 1 });
    assert.equal(json(await run(same)), null);
    const bad = await run(same, { request: { body: bytes("{") } });
    assert.equal(bad.outcome.kind, "invalidResponse");
    const silent = await run(await program(await compileC("int main(void) {}"), how));
    assert.ok(silent.outcome.kind === "completed" && silent.outcome.response.status === 204);
  });

  for (const [what, output] of [
    ["nothing", ""],
    ["no JSON", "hello"],
    ["a list", "[]"],
    ["a status that is none", '{"status":"200"}'],
    ["headers that are none", '{"headers":{"a":1}}'],
    ["an encoding that is not known", '{"body":"","bodyEncoding":"gzip"}'],
  ]) {
    test(`an envelope with ${what} is an invalid response`, async () => {
      const module = await compileC(`${header} int main(void) { fputs(${JSON.stringify(output)}, stdout); }`);
      assert.equal((await run(await program(module))).outcome.kind, "invalidResponse");
    });
  }
});

describe("the world of a module", () => {
  test("arguments, variables, clocks that stand still, randomness that differs", async () => {
    const module = await compileC(`${header}
      #include <time.h>
      #include <unistd.h>
      int main(int argc, char **argv) {
        struct timespec a, b;
        clock_gettime(CLOCK_REALTIME, &a);
        volatile unsigned x = 0;
        for (unsigned i = 0; i < 30000000; i++) x += i;
        clock_gettime(CLOCK_REALTIME, &b);
        unsigned random;
        getentropy(&random, sizeof random);
        printf("{\\"args\\":[\\"%s\\",\\"%s\\"],\\"env\\":\\"%s\\",\\"same\\":%d,\\"grain\\":%d,\\"now\\":%lld,\\"random\\":%u}",
          argv[0], argv[1], getenv("NAME"), a.tv_nsec == b.tv_nsec && a.tv_sec == b.tv_sec,
          (int) (a.tv_nsec % 1000000), (long long) a.tv_sec, random);
      }`);
    const loaded = await program(module, { config: { stdio: "json", args: ["x"] } });
    const first = json(await run(loaded, { env: { NAME: "value" } }));
    const { now, random, ...rest } = first;
    assert.deepEqual(rest, { args: ["test", "x"], env: "value", same: 1, grain: 0 });
    assert.ok(Math.abs(now - Date.now() / 1000) < 60);
    assert.notEqual(json(await run(loaded, { env: { NAME: "value" } })).random, random);
  });

  test("its files can be read and not written, and /tmp is its own until it ends", async () => {
    const module = await compileC(`${header}
      #include <errno.h>
      #include <unistd.h>
      int main(void) {
        char text[64] = "";
        FILE *file = fopen("/data/greeting.txt", "r");
        if (!file || !fgets(text, sizeof text, file)) return 1;
        if (fopen("/data/greeting.txt", "w") || errno != EROFS) return 2;
        if (unlink("/data/greeting.txt") == 0 || errno != EROFS) return 3;
        if (fopen("/new.txt", "w") || errno != EROFS) return 4;
        if (fopen("/tmp/a.txt", "r") || errno != ENOENT) return 5;
        FILE *scratch = fopen("/tmp/a.txt", "w+");
        if (!scratch || fputs("written", scratch) < 0) return 6;
        rewind(scratch);
        char again[64] = "";
        fgets(again, sizeof again, scratch);
        if (fopen("/etc/passwd", "r") || fopen("../../etc/passwd", "r")) return 7;
        printf("%s %s", text, again);
      }`);
    const loaded = await program(module, {
      files: { "data/greeting.txt": bytes("hello") },
      config: { stdio: "raw" },
    });
    for (let i = 0; i < 2; i++) assert.equal(text(await run(loaded)), "hello written");
  });

  test("/tmp is bounded", async () => {
    const module = await compileC(`${header}
      #include <errno.h>
      static char block[1 << 20];
      int main(void) {
        FILE *file = fopen("/tmp/big", "w");
        setvbuf(file, NULL, _IONBF, 0);
        int written = 0;
        while (fwrite(block, 1, sizeof block, file) == sizeof block) written++;
        printf("%d %d", written, errno == ENOSPC);
      }`);
    assert.equal(text(await run(await program(module, { config: { stdio: "raw" } }))), "16 1");
  });

  test("sleeping lets others run, and the clock goes on", async () => {
    const module = await compileC(`${header}
      #include <time.h>
      #include <unistd.h>
      int main(void) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        usleep(50000);
        clock_gettime(CLOCK_MONOTONIC, &b);
        printf("%d", (int) ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000));
      }`);
    const sleeper = await program(module, { config: { stdio: "raw" } });
    const sleeping = run(sleeper);
    assert.equal(text(await run(echo, { request: { body: bytes("meanwhile") } })), "meanwhile");
    const slept = await sleeping;
    assert.ok(Number(text(slept)) >= 49, text(slept));
    assert.equal(slept.metrics.hostCalls, 1);
    assert.equal((await run(sleeper, { timeoutMs: 10 })).outcome.kind, "timedOut");
  });
});

describe("pristine for each request", () => {
  const counting = `${header}
    static int count;
    static char *kept;
    int main(void) {
      if (!kept) kept = calloc(1, 100000);
      kept[500]++;
      printf("%d %d", ++count, kept[500]);
    }`;

  test("a command's memory is what it was", async () => {
    const counter = await program(await compileC(counting), { config: { stdio: "raw" } });
    for (let i = 0; i < 5; i++) assert.equal(text(await run(counter)), "1 1");
    assert.equal(runtime.stats().busy, 0);
    const fuel = new Set<number>();
    for (let i = 0; i < 3; i++) fuel.add((await run(counter)).metrics.fuel);
    assert.equal(fuel.size, 1);
  });

  test("a reactor is initialized once when that looks at nothing, and else for each request", async () => {
    const reactor = (start: string) => `${header}
      #include <unistd.h>
      static int starts, calls;
      static unsigned drawn;
      __attribute__((constructor)) static void begin(void) { starts++; ${start} }
      __attribute__((export_name("handler"))) int handler(void) {
        printf("%d %d %u", starts, ++calls, drawn);
        fflush(stdout);
        return 0;
      }`;
    const how = { config: { stdio: "raw" } } as const;
    const pure = await program(await compileC(reactor(""), { reactor: true }), how);
    for (let i = 0; i < 4; i++) assert.equal(text(await run(pure)), "1 1 0");
    const impure = await program(
      await compileC(reactor("getentropy(&drawn, sizeof drawn);"), { reactor: true }),
      how,
    );
    const answers = new Set<string>();
    for (let i = 0; i < 4; i++) answers.add(text(await run(impure)));
    assert.equal(answers.size, 4, "randomness is drawn anew");
    for (const answer of answers) assert.match(answer, /^1 1 \d+$/);
  });

  test("after every kind of ending", async () => {
    const module = await compileC(`${header}
      static int count;
      static int recurse(int n) { volatile char a[100]; a[0] = n; return n > 1 << 30 ? 0 : recurse(n + 1) + a[0]; }
      int main(void) {
        receive();
        int now = ++count;
        switch (body[0]) {
          case 't': __builtin_trap();
          case 'e': exit(3);
          case 'l': for (;;) { __asm__ volatile(""); }
          case 'm': for (;;) { char *volatile block = malloc(1 << 20); if (block) memset(block, 1, 1 << 20); }
          case 's': now += recurse(1);
          case 'o': for (;;) puts("hello");
        }
        printf("%d", now);
      }`);
    const loaded = await program(module, { config: { stdio: "raw" } });
    const ask = (what: string, own = {}) => run(loaded, { request: { body: bytes(what) }, ...own });
    const outcomes: Record<string, string> = {
      t: "threw",
      e: "threw",
      l: "timedOut",
      m: "outOfMemory",
      o: "responseTooLarge",
    };
    for (const [what, kind] of Object.entries(outcomes)) {
      const { outcome } = await ask(what, {
        timeoutMs: what === "l" ? 50 : 5_000,
        responseLimitBytes: 100_000,
      });
      assert.equal(outcome.kind, kind, `${what}: ${JSON.stringify(outcome)}`);
      assert.equal(text(await ask("")), "1");
    }
    assert.equal((await ask("l", { fuel: 1_000_000 })).outcome.kind, "outOfFuel");
    assert.equal(text(await ask("", { fuel: 1_000_000 })), "1");
    const { outcome } = await ask("s");
    assert.ok(["threw", "stackOverflow"].includes(outcome.kind), outcome.kind);
    assert.equal(text(await ask("")), "1");
  });

  test("a module that spins lets others through", async () => {
    const spin = await program(await compileC(`int main(void) { for (;;) { __asm__ volatile(""); } }`));
    const spinning = run(spin, { timeoutMs: 500 });
    let answered = 0;
    const ticking = setInterval(() => answered++, 1);
    for (let i = 0; i < 5; i++) assert.equal(text(await run(echo, { request: { body: bytes("x") } })), "x");
    assert.equal((await spinning).outcome.kind, "timedOut");
    clearInterval(ticking);
    assert.ok(answered > 0);
  });

  test("who leaves ends what runs", async () => {
    const spin = await program(await compileC(`int main(void) { for (;;) { __asm__ volatile(""); } }`));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    assert.equal((await run(spin, { signal: controller.signal })).outcome.kind, "aborted");
    const never = new ReadableStream<Uint8Array>();
    assert.equal((await run(echo, { request: { body: never }, timeoutMs: 50 })).outcome.kind, "timedOut");
    await runtime.close();
    assert.equal(runtime.stats().busy, 0);
  });
});

describe("errors", () => {
  test("a trap has the module's own frames, by name", async () => {
    const module = await compileC(
      `__attribute__((noinline)) void inner(int n) { if (n) __builtin_trap(); }
       int main(int argc, char **argv) { inner(argc); }`,
    );
    const { outcome } = await run(await program(module));
    assert.ok(outcome.kind === "threw");
    assert.equal(outcome.error.message, "unreachable");
    assert.match(
      outcome.error.stack ?? "",
      /^ {4}at (?:main\.wasm\.)?inner \(wasm-function\[\d+\]:0x[0-9a-f]+\)\n/,
    );
    assert.doesNotMatch(outcome.error.stack ?? "", /file:|node:/);
  });

  test("an exit code is an error with its number", async () => {
    const { outcome } = await run(await program(await compileC("int main(void) { return 7; }")));
    assert.ok(outcome.kind === "threw");
    assert.deepEqual(outcome.error, {
      name: "Exit",
      message: "the module exited with code 7",
      code: "module_exit",
    });
  });
});

describe("AssemblyScript", () => {
  test("functions of WASI imported by hand, with a start function", async () => {
    const module = await compileAssemblyScript(
      `
      @external("wasi_snapshot_preview1", "fd_write")
      declare function fdWrite(fd: i32, vectors: usize, count: i32, written: usize): i32;
      let counted = 41;
      counted++;
      export function handler(): i32 {
        const text = String.UTF8.encode('{"body":"' + counted.toString() + '"}');
        const space = heap.alloc(16);
        store<u32>(space, <u32>changetype<usize>(text));
        store<u32>(space, text.byteLength, 4);
        return fdWrite(1, space, 1, space + 8);
      }`,
      ["--use", "abort="],
    );
    const loaded = await program(module);
    for (let i = 0; i < 3; i++) assert.equal(text(await run(loaded)), "42");
  });

  test("what its start function draws is drawn for each request", async () => {
    const module = await compileAssemblyScript(
      `
      @external("wasi_snapshot_preview1", "fd_write")
      declare function fdWrite(fd: i32, vectors: usize, count: i32, written: usize): i32;
      @external("wasi_snapshot_preview1", "random_get")
      declare function randomGet(buffer: usize, length: i32): i32;
      const drawn = heap.alloc(8);
      randomGet(drawn, 8);
      export function handler(): i32 {
        const text = String.UTF8.encode(load<u64>(drawn).toString());
        const space = heap.alloc(16);
        store<u32>(space, <u32>changetype<usize>(text));
        store<u32>(space, text.byteLength, 4);
        return fdWrite(1, space, 1, space + 8);
      }`,
      ["--use", "abort="],
    );
    const loaded = await program(module, { config: { stdio: "raw" } });
    const answers = new Set<string>();
    for (let i = 0; i < 4; i++) answers.add(text(await run(loaded)));
    assert.equal(answers.size, 4);
  });
});

describe("C++", () => {
  test("iostreams, containers and what is constructed before main", async () => {
    const module = await compileC(
      `#include <iostream>
       #include <map>
       #include <string>
       static std::map<std::string, int> words;
       int main() {
         std::string word;
         while (std::cin >> word) words[word]++;
         std::cout << "{";
         const char *comma = "";
         for (auto &[name, count] : words) { std::cout << comma << '"' << name << "\\":" << count; comma = ","; }
         std::cout << "}";
       }`,
      { language: "c++", flags: ["-std=c++20", "-fno-exceptions"] },
    );
    const loaded = await program(module, { config: { stdio: "json" } });
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(json(await run(loaded, { request: { body: bytes("b a b") } })), { a: 1, b: 2 });
    }
  });
});

describe("what is refused", () => {
  test("imports that are not allowed, each by name", async () => {
    const module = await compileC(
      `__attribute__((import_module("env"), import_name("system"))) int run(const char *);
       __attribute__((import_module("wasi_snapshot_preview1"), import_name("sock_open"))) int sock(int);
       __attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_close"))) long long close_it(long long);
       int main(void) { return run("ls") + sock(1) + close_it(1); }`,
    );
    await assert.rejects(buildWasm(module, { fileName: "bad.wasm" }), (error: unknown) => {
      assert.ok(error instanceof AnalysisError);
      const { findings, passed } = error.analysis;
      assert.equal(passed, false);
      assert.deepEqual(
        findings.map(({ rule, file, sourceLine }) => ({ rule, file, sourceLine })),
        [
          ["env", "system"],
          ["wasi_snapshot_preview1", "sock_open"],
          ["wasi_snapshot_preview1", "fd_close"],
        ].map(([from, name]) => ({
          rule: "forbidden-import",
          file: "bad.wasm",
          sourceLine: `(import "${from}" "${name}" (function))`,
        })),
      );
      return true;
    });
  });

  test("imports from elsewhere, all of one place together, with what to build it for", async () => {
    for (const [from, hint] of [
      ["wasi:io/streams@0.2.0", /deploy the component/],
      ["gojs", /GOOS=wasip1/],
      ["wbg", /wasm-bindgen/],
      ["env", /build for WASI/],
      ["wasi_unstable", /before preview 1/],
    ] as const) {
      const module = await compileC(
        `__attribute__((import_module("${from}"), import_name("a"))) int a(void);
         __attribute__((import_module("${from}"), import_name("b"))) int b(void);
         int main(void) { return a() + b(); }`,
      );
      await assert.rejects(buildWasm(module), (error: unknown) => {
        assert.ok(error instanceof AnalysisError);
        const [finding, ...others] = error.analysis.findings;
        assert.deepEqual(others, []);
        assert.match(finding!.message, /^2 imports from ".*" are not among .*: "a", "b"$/);
        assert.match(finding!.hint, hint);
        return true;
      });
    }
  });

  test("a module without an entry, or a memory", async () => {
    const module = await compileAssemblyScript("export function other(): void {}", [
      "--use",
      "abort=",
      "--noExportMemory",
    ]);
    await assert.rejects(buildWasm(module), (error: unknown) => {
      assert.ok(error instanceof AnalysisError);
      assert.deepEqual(
        error.analysis.findings.map(({ message }) => message),
        ['The module exports no memory "memory"', 'The module exports neither "_start" nor "handler"'],
      );
      return true;
    });
  });

  test("bytes that are no module", async () => {
    for (const bad of [bytes(""), bytes("hello"), bytes("\0asm\x01\0\0\0\x01")]) {
      await assert.rejects(buildWasm(bad), { code: "compile_failed" });
    }
  });

  test("files that lead out, and settings that are none", async () => {
    const module = await compileC("int main(void) {}");
    for (const files of [{ "../a": bytes("") }, { "/a": bytes("") }, { a: bytes(""), "a/b": bytes("") }]) {
      await assert.rejects(buildWasm(module, { files }), { code: "compile_failed" });
    }
  });
});

describe("the analysis", () => {
  test("lists imports, exports and sections", async () => {
    const { analysis } = await buildWasm(await compileC("int main(void) {}"));
    assert.equal(analysis.module?.kind, "module");
    assert.ok(analysis.module.exports.includes("_start"));
    assert.ok(analysis.module.imports.every((name) => name.startsWith("wasi_snapshot_preview1.")));
    assert.ok(analysis.module.sections.some(({ name, bytes }) => name === "producers" && bytes > 0));
  });

  test("artefacts are the same for the same module, and are built again from themselves", async () => {
    const module = await compileC("int main(void) {}");
    const how = { files: { "a.txt": bytes("a") }, config: { timeoutMs: 100 } };
    const { artifact } = await buildWasm(module, how);
    assert.deepEqual((await buildWasm(module, how)).artifact, artifact);
    const { compiler } = await import("./support/sandbox.ts");
    assert.deepEqual((await compiler.rebuild(artifact)).artifact, artifact);
  });
});
