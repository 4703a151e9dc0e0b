import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { analyze, analyzeBundle } from "../compiler/analyze/index.ts";
import { type BundleResult, bundle } from "../compiler/bundle.ts";
import { CompileError } from "../compiler/errors.ts";
import { checkSources, readSources } from "../compiler/sources.ts";

const fixtures = join(import.meta.dirname, "fixtures", "bundle");
const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** A folder with these files, removed after the tests. */
async function folderOf(files: Record<string, string>, prefix = "thimble-bundle-"): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), prefix)));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

async function compileError(work: Promise<unknown>): Promise<CompileError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof CompileError, String(error));
    assert.equal(error.code, "compile_failed");
    return error;
  }
  assert.fail("a CompileError was expected");
}

const places = ({ findings }: CompileError) =>
  findings.map(({ rule, file, line, column }) => `${rule} ${file}:${line}:${column}`);

let evaluations = 0;

/** Evaluates a bundle as the sandbox does, and returns what it registered. */
async function register(
  { bundle: { code } }: BundleResult,
  host: { sql?: unknown } = {},
): Promise<Record<string, unknown>> {
  const globals = globalThis as unknown as Record<symbol, unknown>;
  const modules = Symbol.for("thimble.modules");
  const hook = Symbol.for("thimble.register");
  let registered: Record<string, unknown> | undefined;
  globals[modules] = { "thimble:db": { sql: host.sql } };
  globals[hook] = (namespace: Record<string, unknown>) => {
    registered = namespace;
  };
  try {
    evaluations++;
    await import(`data:text/javascript;base64,${Buffer.from(`${code}// ${evaluations}`).toString("base64")}`);
  } finally {
    delete globals[modules];
    delete globals[hook];
  }
  assert.ok(registered, "the bundle registered nothing");
  return registered;
}

type Handler = () => Promise<Record<string, unknown>>;
type App = { fetch(request: Request): Promise<Response> };

describe("bundle", () => {
  test("holds TypeScript, decorators, JSX, JSON, text, CommonJS and dynamic imports", async () => {
    const result = await bundle(join(fixtures, "mixed"), "src/index.ts");
    const { handler } = (await register(result, { sql: () => [] })) as { handler: Handler };
    assert.deepEqual(await handler(), {
      greeting: "Bonjour Ada",
      seen: ["greet:function"],
      level: 2,
      legacy: 42,
      page: '<p class="漢字">don\'t panic</p>',
      note: "plain text\n",
      lazy: 7,
      database: "function",
      mode: "production",
    });
    assert.deepEqual(result.bundle.warnings, []);
    assert.doesNotMatch(result.bundle.code, /^\s*(?:import|export)\b/m);
  });

  test("names the function's own files and their text", async () => {
    const { root, sources } = await readSources(join(fixtures, "mixed"));
    const { files } = await bundle(root, sources.entry);
    assert.deepEqual(Object.keys(files), [
      "src/greetings.json",
      "src/index.ts",
      "src/lazy.ts",
      "src/legacy.cjs",
      "src/level.ts",
      "src/note.txt",
      "src/page.tsx",
    ]);
    assert.equal(files["src/page.tsx"], sources.files["src/page.tsx"]);
  });

  test("holds hono and zod", async () => {
    const result = await bundle(join(fixtures, "hono-app"), "index.ts");
    assert.deepEqual(result.bundle.warnings, []);
    assert.deepEqual(Object.keys(result.files), ["index.ts"]);
    const app = (await register(result)).default as App;
    assert.equal(await (await app.fetch(new Request("http://a/"))).text(), "hello");
    const order = (count: number) =>
      app.fetch(
        new Request("http://a/orders", { method: "POST", body: JSON.stringify({ item: "tea", count }) }),
      );
    assert.equal((await order(2)).status, 201);
    assert.equal((await order(-2)).status, 400);
    const findings = analyzeBundle(result.bundle, { entry: "index.ts", files: result.files });
    assert.ok(
      findings.every(({ severity, file }) => severity === "warning" && file.startsWith("node_modules/zod/")),
    );
    assert.ok(findings.some(({ rule }) => rule === "dynamic-code"));
  });

  test("has a source map that leads through swc and the bundler to the exact place", async () => {
    const text = `type Wide = { a: string };\n\n/* 漢字 */ enum E { A }\nexport default (input: Wide): string => { throw new Error("here" + E.A + input.a); };\n`;
    const folder = await folderOf({ "index.ts": text });
    const { bundle: made } = await bundle(folder, "index.ts");
    const lines = made.code.split("\n");
    const line = lines.findIndex((content) => content.includes("new Error("));
    const entry = new SourceMap(JSON.parse(made.map)).findEntry(line, lines[line]!.indexOf("new Error("));
    assert.ok("originalLine" in entry);
    assert.deepEqual(
      [entry.originalSource, entry.originalLine, entry.originalColumn],
      ["index.ts", 3, text.split("\n")[3]!.indexOf("new Error(")],
    );
    assert.deepEqual(JSON.parse(made.map).sourcesContent, [text]);
  });

  test("is the same byte for byte wherever the folder lies, and tells nothing of where that is", async () => {
    const files = {
      "index.ts": 'import tool from "tool"; import { a } from "./lib/index.ts"; export default { tool, a };',
      "lib/index.ts": 'import legacy from "./index.cjs"; export const a = legacy;',
      "lib/index.cjs": "module.exports = 1;",
      "node_modules/tool/index.js": 'module.exports = require("node:dns");',
    };
    const one = await folderOf(files, "here-");
    const other = await folderOf(files, "elsewhere-");
    const [first, second, again] = [
      await bundle(one, "index.ts"),
      await bundle(other, "index.ts"),
      await bundle(one, "index.ts"),
    ];
    assert.deepEqual(second, first);
    assert.deepEqual(again, first);
    const all = JSON.stringify(first);
    for (const secret of [one, dirname(one), "here-", "here_"]) assert.ok(!all.includes(secret), secret);
    assert.deepEqual(JSON.parse(first.bundle.map).sources.toSorted(), [
      "index.ts",
      "lib/index.cjs",
      "lib/index.ts",
      "node_modules/tool/index.js",
    ]);
  });

  test("takes packages from the function's folder, by the conditions of workers", async () => {
    const folder = await folderOf({
      "index.ts":
        'import both from "both"; import legacy from "./legacy.cjs"; import old from "old"; export default { both, legacy, old };',
      "legacy.cjs": 'module.exports = require("both");',
      "node_modules/both/package.json":
        '{"exports":{"node":"./node.js","import":"./esm.mjs","require":"./cjs.cjs","default":"./none.js"}}',
      "node_modules/both/esm.mjs": 'export default "esm";',
      "node_modules/both/cjs.cjs": 'module.exports = "cjs";',
      "node_modules/old/package.json": '{"main":"./node.js","browser":{"./node.js":"./web.js"}}',
      "node_modules/old/node.js": 'module.exports = "node";',
      "node_modules/old/web.js": "module.exports = global === globalThis && process.env.NODE_ENV;",
    });
    const { default: found } = await register(await bundle(folder, "index.ts"));
    assert.deepEqual(found, { both: "esm", legacy: "cjs", old: "production" });
    await writeFile(join(folder, "index.ts"), 'import both from "npm:both@1"; export default both;');
    await writeFile(
      join(folder, "node_modules/both/package.json"),
      '{"exports":{"workerd":"./esm.mjs","import":"./none.js"}}',
    );
    assert.equal((await register(await bundle(folder, "index.ts"))).default, "esm");
  });

  test("looks the database up as the sandbox's module and nothing else", async () => {
    const folder = await folderOf({
      "index.ts":
        'import sql from "thimble:db"; import { sql as named } from "thimble:db"; export default [sql, named];',
    });
    const sql = () => [];
    assert.deepEqual((await register(await bundle(folder, "index.ts"), { sql })).default, [sql, sql]);
  });

  test("accepts an entry with a byte order mark, CRLF or a shebang", async () => {
    const folder = await folderOf({
      "index.ts": "\ufeff#!/usr/bin/env node\r\nexport default 1 as number;\r\n",
      "main.js": "\ufeff#!/usr/bin/env node\r\nexport default 2;\r\n",
      "index.js": "#!/usr/bin/env node\nexport default 3;\n",
    });
    assert.equal((await register(await bundle(folder, "index.ts"))).default, 1);
    assert.equal((await register(await bundle(folder, "main.js"))).default, 2);
    assert.equal((await register(await bundle(folder, "index.js"))).default, 3);
  });

  test("names files outside of the folder without their path", async () => {
    const folder = await folderOf({
      "shared/index.ts": "export const shared: number = 5;",
      "app/index.ts": 'export { shared as default } from "../shared/index.ts";',
    });
    const result = await bundle(join(folder, "app"), "index.ts");
    assert.equal((await register(result)).default, 5);
    assert.deepEqual(Object.keys(result.files), ["index.ts", "outside/shared/index.ts"]);
  });
});

describe("host modules in a bundle", () => {
  test("may be imported, re-exported and extended; using them throws", async () => {
    const folder = await folderOf({
      "index.ts": 'export * from "tool";',
      "node_modules/tool/package.json": '{"type":"module","main":"./tool.js"}',
      "node_modules/tool/tool.js": `
        import dns, { lookup } from "node:dns";
        import * as dgram from "dgram";
        import { Worker } from "worker_threads";
        import sockets from "cloudflare:sockets";
        export { connect } from "node:net";
        const find = lookup;
        export class Mine extends Worker {}
        export const uses = [
          () => find("a"), () => dns.promises.lookup("a"), () => dgram.createSocket("a"), () => new Mine(),
          () => new dns.Resolver(), () => String(dns.ADDRCONFIG), () => sockets.connect(),
        ];
        export const optional = typeof dns.resolve;
      `,
    });
    const result = await bundle(folder, "index.ts");
    const tool = (await register(result)) as { uses: (() => void)[]; optional: string; connect(): void };
    const names = [
      "node:dns",
      "node:dns",
      "node:dgram",
      "node:worker_threads",
      "node:dns",
      "node:dns",
      "cloudflare:sockets",
    ];
    for (const [index, use] of tool.uses.entries()) {
      assert.throws(use, (error: Error) =>
        error.message.startsWith(`${names[index]} is not supported in a sandbox`),
      );
    }
    assert.throws(tool.connect, /^Error: node:net is not supported in a sandbox \(connect\)$/);
    assert.equal(tool.optional, "function");
    assert.deepEqual(
      result.bundle.warnings.map(({ rule, severity, file, line }) => `${severity} ${rule} ${file}:${line}`),
      [2, 3, 4, 5, 6].map((line) => `warning unsupported-module node_modules/tool/tool.js:${line}`),
    );
  });

  test("give way to a package of that name where a sandbox has no such module", async () => {
    const folder = await folderOf({
      "index.ts": 'import dns from "dns"; export default dns;',
      "node_modules/dns/index.js": 'module.exports = "package";',
    });
    const result = await bundle(folder, "index.ts");
    assert.equal((await register(result)).default, "package");
    assert.deepEqual(result.bundle.warnings, []);
  });

  test("optional dependencies that are not installed throw when they are required", async () => {
    const folder = await folderOf({
      "index.ts": 'import tool from "tool"; export default tool;',
      "node_modules/tool/index.js":
        'try { require("speedup") } catch (error) { module.exports = error.code }',
    });
    const result = await bundle(folder, "index.ts");
    assert.equal((await register(result)).default, "MODULE_NOT_FOUND");
    assert.deepEqual(
      result.bundle.warnings.map(({ rule }) => rule),
      ["missing-module"],
    );
  });
});

describe("bundling fails with the place", () => {
  test("for all imports that lead nowhere and all syntax errors at once", async () => {
    const folder = await folderOf({
      "index.ts":
        'import a from "./nope.ts";\n/* 漢字 */ import b from "nopkg";\nimport "./broken.ts";\nimport "https://deno.land/x.ts";\nimport "thimble:entry";\nexport default [a, b];',
      "broken.ts": "/* 😀 */ const x = ;",
    });
    const error = await compileError(bundle(folder, "index.ts"));
    assert.deepEqual(places(error), [
      "syntax-error broken.ts:1:20",
      "unresolved-import index.ts:1:15",
      "unresolved-import index.ts:2:24",
      "unresolved-import index.ts:4:8",
      "unresolved-import index.ts:5:8",
    ]);
    assert.equal(error.message, "broken.ts:1:20: Expression expected (and 4 more)");
    assert.match(error.findings[1]!.message, /"\.\/nope\.ts"/);
    assert.ok(!JSON.stringify(error.findings).includes(folder));
  });

  test("for names that a file does not export and names declared twice", async () => {
    const folder = await folderOf({
      "missing.ts": 'import { z } from "./lib.js";\nexport default z;',
      "twice.js": "let a = 1;\nlet a = 2;\nexport default a;",
      "lib.js": "export const y = 1;",
    });
    const missing = await compileError(bundle(folder, "missing.ts"));
    assert.deepEqual(places(missing), ["missing-export missing.ts:1:10"]);
    assert.match(missing.message, /"z" is not exported/);
    assert.deepEqual(places(await compileError(bundle(folder, "twice.js"))), ["syntax-error twice.js:1:5"]);
  });

  test("for an entry that is not there", async () => {
    const folder = await folderOf({ "index.ts": "export default 1;" });
    assert.deepEqual((await compileError(bundle(folder, "other.ts"))).position, {
      file: "other.ts",
      line: 1,
      column: 1,
    });
    await compileError(bundle(join(folder, "nowhere"), "index.ts"));
  });

  test("for sources and packages that would overflow the parsers", async () => {
    const folder = await folderOf({
      "index.ts": 'import "./deep.js"; import "deep"; export default 1;',
      "deep.js": `x = ${"(".repeat(100_000)}`,
      "node_modules/deep/index.js": `x = ${"!".repeat(100_000)}1`,
    });
    const error = await compileError(bundle(folder, "index.ts"));
    assert.deepEqual(
      error.findings.map(({ rule, file }) => `${rule} ${file}`),
      ["too-deep deep.js", "too-deep node_modules/deep/index.js"],
    );
  });

  test("for bundles over 5 MB", async () => {
    const data = JSON.stringify("x".repeat(3 * 1024 * 1024));
    const folder = await folderOf({
      "index.ts": 'import a from "./a.json"; import b from "./b.json"; export default [a, b];',
      "a.json": `{"a":${data}}`,
      "b.json": `{"b":${data}}`,
    });
    assert.match(
      (await compileError(bundle(folder, "index.ts"))).message,
      /the bundle has \d+ bytes; 5242880 is the limit/,
    );
  });
});

test("the analysis of a bundle finds what a package hides and what was not sent", async () => {
  const folder = await folderOf({
    "index.ts": 'import "./extra.ts"; import { run } from "evil"; /** @function */ export default run;',
    "extra.ts": "const code: string = '1';\n/* 😀 */ globalThis.result = eval(code);",
    "node_modules/evil/index.js": "exports.run = () =>\n  new Deno.Command('ls');",
  });
  const { bundle: made, files } = await bundle(folder, "index.ts");
  const sent = { entry: "index.ts", files: { "index.ts": files["index.ts"]! } };
  const all = { entry: "index.ts", files };
  assert.equal(analyze(sent, { requireAnnotation: true }).passed, true);
  assert.deepEqual(
    analyzeBundle(made, sent).map((found) => `${found.severity} ${found.rule} ${found.file}:${found.line}`),
    ["error dynamic-code extra.ts:2", "warning process-execution node_modules/evil/index.js:2"],
  );
  assert.deepEqual(
    analyzeBundle(made, all, analyze(all, { requireAnnotation: true }).findings).map(
      ({ severity }) => severity,
    ),
    ["warning"],
  );
});

describe("reading sources", () => {
  test("finds the entry by package.json, then by name", async () => {
    const entryOf = async (files: Record<string, string>) =>
      (await readSources(await folderOf(files))).sources.entry;
    assert.equal(
      await entryOf({ "package.json": '{"main":"./lib/start.ts"}', "lib/start.ts": "", "index.ts": "" }),
      "lib/start.ts",
    );
    assert.equal(
      await entryOf({ "package.json": '{"module":"a.mjs","main":"b.js"}', "a.mjs": "", "b.js": "" }),
      "a.mjs",
    );
    assert.equal(await entryOf({ "package.json": '{"main":"../../etc/passwd"}', "main.ts": "" }), "main.ts");
    assert.equal(
      await entryOf({ "package.json": '{"main":"built.js"}', "src/index.tsx": "" }),
      "src/index.tsx",
    );
    assert.equal(await entryOf({ "handler.ts": "", "index.js": "" }), "index.js");
    assert.equal(await entryOf({ "function.ts": "", "other.ts": "" }), "function.ts");
  });

  test("reads the code of a folder, not its packages, hidden files and output", async () => {
    const folder = await folderOf({
      "index.ts": "1",
      "lib/a.tsx": "2",
      "data.json": "{}",
      "readme.md": "",
      ".env.json": "",
      "node_modules/p/index.js": "",
      "dist/out.js": "",
      "package-lock.json": "{}",
    });
    const { root, sources } = await readSources(folder);
    assert.equal(root, folder);
    assert.deepEqual({ ...sources.files }, { "data.json": "{}", "index.ts": "1", "lib/a.tsx": "2" });
  });

  test("reads one file alone, also through a symbolic link", async () => {
    const folder = await folderOf({ "one.ts": "1", "two.ts": "2" });
    await symlink(join(folder, "one.ts"), join(folder, "link.ts"));
    for (const name of ["one.ts", "link.ts"]) {
      const { root, sources } = await readSources(join(folder, name));
      assert.deepEqual([root, sources.entry, { ...sources.files }], [folder, "one.ts", { "one.ts": "1" }]);
    }
  });

  test("says what is wrong when there is nothing, no entry, or a broken package.json", async () => {
    assert.match((await compileError(readSources("/nowhere/at/all"))).message, /no file or folder/);
    assert.match((await compileError(readSources(await folderOf({ "a.txt": "" })))).message, /no entry file/);
    const broken = await folderOf({ "package.json": "{", "index.ts": "" });
    assert.match((await compileError(readSources(broken))).message, /package\.json/);
  });
});

describe("checking sources from outside", () => {
  test("accepts relative paths", () => {
    checkSources({ "index.ts": "", "lib/a b.ts": "", "漢字/…ts": "", "..a/b..ts": "" }, "index.ts");
  });

  const refused = [
    "../a.ts",
    "a/../../b.ts",
    "/etc/passwd",
    "C:/a.ts",
    "a\\b.ts",
    "a\0.ts",
    "",
    "./a.ts",
    "a//b.ts",
    "a/",
    "a\n.ts",
    "__proto__",
    "x".repeat(2000),
  ];
  for (const path of refused) {
    test(`refuses ${JSON.stringify(path.slice(0, 20))}`, () => {
      const files = Object.fromEntries([
        ["index.ts", ""],
        [path, ""],
      ]);
      assert.throws(() => checkSources(files, "index.ts"), CompileError);
    });
  }

  test("refuses too many, too much, what is no text, and an entry that is missing", () => {
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`${index}.ts`, ""]));
    assert.throws(() => checkSources(many, "0.ts"), /1000 files/);
    const big = "é".repeat(3 * 1024 * 1024);
    assert.throws(() => checkSources({ "a.ts": big, "b.ts": big }, "a.ts"), /bytes together/);
    assert.throws(() => checkSources({ "a.ts": 1 as unknown as string }, "a.ts"), /not text/);
    assert.throws(() => checkSources({ "a.ts": "" }, "b.ts"), /not among the files/);
    assert.throws(() => checkSources({ "a.ts": "" }, "toString"), /not among the files/);
  });
});
