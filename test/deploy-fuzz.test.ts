import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Document, System } from "./support/system.ts";

/** Deployments that are broken in every way: each is refused with a code, and nothing of it is stored. */

let system: System;
let key = "";
before(async () => {
  system = await System.start({ THIMBLE_WORKERS: "0" });
  key = readFileSync(join(system.folder, ".thimble/admin-key"), "utf8").trim();
});
after(() => system?.close());

const GOOD = "/** @function */\nexport default () => ({ ok: true });\n";

/** Numbers that are the same at each run (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

async function post(body: BodyInit, type = "application/json"): Promise<{ status: number; body: Document }> {
  const response = await fetch(`${system.adminUrl}/v1/functions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, ...(type && { "content-type": type }) },
    body,
  });
  return { status: response.status, body: await response.json() };
}

async function assertRefused(body: BodyInit, why: string, type?: string): Promise<void> {
  const { status, body: document } = await post(body, type);
  assert.ok(status >= 400 && status < 500, `${why}: ${status} ${JSON.stringify(document).slice(0, 300)}`);
  assert.ok(document.error.code && document.error.message && document.error.requestId, why);
}

const stored = async () =>
  (await system.admin("GET", "/v1/functions")).body.functions.map((one: Document) => one.name);

describe("a deployment", () => {
  test("with file names that lead elsewhere, or nowhere, is refused", async () => {
    const paths = [
      ...[
        "../index.ts",
        "a/../../b.ts",
        "/etc/passwd",
        "//host/share",
        "C:/x.ts",
        "c:x.ts",
        "\\\\host\\x.ts",
        "a\\b.ts",
      ],
      ...[
        "",
        ".",
        "./a.ts",
        "a//b.ts",
        "a/./b.ts",
        "a/",
        "nul\0.ts",
        "new\nline.ts",
        "\u001b[2J.ts",
        "__proto__/x.ts",
      ],
      `${"x".repeat(1_025)}.ts`,
    ];
    for (const path of paths) {
      const files = { "index.ts": GOOD, [path]: "export {};" };
      await assertRefused(JSON.stringify({ name: "paths", files, entry: "index.ts" }), JSON.stringify(path));
    }
    const clashes = [
      { "index.ts": GOOD, "lib/A.ts": "export {};", "lib/a.ts": "export {};" },
      { "index.ts": GOOD, a: "text", "a/b.ts": "export {};" },
    ];
    for (const files of clashes)
      await assertRefused(JSON.stringify({ name: "paths", files }), Object.keys(files).join());
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`f${n}.ts`, "export {};"]));
    await assertRefused(
      JSON.stringify({ name: "paths", files: { "index.ts": GOOD, ...many } }),
      "10,000 files",
    );
    assert.deepEqual(await stored(), []);
  });

  test("with values of wrong types in any place is refused", async () => {
    const good = {
      name: "types",
      files: { "index.ts": GOOD },
      entry: "index.ts",
      config: { timeoutMs: 100 },
    };
    const wrong = [null, 7, true, [], {}, "\0", -1, Number.MAX_VALUE, "x".repeat(300)];
    for (const field of [
      "name",
      "files",
      "entry",
      "config",
      "bundle",
      "module",
      "allowUnannotated",
      "withoutTraffic",
    ]) {
      for (const value of wrong) {
        const usable =
          (field.startsWith("allow") || field.startsWith("without")) && value === true
            ? true
            : field === "config" && JSON.stringify(value) === "{}";
        if (usable) continue;
        await assertRefused(
          JSON.stringify({ ...good, [field]: value }),
          `${field}: ${JSON.stringify(value)?.slice(0, 40)}`,
        );
      }
    }
    for (const text of ["", "null", "[]", "{}", '"x"', "[[[[", "{".repeat(50_000), `${"[".repeat(100_000)}`])
      await assertRefused(text, text.slice(0, 20));
    assert.deepEqual(await stored(), []);
  });

  test("of which bytes were changed is refused, or what it then says; nothing breaks", async () => {
    const random = seeded(7);
    const bytes = Buffer.from(JSON.stringify({ name: "bytes", files: { "index.ts": GOOD } }));
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(bytes);
      for (let n = 0; n <= random(4); n++) changed[random(changed.length)] = random(256);
      const cut = changed.subarray(0, random(3) === 0 ? random(changed.length) : undefined);
      const { status, body } = await post(cut);
      assert.ok(
        status < 500,
        `${status} ${JSON.stringify(body)} for ${JSON.stringify(cut.toString("latin1"))}`,
      );
      if (status >= 400) assert.ok(body.error.code);
    }
    for (const name of await stored()) await system.admin("DELETE", `/v1/functions/${name}`);
  });

  test("with a bundle or source map that is none is refused", async () => {
    const base = { name: "bundles", files: { "index.ts": GOOD } };
    for (const bundle of [
      { code: "][", map: "{}" },
      { code: "import 'node:child_process'", map: "{}" },
      { code: "", map: "" },
      { code: "\0\0\0", map: "\0" },
      { code: "while (true) {}", map: "{}" },
    ])
      await assertRefused(JSON.stringify({ ...base, bundle }), JSON.stringify(bundle));
    assert.deepEqual(await stored(), []);
  });
});

describe("a deployment as a form", () => {
  const form = (parts: [string, string | Blob, string?][]) => {
    const made = new FormData();
    for (const [field, value, name] of parts) {
      if (typeof value === "string") made.append(field, value);
      else made.append(field, value, name);
    }
    return made;
  };
  const source = new Blob([GOOD]);
  /** An empty module: valid, and with nothing to call. */
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

  test("takes sources, and answers", async () => {
    const parts = form([
      ["name", "formed"],
      ["file", source, "index.ts"],
      ["config", '{"timeoutMs":500}'],
      ["withoutTraffic", "false"],
    ]);
    const { status, body } = await post(parts, "");
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.function.limits.timeoutMs, 500);
    assert.deepEqual((await system.call("formed")).body, { ok: true });
    await system.admin("DELETE", "/v1/functions/formed");
  });

  test("that is broken is refused", async () => {
    const random = seeded(11);
    const noise = Uint8Array.from({ length: 2_000 }, () => random(256));
    const cases: [string, [string, string | Blob, string?][]][] = [
      ["nothing", []],
      ["no files", [["name", "x"]]],
      [
        "a module that is noise",
        [
          ["name", "x"],
          ["module", new Blob([noise]), "x.wasm"],
        ],
      ],
      [
        "a module that is empty",
        [
          ["name", "x"],
          ["module", new Blob([]), "x.wasm"],
        ],
      ],
      [
        "a module without anything to call",
        [
          ["name", "x"],
          ["module", new Blob([empty]), "x.wasm"],
        ],
      ],
      [
        "a module cut off",
        [
          ["name", "x"],
          ["module", new Blob([empty, Uint8Array.of(1, 200)]), "x.wasm"],
        ],
      ],
      [
        "a module that is text",
        [
          ["name", "x"],
          ["module", "text"],
        ],
      ],
      [
        "two modules",
        [
          ["name", "x"],
          ["module", new Blob([empty]), "a.wasm"],
          ["module", new Blob([empty]), "b.wasm"],
        ],
      ],
      [
        "module and sources",
        [
          ["name", "x"],
          ["module", new Blob([empty]), "a.wasm"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "two files of one name",
        [
          ["name", "x"],
          ["file", source, "index.ts"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "a source that is no text",
        [
          ["name", "x"],
          ["file", new Blob([noise]), "index.ts"],
        ],
      ],
      [
        "a file that leads elsewhere",
        [
          ["name", "x"],
          ["file", source, "../index.ts"],
        ],
      ],
      [
        "two names",
        [
          ["name", "x"],
          ["name", "y"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "a config that is no JSON",
        [
          ["name", "x"],
          ["config", "{"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "a flag that is none",
        [
          ["name", "x"],
          ["withoutTraffic", "maybe"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "a field that is none",
        [
          ["name", "x"],
          ["surprise", "1"],
          ["file", source, "index.ts"],
        ],
      ],
      [
        "an asset that leads elsewhere",
        [
          ["name", "x"],
          ["module", new Blob([empty]), "a.wasm"],
          ["asset", source, "../../x"],
        ],
      ],
    ];
    for (const [why, parts] of cases) await assertRefused(form(parts), why, "");
    const raw = "--b\r\ncontent-disposition: form-data; name=name\r\n\r\nx\r\n";
    for (const [body, type] of [
      [raw, "multipart/form-data; boundary=b"],
      [raw, "multipart/form-data"],
      [raw, "multipart/form-data; boundary=other"],
      ["", "multipart/form-data; boundary=b"],
      ["--b--", "multipart/form-data; boundary=b"],
    ] as const)
      await assertRefused(body, `${type} ${body.slice(0, 10)}`, type);
    assert.deepEqual(await stored(), []);
  });
});
