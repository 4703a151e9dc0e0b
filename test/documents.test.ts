import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { blocksOf, comparable, DocumentShell, readDocument } from "./support/document-shell.ts";

/**
 * Every command in the documents and in the examples' READMEs, run in order: blocks marked `sh` must succeed, and print what the
 * `text` block below them shows.
 */

const list = (folder: string) => readdirSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)));

const documents = [
  ...list("docs")
    .filter((name) => name.endsWith(".md") && name !== "BENCHMARKS.md")
    .map((name) => `docs/${name}`),
  ...list("examples")
    .filter((name) => !name.includes("."))
    .map((name) => `examples/${name}/README.md`),
];

/** Whole functions: those that mark an entry. The rules of the analysis show bad ones, which have tests of their own. */
const functionsOf = (path: string) =>
  blocksOf(readDocument(path)).filter(
    ({ language, code }) => /^tsx?$/.test(language) && code.includes("@function"),
  );

describe("functions in", () => {
  let shell: DocumentShell;
  before(async () => {
    shell = await DocumentShell.start();
  });
  after(() => shell?.close());

  for (const path of documents.filter((name) => name.startsWith("docs/") && name !== "docs/ANALYSIS.md")) {
    const functions = functionsOf(path);
    if (functions.length === 0) continue;
    test(`${path}: all ${functions.length} can be deployed`, async () => {
      for (const [n, { code }] of functions.entries()) {
        writeFileSync(join(shell.folder, "documented.ts"), code);
        const { output, code: exit } = await shell.run(`npx thimble deploy documented-${n} documented.ts`);
        assert.equal(exit, 0, `${code}\n${output}`);
      }
    });
  }
});

describe("commands in", () => {
  let shell: DocumentShell;
  before(async () => {
    shell = await DocumentShell.start();
  });
  after(() => shell?.close());

  for (const path of documents) {
    const blocks = blocksOf(readDocument(path));
    if (!blocks.some(({ language }) => language === "sh")) continue;
    test(path, async (t) => {
      let output: string | undefined;
      for (const { language, code } of blocks) {
        if (language === "sh") {
          const ran = await shell.run(code);
          assert.equal(ran.code, 0, `${code}\n${ran.output}`);
          output = ran.output;
        } else {
          if (language === "text" && output !== undefined) {
            assert.equal(comparable(output), comparable(code));
            t.diagnostic(`as shown: ${code.split("\n")[0]?.slice(0, 80)}`);
          }
          output = undefined;
        }
      }
    });
  }
});
