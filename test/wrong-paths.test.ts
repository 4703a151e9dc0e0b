import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readSources } from "../compiler/sources.ts";
import { checked, secretsSchema } from "../gateway/admin/input.ts";

const folder = mkdtempSync(join(tmpdir(), "thimble-paths-"));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe("what is no function says so", () => {
  test("a file that holds no code, and one that only has the name of WebAssembly", async () => {
    await assert.rejects(readSources(write("README.md", "# Hello")), {
      code: "compile_failed",
      message: /README\.md" is no TypeScript, JavaScript or WebAssembly$/,
    });
    await assert.rejects(readSources(write("x.wasm", "hello")), { message: /x\.wasm" is no WebAssembly$/ });
  });

  test("a folder without tests is no success", async () => {
    const path = write("index.ts", "/** @function */\nexport default () => 1;\n");
    const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, [main, "test", path], { cwd: folder }, (error, _, stderr) =>
        resolve({ code: error?.code, stderr }),
      );
    });
    assert.equal(code, 1);
    assert.match(stderr, /^thimble: there are no tests \(\*\.test\.ts\) in /);
  });
});

test("a secret's bad name is told with what a name must be", () => {
  assert.throws(() => checked(secretsSchema, { "1X": "2" }, "body"), {
    code: "invalid_input",
    message: "1X: must be a name of letters, digits and _ (at most 128)",
  });
});
