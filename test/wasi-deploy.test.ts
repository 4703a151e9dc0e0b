import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { System, until } from "./support/system.ts";
import { compileC } from "./support/toolchains.ts";

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
