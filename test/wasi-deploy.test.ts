import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { System, until } from "./support/system.ts";
import { compileC, componentOf } from "./support/toolchains.ts";

/** WebAssembly modules as their users meet them: the same command line, errors, logs and versions as functions in JavaScript. */

const source = (version: number) => `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char body[4096], text[64];
int main(int argc, char **argv) {
  body[fread(body, 1, sizeof body - 1, stdin)] = 0;
  if (strstr(body, "spin")) for (;;) { __asm__ volatile(""); }
  if (strstr(body, "trap")) __builtin_trap();
  FILE *file = fopen("/greeting.txt", "r");
  if (!file) return 2;
  fgets(text, sizeof text, file);
  fprintf(stderr, "greeting with %s", argv[1]);
  printf("{\\"status\\":200,\\"headers\\":{\\"x-version\\":\\"${version}\\"},\\"body\\":\\"%s, %s of %s ms\\"}",
    text, argv[1], getenv("FUNCTION_TIMEOUT_MS"));
}`;

let system: System;
const path = (name: string) => join(system.folder, name);

before(async () => {
  system = await System.start({ FUNCTION_TIMEOUT_MS: "400" });
  await mkdir(path("files"));
  await writeFile(path("files/greeting.txt"), "hello");
  for (const version of [1, 2]) await writeFile(path(`v${version}.wasm`), await compileC(source(version)));
});
after(() => system?.close());

const deploy = (file: string, ...flags: string[]) =>
  system.cli(["deploy", "greeter", path(file), "--files", path("files"), "--arg", "world", ...flags]);

describe("a WASI module", () => {
  test("is deployed, answers, and is rolled back", async () => {
    const deployed = await deploy("v1.wasm");
    assert.equal(deployed.code, 0, deployed.stderr);
    const answer = await system.fetch("greeter/some/path?q=1");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-version"), "1");
    assert.equal(await answer.text(), "hello, world of 400 ms");
    assert.equal((await deploy("v2.wasm")).code, 0);
    assert.equal((await system.fetch("greeter")).headers.get("x-version"), "2");
    assert.equal((await system.cli(["rollback", "greeter", "1"])).code, 0);
    assert.equal((await system.fetch("greeter")).headers.get("x-version"), "1");
  });

  test("is deployed as a form, with its files and settings, and called", async () => {
    const form = new FormData();
    form.append("name", "formed");
    form.append("module", new Blob([new Uint8Array(await readFile(path("v1.wasm")))]), "v1.wasm");
    form.append("asset", new Blob(["good day"]), "greeting.txt");
    form.append("config", JSON.stringify({ args: ["form"], timeoutMs: 300 }));
    const send = { method: "POST", headers: system.authorization, body: form };
    const response = await fetch(`${system.adminUrl}/v1/functions`, send);
    assert.equal(response.status, 201, await response.clone().text());
    assert.equal(await (await system.fetch("formed")).text(), "good day, form of 300 ms");
  });

  test("is called by the command line, which shows log and metrics", async () => {
    const { code, stdout, stderr } = await system.cli(["invoke", "greeter", "--body", "{}"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /hello, world/);
    assert.match(stderr, /\[info\] greeting with world/);
    assert.match(stderr, /status 200 · wall .* · fuel [\d,]+ · memory/);
  });

  test("runs into the same limits and errors", async () => {
    const spun = await system.fetch("greeter", { method: "POST", body: "spin" });
    assert.equal(spun.status, 504);
    assert.match((await spun.json()).error.message, /timed out after 400 ms/);
    const trapped = await system.fetch("greeter", { method: "POST", body: "trap" });
    assert.equal(trapped.status, 500);
    assert.equal((await trapped.json()).error.code, "function_error");
    await until(async () =>
      (await system.cli(["logs", "greeter"])).stdout.includes("RuntimeError: unreachable"),
    );
    assert.match((await system.cli(["logs", "greeter"])).stdout, /main\.wasm\.main \(wasm-function/);
  });

  test("is refused with what is wrong about it", async () => {
    await writeFile(
      path("bad.wasm"),
      await compileC(`
        __attribute__((import_module("env"), import_name("system"))) int run(const char *);
        int main(void) { return run("ls"); }`),
    );
    const { code, stderr } = await system.cli(["deploy", "bad", path("bad.wasm")]);
    assert.equal(code, 1);
    assert.match(stderr, /error\[forbidden-import\]: The import "env" "system" is not among/);
    assert.match(stderr, /bad\.wasm:1:1/);
    const listed = await system.cli(["build", path("v1.wasm"), "-o", path("out.wasm")]);
    assert.equal(listed.code, 0, listed.stderr);
    assert.match(listed.stderr, /imports {3}wasi_snapshot_preview1\.\w+/);
    const misused = await system.cli(["deploy", "bad", path("files"), "--stdio", "raw"]);
    assert.equal(misused.code, 2);
  });
});

describe("a component", () => {
  test("is made ready by the builder, answers, and is refused with what is wrong about it", {
    timeout: 120_000,
  }, async () => {
    const core = await compileC(
      `#include <stdlib.h>
       #include <string.h>
       static struct { int tag; unsigned short status; void *headers; size_t count; const char *body; size_t length; } answer;
       __attribute__((import_module("thimble:function/log@0.1.0"), import_name("write"))) void log_write(int level, const char *text, size_t length);
       __attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t had, size_t align, size_t size) {
         return realloc(old, size);
       }
       __attribute__((export_name("thimble:function/handler@0.1.0#handle")))
       void *handle(const char *m, size_t ml, const char *u, size_t ul, void *h, size_t hl, const char *b, size_t bl) {
         if (bl == 4 && !memcmp(b, "spin", 4)) for (;;) { __asm__ volatile(""); }
         log_write(1, "called", 6);
         answer.status = 202;
         answer.body = "from a component";
         answer.length = 16;
         return &answer;
       }`,
      { reactor: true },
    );
    await writeFile(path("component.wasm"), await componentOf(core));
    const deployed = await system.cli(["deploy", "component", path("component.wasm")]);
    assert.equal(deployed.code, 0, deployed.stderr);
    const answer = await system.fetch("component");
    assert.equal(answer.status, 202);
    assert.equal(await answer.text(), "from a component");
    await until(async () => (await system.cli(["logs", "component"])).stdout.includes("info  v1"));
    assert.equal((await system.fetch("component", { method: "POST", body: "spin" })).status, 504);
    await writeFile(
      path("broken.wasm"),
      Buffer.concat([Buffer.from("\0asm\x0d\0\x01\0"), Buffer.from([7, 3, 1, 0xff, 0])]),
    );
    assert.equal((await system.cli(["deploy", "broken", path("broken.wasm")])).code, 1);
    assert.equal((await system.cli(["deploy", "component", path("component.wasm"), "--json"])).code, 0);
  });
});
