import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Rebuilder } from "../gateway/cli/dev/rebuilder.ts";
import { until } from "./support/system.ts";

const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));

describe("thimble dev", () => {
  const cwd = mkdtempSync(join(tmpdir(), "thimble-dev-"));
  const file = (path: string, text: string) => writeFileSync(join(cwd, "My App", path), text);
  let child: ChildProcess;
  let output = "";
  let url = "";

  const shows = (pattern: RegExp) => until(async () => pattern.exec(output)?.[0]);
  const answers = (text: string) => until(async () => (await (await fetch(url)).text()).includes(text));

  before(async () => {
    mkdirSync(join(cwd, "My App/lib"), { recursive: true });
    file(
      "index.ts",
      `import { word } from "./lib/word.ts";
/** @function */
export default (request: Request) => {
  console.log("asked for", request.url);
  if (request.url.endsWith("/fail")) throw new RangeError("asked to");
  return { word, region: process.env.REGION };
};
`,
    );
    file("lib/word.ts", `export const word = "first";\n`);
    writeFileSync(join(cwd, "vars"), "REGION=north\n");
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    child = spawn(process.execPath, [main, "dev", "My App", "--port", String(port), "--from-file", "vars"], {
      cwd,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout?.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      output += chunk;
    });
    // A busy machine takes its time to make the embedded databases.
    await until(async () => /ready version 1/.test(output) || child.exitCode !== null, 120_000).finally(() =>
      taken.close(),
    );
    [url = ""] = /http:\S+/.exec(output) ?? [];
    assert.match(url, /\/f\/my-app$/, "named after the folder");
    assert.ok(!url.includes(`:${port}/`), "another port where the usual one is taken");
  });
  after(() => {
    child.kill("SIGKILL");
    rmSync(cwd, { recursive: true, force: true });
  });

  test("answers, and shows requests and the function's log", async () => {
    assert.deepEqual(await (await fetch(`${url}/some?secret=1`)).json(), { word: "first", region: "north" });
    await shows(/info {2}asked for .*\/some\?secret=1\n.*GET \/some 200 [\d.]+ ms · fuel/);
  });

  test("builds anew at each save, in any of the function's files", async (t) => {
    for (const word of ["second", "third"]) {
      file("lib/word.ts", `export const word = "${word}";\n`);
      await answers(word);
    }
    const [, tookMs] = /ready version 3, (\d+) ms/.exec(await shows(/ready version 3, \d+ ms/)) ?? [];
    t.diagnostic(`swapped ${tookMs} ms after the save`);
    // 60–80 ms on an idle machine.
    assert.ok(Number(tookMs) < 5_000);
  });

  test("shows where a build fails, and goes on with the version before", async () => {
    file("lib/word.ts", "export const word = ;\n");
    await shows(/--> lib\/word\.ts:1:\d+\n[\s\S]*\^[\s\S]*failed/);
    assert.deepEqual(await (await fetch(url)).json(), { word: "third", region: "north" });
    file("lib/word.ts", `import "node:child_process";\nexport const word = "bad";\n`);
    await shows(/child_process[\s\S]*lib\/word\.ts:1:8/);
    file("lib/word.ts", `export const word = "mended";\n`);
    await answers("mended");
  });

  test("shows where a request fails, in the source", async () => {
    assert.equal((await fetch(`${url}/fail`)).status, 500);
    await shows(/RangeError: asked to[\s\S]*--> index\.ts:5:\d+[\s\S]*5 \| .*throw new RangeError[\s\S]*\^/);
  });

  test("looks at nothing but sources", async () => {
    const before = output;
    mkdirSync(join(cwd, "My App/node_modules/x"), { recursive: true });
    for (const path of ["node_modules/x/index.js", ".hidden.ts", "index.ts~", "4913"]) file(path, "changed");
    await sleep(300);
    assert.equal(output.slice(before.length), "");
  });

  test("keeps its data apart, and ends when told to", async () => {
    assert.deepEqual(readdirSync(join(cwd, ".thimble")), ["dev"]);
    const exit = once(child, "exit");
    assert.equal(child.exitCode, null);
    child.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null]);
  });

  test("refuses a path that is not there", async () => {
    const wrong = spawn(process.execPath, [main, "dev", "nowhere"], { cwd, stdio: "ignore" });
    assert.deepEqual(await once(wrong, "exit"), [2, null]);
  });
});

describe("rebuilding", () => {
  test("takes changes during a build together into the next one", async () => {
    let running = 0;
    let builds = 0;
    const rebuilder = new Rebuilder(async () => {
      assert.equal(++running, 1, "one after the other");
      builds++;
      await sleep(10);
      running--;
    });
    const first = rebuilder.change();
    for (let n = 0; n < 5; n++) void rebuilder.change();
    await first;
    assert.equal(builds, 2);
    await rebuilder.change();
    assert.equal(builds, 3);
  });
});
