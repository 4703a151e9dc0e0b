import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { STATUS_OF_CODE } from "../gateway/errors.ts";
import { SETTING_NAMES } from "../gateway/settings.ts";

/** What the documentation says, done: a newcomer who follows it must see what it shows. */

const root = fileURLToPath(new URL("..", import.meta.url));
const main = join(root, "gateway/cli/main.ts");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const documents = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];

interface Block {
  language: string;
  code: string;
  /** The text between the block before and this one. */
  before: string;
}

/** The fenced blocks of one section. */
function blocksOf(markdown: string, heading: string): Block[] {
  const start = markdown.indexOf(`\n## ${heading}\n`);
  assert.ok(start >= 0, `there is no section ${heading}`);
  const end = markdown.indexOf("\n## ", start + 1);
  const section = markdown.slice(start, end < 0 ? undefined : end);
  let last = 0;
  return [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((match) => {
    const before = section.slice(last, match.index);
    last = match.index + match[0].length;
    return { language: match[1]!, code: match[2]!, before };
  });
}

/** What differs from run to run. */
function comparable(output: string): string {
  return output
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>")
    .replace(/(wall|cpu|fuel|memory) [\d.,]+/g, "$1 <n>")
    .trim();
}

describe("README: a first function", () => {
  const cwd = mkdtempSync(join(tmpdir(), "thimble-readme-"));
  let server: ChildProcess | undefined;
  let edge = "";
  let env: NodeJS.ProcessEnv;

  before(async () => {
    env = { ...process.env, PORT: "0", ADMIN_PORT: "0", NO_COLOR: "1" };
    server = spawn(process.execPath, [main, "serve", "--json"], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [line] = await once(server.stdout!, "data");
    const urls = JSON.parse(String(line)) as { edgeUrl: string; adminUrl: string };
    edge = new URL(urls.edgeUrl).host;
    env = { ...env, ADMIN_PORT: new URL(urls.adminUrl).port };
  });
  after(async () => {
    if (server && server.exitCode === null) {
      server.kill("SIGKILL");
      await once(server, "exit");
    }
    rmSync(cwd, { recursive: true, force: true });
  });

  /** Standard output and standard error, in the order in which they came. */
  const shell = async (command: string): Promise<string> => {
    const line = command
      .replaceAll("npx thimble", `"${process.execPath}" "${main}"`)
      .replaceAll("127.0.0.1:8787", edge);
    const child = spawn("sh", ["-c", `{ ${line.trimEnd()}\n} 2>&1`], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [output] = await Promise.all([text(child.stdout), once(child, "exit")]);
    return output;
  };

  test("does what it shows", async (t) => {
    const blocks = blocksOf(read("README.md"), "A first function");
    let output: string | undefined;
    let shown = 0;
    for (const { language, code, before } of blocks) {
      if (language === "ts") {
        const file = [...before.matchAll(/`([\w/.-]+\.ts)`/g)].at(-1)?.[1];
        assert.ok(file, `the text before a source names its file: ${before}`);
        mkdirSync(dirname(join(cwd, file)), { recursive: true });
        writeFileSync(join(cwd, file), code);
      } else if (language === "sh") {
        output = await shell(code);
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
    const known = new Set<string>([...SETTING_NAMES, "FUNCTION_TEMPLATE"]);
    for (const [name] of everything.matchAll(/\b(?:FUNCTION|THIMBLE|MAX)_[A-Z_]+[A-Z]\b/g)) {
      assert.ok(known.has(name) || name === "THIMBLE_DEBUG", `${name} is no setting`);
    }
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
