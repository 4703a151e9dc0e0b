import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireHostSupport } from "../runtime/host-support.ts";

const module = fileURLToPath(new URL("../compiler/engine/load-engine.ts", import.meta.url));

/** What comes of loading the engine in a process in which this code has run first. */
function loadAfter(code: string): Promise<string> {
  const script = `${code}
    const { loadEngine } = await import(${JSON.stringify(module)});
    await loadEngine().then(() => console.log("loaded"), (error) => console.log(error.code, error.message));`;
  return new Promise((resolve, reject) =>
    execFile(process.execPath, ["--input-type=module", "-e", script], (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    ),
  );
}

describe("the JavaScript engine that this runs on", () => {
  test("has what sandboxes need", async () => {
    requireHostSupport();
    assert.equal(await loadAfter(""), "loaded\n");
  });

  test("is refused when it has no JSPI, in words that say what to do", async () => {
    const said = await loadAfter("delete WebAssembly.Suspending;");
    assert.match(said, /^host_unsupported .*lacks WebAssembly JSPI .*Node 24 or newer/);
  });

  test("is refused when it has no multi-memory", async () => {
    const said = await loadAfter("WebAssembly.validate = () => false;");
    assert.match(said, /^host_unsupported .*lacks WebAssembly multi-memory/);
  });
});
