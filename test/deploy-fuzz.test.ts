import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { randomNumbers } from "./fuzz/random.ts";
import { System } from "./support/system.ts";

/** R5: whatever is sent to be deployed, what is refused is the sender's fault (4xx, with a code), and nothing is stored. */

const GOOD = "/** @function */\nexport default () => 1;\n";

describe("the deploy endpoint", () => {
  let system: System;
  before(async () => {
    system = await System.start();
  });
  after(() => system.close());

  const send = (body: string | Uint8Array, type = "application/json") =>
    fetch(`${system.adminUrl}/v1/functions`, {
      method: "POST",
      headers: { ...system.authorization, "content-type": type },
      body: body as BodyInit,
    });

  async function stored(): Promise<string[]> {
    const { body } = await system.admin("GET", "/v1/functions");
    return body.functions.map(({ name }: { name: string }) => name);
  }

  async function isRefused(body: string | Uint8Array, what: string, type?: string): Promise<void> {
    const response = await send(body, type);
    const text = await response.text();
    assert.ok(
      response.status >= 400 && response.status < 500,
      `${what}: ${response.status} ${text.slice(0, 300)}`,
    );
    const { error } = JSON.parse(text);
    assert.match(error.code, /^[a-z_]+$/, what);
    assert.ok(
      error.message.length > 0 && !/\n\s+at |\/home\/|\/work\/|node:internal/.test(text),
      `${what}: ${text.slice(0, 300)}`,
    );
  }

  const withFiles = (files: Record<string, string>, more: object = {}) =>
    JSON.stringify({ name: "fuzzed", files, ...more });

  const paths = {
    "above the folder": "../x.ts",
    "above the folder, later": "lib/../../x.ts",
    absolute: "/etc/x.ts",
    "absolute, Windows": "C:/x.ts",
    "with backslashes": "lib\\x.ts",
    "a network share": "\\\\host\\x.ts",
    "with an empty part": "lib//x.ts",
    "with a dot": "./x.ts",
    "a folder": "lib/",
    empty: "",
    "with NUL": "x\0.ts",
    "with a line end": "x\n.ts",
    "with an escape sequence": "\u001b[2J.ts",
    "too long": `${"x".repeat(2_000)}.ts`,
    "with a part that is too long": `${"x".repeat(300)}.ts`,
    "of an inherited name": "lib/__proto__/x.ts",
    "half a character": "\ud800.ts",
    "the entry in another case": "INDEX.ts",
    "below a file": "index.ts/x.ts",
  };
  for (const [what, path] of Object.entries(paths)) {
    test(`refuses a path: ${what}`, async () => {
      await isRefused(withFiles({ "index.ts": GOOD, [path]: "export {};" }), what);
      // These two are bad beside the entry only.
      if (!/^index/i.test(path))
        await isRefused(withFiles({ [path]: GOOD }, { entry: path }), `${what}, as entry`);
      assert.deepEqual(await stored(), []);
    });
  }

  test("refuses paths that are one file on some machines", async () => {
    const clashes = [
      ["lib/a.ts", "lib/A.ts"],
      ["lib/a.ts", "LIB/a.ts"],
      ["caf\u00e9.ts", "cafe\u0301.ts"],
      ["lib", "lib/a.ts"],
    ];
    for (const [one, other] of clashes)
      await isRefused(withFiles({ "index.ts": GOOD, [one!]: "", [other!]: "" }), `${one} and ${other}`);
    assert.deepEqual(await stored(), []);
  });

  test("refuses the path __proto__ as data", async () => {
    await isRefused(
      `{"name":"fuzzed","files":{"index.ts":${JSON.stringify(GOOD)},"__proto__":"x"}}`,
      "__proto__",
    );
    await isRefused('{"name":"fuzzed","files":{"__proto__":"x"},"entry":"__proto__"}', "__proto__ as entry");
    assert.deepEqual(await stored(), []);
  });

  test("refuses 10,000 files, and too many bytes", async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`f${index}.ts`, ""]));
    await isRefused(withFiles({ "index.ts": GOOD, ...many }), "10,000 files");
    await isRefused(withFiles({ "index.ts": `${GOOD}//${"x".repeat(11 * 1024 * 1024)}` }), "11 MB");
    await isRefused(
      withFiles({
        "index.ts": GOOD,
        ...Object.fromEntries(
          Array.from({ length: 12 }, (_, index) => [`d${index}.txt`, "x".repeat(1024 * 1024)]),
        ),
      }),
      "12 MB",
    );
    assert.deepEqual(await stored(), []);
  });

  test("refuses bodies that are no JSON document", async () => {
    const document = withFiles({ "index.ts": GOOD });
    const bodies: [what: string, body: string | Uint8Array, type?: string][] = [
      ["nothing", ""],
      ["half of a document", document.slice(0, -5)],
      ["two documents", document + document],
      ["a document with a tail", `${document}x`],
      ["a byte order mark", `\ufeff\ufeff${document}`],
      ["a list", `[${document}]`],
      ["a text", JSON.stringify(document)],
      ["null", "null"],
      ["a number beyond numbers", "1e999"],
      ["deep nesting", `{"name":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
      [
        "broken UTF-8",
        Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      ],
      ["UTF-16", Buffer.from(document, "utf16le")],
      ["gzip", gzipSync(document)],
      ["a zip archive", Buffer.from("504b0304140000000800", "hex"), "application/zip"],
      ["a tar archive", Buffer.alloc(1024, "index.ts\0"), "application/x-tar"],
      ["a WebAssembly module", Buffer.from("0061736d01000000", "hex"), "application/wasm"],
      ["a form", "name=fuzzed&files=x", "application/x-www-form-urlencoded"],
      [
        "a broken multipart",
        '--x\r\ncontent-disposition: form-data; name="name"\r\n\r\nfuzzed',
        "multipart/form-data; boundary=x",
      ],
    ];
    for (const [what, body, type] of bodies) await isRefused(body, what, type);
    assert.deepEqual(await stored(), []);
  });

  const odd: unknown[] = [
    null,
    true,
    0,
    -1,
    1e308,
    "",
    "\0",
    "\ud800",
    [],
    [[]],
    {},
    { length: 1 },
    "x".repeat(5_000),
  ];

  test("refuses every field of a wrong type", async () => {
    for (const field of [
      "name",
      "files",
      "entry",
      "module",
      "fileName",
      "assets",
      "config",
      "bundle",
      "allowUnannotated",
      "withoutTraffic",
    ]) {
      for (const value of odd) {
        const harmless =
          (field === "config" && JSON.stringify(value) === "{}") ||
          (field === "assets" && JSON.stringify(value) === "{}") ||
          (/^(?:allow|without)/.test(field) && value === true) ||
          (field === "fileName" && typeof value === "string" && value.length <= 255);
        if (harmless) continue;
        await isRefused(
          withFiles({ "index.ts": GOOD }, { [field]: value }),
          `${field}: ${JSON.stringify(value).slice(0, 50)}`,
        );
      }
    }
    assert.deepEqual(await stored(), []);
  });

  test("refuses every part of config and bundle of a wrong type", async () => {
    const parts = {
      config: [
        "timeoutMs",
        "memoryMb",
        "concurrency",
        "fuel",
        "egress",
        "database",
        "warmup",
        "stdio",
        "args",
        "__proto__",
        "unknown",
      ],
      bundle: ["code", "map", "warnings"],
    };
    for (const [field, names] of Object.entries(parts)) {
      for (const name of names) {
        for (const value of odd) {
          const inner = field === "bundle" ? { code: "", map: "", [name]: value } : { [name]: value };
          const body = withFiles({ "index.ts": GOOD }, { [field]: inner });
          const response = await send(
            name === "__proto__" ? body.replace("{}", `{"__proto__":${JSON.stringify(value)}}`) : body,
          );
          assert.ok(
            response.status < 500,
            `${field}.${name}: ${JSON.stringify(value).slice(0, 50)}: ${response.status}`,
          );
          await response.body?.cancel();
          if (response.status < 300) await system.admin("DELETE", "/v1/functions/fuzzed");
        }
      }
    }
    assert.deepEqual(await stored(), []);
  });

  test("refuses broken modules and what lies beside them", async () => {
    const module = Buffer.from("0061736d01000000", "hex").toString("base64");
    const modules: [what: string, body: object][] = [
      ["no base64", { module: "\u00e9\u00e9" }],
      ["an empty module", { module: "" }],
      ["text", { module: Buffer.from("hello").toString("base64") }],
      ["a head alone", { module: Buffer.from("0061736d", "hex").toString("base64") }],
      ["a module without a start", { module }],
      [
        "a section that is longer than the file",
        { module: Buffer.from("0061736d0100000001ff01", "hex").toString("base64") },
      ],
      ["files beside it", { module, files: { "index.ts": GOOD } }],
      ["assets above the folder", { module, assets: { "../x": "" } }],
      ["assets of no base64", { module, assets: { x: "\u00e9" } }],
    ];
    for (const [what, body] of modules) await isRefused(JSON.stringify({ name: "fuzzed", ...body }), what);
    assert.deepEqual(await stored(), []);
  });

  test("takes or refuses sources with odd characters, and never breaks", async () => {
    for (const character of [
      "\0",
      "\ud800",
      "\udfff\ud800",
      "\u2028",
      "\ufeff",
      "\u202e",
      "\u0085",
      "\u001b[2J",
    ]) {
      // The finding (a warning) carries the line.
      const source = `/** @function */\nexport default () => fetch("https://example.com/?${character}");\n`;
      for (const files of [
        { "index.ts": source },
        { "index.ts": GOOD, "note.txt": character },
        { "index.ts": character + GOOD },
      ]) {
        const response = await send(withFiles(files));
        const text = await response.text();
        assert.ok(response.status < 500, `${JSON.stringify(character)}: ${response.status} ${text}`);
        if (response.status < 300) {
          const shown = await system.admin("GET", "/v1/functions/fuzzed/versions");
          assert.equal(shown.status, 200);
          await system.admin("DELETE", "/v1/functions/fuzzed");
        }
      }
    }
    assert.deepEqual(await stored(), []);
  });

  test("takes or refuses a document with changed bytes, and never breaks", async () => {
    const document = Buffer.from(
      withFiles({ "index.ts": GOOD, "lib/a.ts": "export const a = 1;" }, { config: { timeoutMs: 100 } }),
    );
    const numbers = randomNumbers(20_240_607);
    const random = () => numbers() / 2 ** 32;
    for (let round = 0; round < 300; round++) {
      let bytes = Buffer.from(document);
      for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) bytes = changed(bytes, random);
      const response = await send(bytes);
      const text = await response.text();
      assert.ok(
        response.status < 500,
        `round ${round}: ${response.status} ${text}\n${bytes.toString("latin1")}`,
      );
      const names = await stored();
      assert.equal(names.length, response.status < 300 ? 1 : 0, `round ${round}: ${text}`);
      for (const name of names) await system.admin("DELETE", `/v1/functions/${name}`);
    }
  });

  test("serves on after all of that", async () => {
    assert.equal((await send(withFiles({ "index.ts": GOOD }))).status, 201);
    assert.equal(await (await fetch(`${system.edgeUrl}/f/fuzzed`)).text(), "1");
  });
});

/** A byte flipped, cut, doubled or replaced by one that means something in JSON. */
function changed(bytes: Buffer, random: () => number): Buffer<ArrayBuffer> {
  const at = Math.floor(random() * bytes.length);
  const rest = bytes.subarray(at + 1);
  const choice = Math.floor(random() * 5);
  if (choice === 0)
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from([bytes[at]! ^ (1 << Math.floor(random() * 8))]),
      rest,
    ]);
  if (choice === 1) return Buffer.concat([bytes.subarray(0, at), rest]);
  if (choice === 2)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 9), bytes.subarray(at)]);
  if (choice === 3) return Buffer.from(bytes.subarray(0, at));
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from('{}[]":,\\0\n'[Math.floor(random() * 10)]!),
    rest,
  ]);
}
