import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { bundle } from "../compiler/bundle.ts";
import { CompileError } from "../compiler/errors.ts";
import { compiler, type RunOptions, sandboxes, text } from "./support/sandbox.ts";

const { runtime, run } = sandboxes();
const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

type Files = Record<string, string | Uint8Array>;

/** Bundles and builds a folder, as `thimble deploy` does. */
async function deployed(files: Files, options?: { withFiles?: boolean }) {
  const folder = await mkdtemp(path.join(tmpdir(), "thimble-shapes-"));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  const entry = Object.keys(files)[0]!;
  const made = await bundle(folder, entry, options);
  const sources = { entry, files: made.files };
  const { artifact, analysis } = await compiler.build({
    sources,
    bundle: made.bundle,
    requireAnnotation: true,
  });
  const program = await runtime.load(artifact);
  const get = async (target = "/", given: RunOptions = {}) =>
    text(await run(program, { ...given, request: { url: `http://localhost${target}`, ...given.request } }));
  return { get, analysis, warnings: made.bundle.warnings, program };
}

const answers = async (files: Files, target?: string) => (await deployed(files)).get(target);

describe("a function may be", () => {
  test("a server of node:http", async () => {
    const source = `import http from "node:http";
      const server = http.createServer((req, res) => { res.writeHead(200, { "x-a": ["1", "2"] }); res.end(req.method + " " + req.url + " " + req.headers.host); });
      /** @function */ server.listen(8000, () => {});`;
    assert.equal(await answers({ "index.ts": source }, "/a?b=c"), "GET /a?b=c localhost");
  });

  test("a server that listens after something has been waited for", async () => {
    const source = `import { createServer } from "node:http";
      const start = async () => { await null; await Promise.resolve(); createServer((_, res) => res.end("late")).listen(0); };
      /** @function */ export const handler = undefined; start();`;
    assert.equal(await answers({ "index.ts": source }), "late");
  });

  test("a service worker", async () => {
    const source = `/** @function */ addEventListener("fetch", (event) => event.respondWith(new Response("worker " + new URL(event.request.url).pathname)));`;
    assert.equal(await answers({ "index.js": source }, "/x"), "worker /x");
  });

  test("onRequest, or one for each method, as Pages have it", async () => {
    const one = `/** @function */ export const onRequest = ({ request, env, params }) => new Response(request.method + typeof env + Object.keys(params));`;
    assert.equal(await answers({ "index.js": one }), "GETobject");
    const many = `/** @function */ export const onRequest = undefined; export const onRequestGet = ({ request }) => "got"; export const onRequestPost = () => "posted";`;
    const { get } = await deployed({ "index.js": many });
    assert.equal(await get(), "got");
    assert.equal(await get("/", { request: { method: "POST" } }), "posted");
  });

  test("CommonJS, with a default function, a handler or an application", async () => {
    assert.equal(
      await answers({
        "index.cjs": `/** @function */ module.exports = (request) => "cjs " + request.method;`,
      }),
      "cjs GET",
    );
    const named = `"use strict"; const { join } = require("path"); /** @function */ exports.handler = () => ({ file: join(__dirname, "x"), self: __filename });`;
    assert.deepEqual(JSON.parse(await answers({ "index.cjs": named })), {
      file: "/app/x",
      self: "/app/index.cjs",
    });
    const application = `const http = require("http"); /** @function */ module.exports = http.createServer((req, res) => res.end("exported"));`;
    assert.equal(await answers({ "index.cjs": application }), "exported");
  });

  test("JSX with the runtime that tsconfig.json names", async () => {
    const runtimeModule = `export const jsx = (type, { children, ...props }) => ({ type, props, children }); export const jsxs = jsx; export const Fragment = "fragment";`;
    const files = {
      "index.tsx": `/** @function */ export const handler = () => <a href="x">{[1, 2]}<></></a>;`,
      "tsconfig.json": '{ "compilerOptions": { "jsx": "react-jsx", "jsxImportSource": "tiny" } } // comment',
      "node_modules/tiny/package.json": '{"type":"module","exports":{"./jsx-runtime":"./index.js"}}',
      "node_modules/tiny/index.js": runtimeModule,
    };
    const made = JSON.parse(await answers(files));
    assert.deepEqual([made.type, made.props, made.children[1].type], ["a", { href: "x" }, "fragment"]);
  });
});

test("two servers are one too many, and a server that comes too late has no function", async () => {
  const two = `import { createServer } from "node:http"; createServer(() => {}).listen(1); /** @function */ createServer(() => {}).listen(2);`;
  await assert.rejects(deployed({ "index.ts": two }), /a function has one server/);
  const none = `/** @function */ export const handler = undefined;`;
  await assert.rejects(deployed({ "index.ts": none }), /This module has nothing that can be called/);
});

test("what top-level code throws is shown at its place in the function's own file", async () => {
  const files = {
    "index.ts": `import { check } from "tool";\nimport { table } from "./table.ts";\n/** @function */ export default () => check(table);`,
    "table.ts": `import { check } from "tool";\ntype Row = { id: number };\nexport const table: Row[] = check([]);`,
    "node_modules/tool/index.js": `exports.check = (rows) => {\n  if (rows.length === 0) throw new RangeError("no rows");\n  return rows;\n};`,
  };
  const error = await deployed(files).catch((cause: unknown) => cause);
  assert.ok(error instanceof CompileError);
  assert.deepEqual(error.position, { file: "table.ts", line: 3, column: 29 });
  assert.match(error.message, /RangeError: no rows/);
  assert.equal(error.findings[0]?.sourceLine, "export const table: Row[] = check([]);");
});

test("top-level code may set timers that it clears, and no others", async () => {
  const cleared = `const timer = setTimeout(() => {}, 1000); await null; clearTimeout(timer); /** @function */ export default () => "fine";`;
  assert.equal(await answers({ "index.ts": cleared }), "fine");
  const unreferenced = `import { setInterval } from "node:timers"; setInterval(() => {}, 10).unref(); /** @function */ export default () => "fine";`;
  assert.equal(await answers({ "index.ts": unreferenced }), "fine");
  const kept = `\n  setInterval(() => {}, 10);\n/** @function */ export default () => "never";`;
  const error = await deployed({ "index.ts": kept }).catch((cause: unknown) => cause);
  assert.ok(error instanceof CompileError);
  assert.match(error.message, /^index\.ts:2:3: .*setInterval is not available in top-level code/);
  assert.deepEqual(
    error.findings.map(({ rule, line, column, sourceLine }) => [rule, line, column, sourceLine]),
    [["top-level-error", 2, 3, "  setInterval(() => {}, 10);"]],
  );
});

describe("files beside the function", () => {
  const files = {
    "index.ts": `import { readFileSync } from "node:fs";
      import { readFile } from "node:fs/promises";
      import { join } from "node:path";
      /** @function */
      export default async (request) => [
        readFileSync(new URL("./data/note.txt", import.meta.url), "utf8"),
        (await readFile(join(import.meta.dirname, "data/bytes.bin"))).toString("hex"),
        readFileSync("data/note.txt", "utf8"),
        await Deno.readTextFile(new URL("data/note.txt", import.meta.url)),
        [...(await Deno.readFile("data/bytes.bin"))].length,
        await (await fetch(new URL("./data/note.txt", import.meta.url))).text(),
        import.meta.url, import.meta.filename,
        await Deno.readTextFile("none").catch((e) => [e.name, e instanceof Deno.errors.NotFound]),
        await fetch(new URL(request.url).searchParams.get("r")).catch((e) => e.name),
        (() => { try { readFileSync(new URL(request.url).searchParams.get("p")); } catch (e) { return e.code; } })(),
        (() => { try { readFileSync(new URL(request.url).searchParams.get("q")); } catch (e) { return e.code; } })(),
      ];`,
    "data/note.txt": "ä note\n",
    "data/bytes.bin": Uint8Array.of(0, 255, 10),
    ".env": "SECRET=1",
  };
  const own = [
    "ä note\n",
    "00ff0a",
    "ä note\n",
    "ä note\n",
    3,
    "ä note\n",
    "file:///app/index.ts",
    "/app/index.ts",
    ["NotFound", true],
    "TypeError",
    "ENOENT",
    "ENOENT",
  ];

  test("are read by path and URL, and nothing else is", async () => {
    assert.deepEqual(
      JSON.parse(await answers(files, "/?p=/etc/passwd&q=../../etc/passwd&r=file:///etc/passwd")),
      own,
    );
  });

  test("hidden ones, packages and what is too large are not there; of a single file none are", async () => {
    const source = `import { existsSync, readdirSync } from "node:fs"; /** @function */ export default () => [readdirSync("."), existsSync(".env"), existsSync("node_modules")];`;
    const large = {
      "index.ts": source,
      "a.txt": "a",
      "large.bin": new Uint8Array(300_000),
      ".env": "X=1",
      "node_modules/x/readme.md": "x",
    };
    const { get, warnings } = await deployed(large);
    assert.deepEqual(JSON.parse(await get()), [["a.txt"], false, false]);
    assert.deepEqual(
      warnings.map(({ rule, file }) => `${rule} ${file}`),
      ["file-left-out large.bin"],
    );
    const alone = await deployed(large, { withFiles: false });
    assert.deepEqual(JSON.parse(await alone.get()), [[], false, false]);
  });

  test("can be written to nowhere but in /tmp, which the next request finds empty", async () => {
    const source = `import fs from "node:fs"; /** @function */ export default (request) => { const seen = fs.existsSync("/tmp/x"); fs.writeFileSync("/tmp/x", "1");
      const refused = new URL(request.url).searchParams.getAll("p").map((path) => { try { fs.writeFileSync(path, ""); } catch (e) { return e.code; } });
      let full; try { for (let i = 0; ; i++) fs.writeFileSync("/tmp/" + i, Buffer.alloc(1 << 20)); } catch (e) { full = e.code; } return [seen, refused, full]; };`;
    const { get } = await deployed({ "index.ts": source, "a.txt": "a" });
    const expected = [false, ["EROFS", "ENOENT", "EROFS"], "ENOSPC"];
    const target = "/?p=/app/a.txt&p=/etc/x&p=/x";
    assert.deepEqual(JSON.parse(await get(target)), expected);
    assert.deepEqual(JSON.parse(await get(target)), expected);
  });
});

test("files are imported as what the import says", async () => {
  const files = {
    "index.ts": `import page from "./page.xyz" with { type: "text" };
      import raw from "./raw.bin" with { type: "bytes" };
      import data from "./data.json" with { type: "json" };
      import source from "./other.ts" with { type: "text" };
      import { value } from "./other.ts";
      /** @function */ export default () => [page, raw instanceof Uint8Array, [...raw], data.a, source, value];`,
    "page.xyz": "<p>ü</p>",
    "raw.bin": Uint8Array.of(1, 0, 255),
    "data.json": '{"a":[1]}',
    "other.ts": "export const value: number = 7;",
  };
  assert.deepEqual(JSON.parse(await answers(files)), [
    "<p>ü</p>",
    true,
    [1, 0, 255],
    [1],
    "export const value: number = 7;",
    7,
  ]);
  await assert.rejects(
    deployed({
      "index.ts": `import x from "./none.bin" with { type: "bytes" }; /** @function */ export default () => x;`,
    }),
    /cannot be found/,
  );
});

describe("what is made for Deno", () => {
  test("has its environment, version and files, and an exit that is an error", async () => {
    const source = `/** @function */ Deno.serve({ port: 1 }, async () => Response.json([Deno.env.get("A"), typeof Deno.version.deno, Deno.args, Deno.cwd(), (() => { try { Deno.exit(3); } catch (e) { return e.message; } })()]));`;
    const { get } = await deployed({ "index.ts": source });
    assert.deepEqual(JSON.parse(await get("/", { env: { A: "1" } })), [
      "1",
      "string",
      [],
      "/app",
      "Deno.exit(3) was called: a function ends when it has answered",
    ]);
  });

  test("imports npm: packages that are installed, and what deno.json maps to them or to files", async () => {
    const files = {
      "main.ts": `import a from "npm:tool@^1"; import b from "tool/sub"; import { c } from "lib/c.ts"; import d from "$short"; import e from "jsr:@std/thing@1";
        /** @function */ Deno.serve(() => Response.json([a, b, c, d, e]));`,
      "deno.jsonc":
        '{ "imports": { "tool/": "npm:/tool@1/", "lib/": "./src/lib/", "$short": "npm:tool", /* two */ "unused": "https://x.y/z.ts", }, }',
      "src/lib/c.ts": 'export const c: string = "c";',
      "node_modules/tool/package.json": '{"name":"tool","main":"./index.js"}',
      "node_modules/tool/index.js": 'module.exports = "tool";',
      "node_modules/tool/sub.js": 'module.exports = "sub";',
      "node_modules/@jsr/std__thing/index.js": 'module.exports = "jsr";',
    };
    assert.deepEqual(JSON.parse(await answers(files)), ["tool", "sub", "c", "tool", "jsr"]);
  });

  test("does not download: jsr: and https: are refused with a way out", async () => {
    const source = `import a from "jsr:@std/path@1/join"; import b from "https://deno.land/x/y/mod.ts"; import c from "mapped";\n/** @function */ Deno.serve(() => new Response(a + b + c));`;
    const error = await deployed({
      "main.ts": source,
      "deno.json": '{"imports":{"mapped":"https://esm.sh/z"}}',
    }).catch((cause: unknown) => cause);
    assert.ok(error instanceof CompileError);
    assert.deepEqual(
      error.findings.map(({ rule, line, hint }) => [
        rule,
        line,
        /npx jsr add @std\/path$|install the package from npm/.test(hint),
      ]),
      [
        ["unresolved-import", 1, true],
        ["unresolved-import", 1, true],
        ["unresolved-import", 1, true],
      ],
    );
  });
});

test("packages are taken by the conditions of sandboxes like this one", async () => {
  const conditions = ["workerd", "edge-light", "deno", "worker", "browser", "import"];
  for (const condition of conditions) {
    const files = {
      "index.ts": `import found from "tool"; /** @function */ export default () => found;`,
      "node_modules/tool/package.json": JSON.stringify({
        exports: { node: "./no.js", [condition]: "./yes.js", default: "./no.js" },
      }),
      "node_modules/tool/yes.js": `export default ${JSON.stringify(condition)};`,
      "node_modules/tool/no.js": `export default "no";`,
    };
    assert.equal(await answers(files), condition);
  }
});

test("a module that a sandbox does not have says so where it is used, and in a finding", async () => {
  const source = `import tool from "tool"; /** @function */ export default () => { try { tool(); } catch (e) { return e.message; } };`;
  const files = {
    "index.ts": source,
    "node_modules/tool/index.js": `const tls = require("tls"); const { isIP, connect } = require("net"); module.exports = () => { if (isIP("::1") === 6) return isIP("1.2.3.4") === 4 ? connect(1) : tls.connect(); };`,
  };
  const { get, warnings } = await deployed(files);
  assert.equal(await get(), "node:net is not supported in a sandbox (connect)");
  assert.deepEqual(
    warnings.map(({ rule, message }) => [rule, message.slice(0, 10)]),
    [
      ["unsupported-module", '"tls" is n'],
      ["unsupported-module", '"net" is n'],
    ],
  );
});
