import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { emptyModule, MeterExport, writeModule } from "../compiler/wasm/index.ts";

const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));

describe("thimble meter", () => {
  const cwd = mkdtempSync(join(tmpdir(), "thimble-meter-"));
  after(() => rmSync(cwd, { recursive: true }));
  copyFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm")), join(cwd, "quickjs.wasm"));

  const run = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [main, "meter", ...args], { cwd }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code as number), stdout, stderr });
      });
    });
  const exportsOf = (file: string) =>
    WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(join(cwd, file)))).map(({ name }) => name);

  test("meters a real module, beside it by default", async () => {
    const { code, stdout, stderr } = await run("quickjs.wasm");
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^Metered \d+ functions into quickjs\.metered\.wasm \(.+ to .+, \+\d+\.\d %\)\n$/);
    assert.ok(exportsOf("quickjs.metered.wasm").includes(MeterExport.fuel));
  });

  test("as JSON, with another mode and place", async () => {
    const { code, stdout, stderr } = await run(
      "quickjs.wasm",
      "-o",
      "other.wasm",
      "--mode",
      "none",
      "--json",
    );
    assert.equal(code, 0, stderr);
    const document = JSON.parse(stdout);
    assert.equal(document.output, "other.wasm");
    assert.equal(document.mode, "none");
    assert.ok(document.functions > 1_000);
    assert.deepEqual(document.bytes, {
      before: readFileSync(join(cwd, "quickjs.wasm")).length,
      after: readFileSync(join(cwd, "other.wasm")).length,
    });
    assert.equal(document.growth, document.bytes.after / document.bytes.before - 1);
    const names = exportsOf("other.wasm");
    assert.ok(!names.includes(MeterExport.fuel) && names.includes(`${MeterExport.memory}0`));
  });

  test("a broken file: exit 1, code and offset on standard error, nothing written", async () => {
    writeFileSync(join(cwd, "broken.wasm"), readFileSync(join(cwd, "quickjs.wasm")).subarray(0, 5_000));
    const { code, stdout, stderr } = await run("broken.wasm");
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^thimble: broken\.wasm: malformed: .+ \(at byte \d+\)\n$/);
    assert.ok(!existsSync(join(cwd, "broken.metered.wasm")));
  });

  test("a module that uses threads is refused by name", async () => {
    const module = writeModule({ ...emptyModule(), memories: [{ min: 1, max: 1 }] });
    const flags = module.lastIndexOf(1, module.length - 3);
    assert.deepEqual([...module.subarray(flags)], [1, 1, 1]);
    module[flags] = 3;
    writeFileSync(join(cwd, "threads.wasm"), module);
    const { code, stdout, stderr } = await run("threads.wasm", "--json");
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`unsupported: threads .*\\(at byte ${flags}\\)`));
    assert.equal(JSON.parse(stdout).error.code, "unsupported");
  });

  test("a missing file and wrong flags: exit 2", async () => {
    const missing = await run("missing.wasm");
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /cannot read missing\.wasm \(ENOENT\)/);
    for (const args of [[], ["quickjs.wasm", "--mode", "some"], ["quickjs.wasm", "--nope"]]) {
      const { code, stderr } = await run(...args);
      assert.equal(code, 2, args.join(" "));
      assert.notEqual(stderr, "");
    }
  });

  test("a place that can't be written: exit 1", async () => {
    const { code, stderr } = await run("quickjs.wasm", "-o", join("no", "such", "folder.wasm"));
    assert.equal(code, 1);
    assert.match(stderr, /cannot write .*ENOENT/);
  });
});
