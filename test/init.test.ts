import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

/** `init` and `test` as somebody uses them who begins: in the repository's folder, where its packages are found. */

const root = fileURLToPath(new URL("..", import.meta.url));
const main = join(root, "gateway/cli/main.ts");

describe("a new function", () => {
  const cwd = mkdtempSync(join(root, ".thimble-init-"));
  after(() => rmSync(cwd, { recursive: true, force: true }));

  const run = async (program: string, args: string[]) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { ...process.env, NO_COLOR: "1", NODE_TEST_CONTEXT: undefined },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    return { code: code as number, stdout, stderr };
  };
  const thimble = (...args: string[]) => run(main, args);

  for (const template of readdirSync(join(root, "templates")).filter((name) => !name.includes("."))) {
    test(`from the template ${template} is typed, and passes its test in real sandboxes`, async () => {
      const folder = `my-${template}`;
      const made = await thimble("init", folder, "--template", template);
      assert.equal(made.code, 0, made.stderr);
      assert.ok(made.stdout.includes(`npx thimble deploy ${folder} ${folder}`), made.stdout);
      const types = await run(join(root, "node_modules/typescript/bin/tsc"), ["-p", folder]);
      assert.equal(types.code, 0, types.stdout);
      const tested = await thimble("test", folder);
      assert.equal(tested.code, 0, `${tested.stdout}\n${tested.stderr}`);
      assert.match(tested.stdout, /pass [1-9]/);
      assert.match(tested.stderr, /GET .* \d{3} [\d.]+ ms/);
    });
  }

  test("that fails its test says so", async () => {
    const file = join(cwd, "my-basics/index.ts");
    writeFileSync(file, readFileSync(file, "utf8").replace('"Hello"', '"Goodbye"'));
    const { code, stdout, stderr } = await thimble("test", "my-basics");
    assert.equal(code, 1);
    assert.match(stdout, /Goodbye, Ada!/);
    assert.match(stderr, /thimble: tests failed/);
    const variables = join(cwd, "vars");
    writeFileSync(variables, "GREETING=Hello\n");
    assert.equal((await thimble("test", "my-basics", "--from-file", "vars")).code, 0);
  });

  test("is not made over something else", async () => {
    const again = await thimble("init", "my-basics");
    assert.equal(again.code, 2);
    assert.match(again.stderr, /my-basics is not empty/);
    assert.equal((await thimble("init", "other", "--template", "nonsense")).code, 2);
    const { files, next } = JSON.parse((await thimble("init", "other", "--json")).stdout);
    assert.deepEqual(files, ["index.test.ts", "index.ts", "package.json", "thimble.d.ts", "tsconfig.json"]);
    assert.equal(next[0], "npx thimble dev other");
  });
});
