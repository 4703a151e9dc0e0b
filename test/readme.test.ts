import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { STATUS_OF_CODE } from "../gateway/errors.ts";
import { SETTING_NAMES } from "../gateway/settings.ts";
import {
  blocksOf,
  comparable,
  DocumentShell,
  readDocument as read,
  sectionOf,
} from "./support/document-shell.ts";

/** What the documentation says, done: a newcomer who follows it must see what it shows. */

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];

describe("README: a first function", () => {
  let shell: DocumentShell;
  before(async () => {
    shell = await DocumentShell.start();
  });
  after(() => shell?.close());

  test("does what it shows", async (t) => {
    const section = sectionOf(read("README.md"), "A first function");
    assert.ok(section, "there is such a section");
    const blocks = blocksOf(section);
    let output: string | undefined;
    let shown = 0;
    for (const { language, code, before } of blocks) {
      if (language === "ts") {
        const file = [...before.matchAll(/`([\w/.-]+\.ts)`/g)].at(-1)?.[1];
        assert.ok(file, `the text before a source names its file: ${before}`);
        mkdirSync(dirname(join(shell.folder, file)), { recursive: true });
        writeFileSync(join(shell.folder, file), code);
      } else if (language === "sh") {
        ({ output } = await shell.run(code));
        t.diagnostic(`${code.trim()} → ${output.trim().slice(0, 80)}`);
      } else {
        assert.equal(comparable(output ?? "nothing was run"), comparable(code));
        shown++;
      }
    }
    assert.ok(shown >= 5, `${shown} outputs were compared`);
  });
});

describe("documentation", () => {
  const everything = documents.map(read).join("\n");

  test("names every setting with its own name, and no other", () => {
    const reference = read("docs/QUICK_REFERENCE.md");
    for (const name of SETTING_NAMES) assert.ok(reference.includes(`\`${name}\``), `${name} is missing`);
    const known = new Set<string>([...SETTING_NAMES, "FUNCTION_TEMPLATE", "FUNCTION_URL", "THIMBLE_JAVY"]);
    for (const [name] of everything.matchAll(/\b(?:FUNCTION|THIMBLE|MAX)_[A-Z_]+[A-Z]\b/g)) {
      assert.ok(known.has(name) || name === "THIMBLE_DEBUG", `${name} is no setting`);
    }
  });

  test("has no marker of an unfinished merge", () => {
    assert.doesNotMatch(everything, /^(?:<{7}|>{7}) /m);
  });

  test("lists every error code with its status", () => {
    const reference = read("docs/QUICK_REFERENCE.md");
    for (const [code, status] of Object.entries(STATUS_OF_CODE)) {
      assert.match(reference, new RegExp(`\\| \`${code}\`\\s*\\| ${status}\\s*\\|`), code);
    }
  });

  test("has links that lead somewhere", () => {
    for (const document of documents) {
      const links = read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g);
      for (const [link, path = "", anchor] of links) {
        const target = join(root, dirname(document), path);
        // written last, by whoever has run the benchmarks
        if (path.endsWith("BENCHMARKS.md") && !existsSync(target)) continue;
        assert.ok(path === "" || existsSync(target), `${document}: ${link}`);
        if (anchor === undefined) continue;
        const headings = readFileSync(path === "" ? join(root, document) : target, "utf8").match(/^#+ .*$/gm);
        const anchors = headings?.map((heading) =>
          heading
            .replace(/^#+ /, "")
            .toLowerCase()
            .replace(/[^\w\- ]/g, "")
            .replaceAll(" ", "-"),
        );
        assert.ok(anchors?.includes(anchor), `${document}: ${link}`);
      }
    }
  });
});
