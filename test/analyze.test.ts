import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { analyze, analyzeBundle } from "../compiler/analyze/index.ts";
import { formatFindings } from "../compiler/code-frame.ts";
import { AnalysisError } from "../compiler/errors.ts";
import type { Analysis, Finding } from "../compiler/types.ts";

const ENTRY = "/** @function */\nexport default () => 1;\n";

function analyzeText(text: string, file = "index.ts"): Analysis {
  return analyze({ entry: file, files: { [file]: text } }, { requireAnnotation: true });
}

/** Findings of code that stands below a good entry, without the entry's two lines. */
function findingsOf(code: string, file = "index.ts"): string[] {
  return analyzeText(ENTRY + code, file).findings.map(
    (found) => `${found.rule} ${found.line - 2}:${found.column}`,
  );
}

const rulesOf = (analysis: Analysis) => analysis.findings.map(({ rule }) => rule);

describe("annotation (R4)", () => {
  const annotated = {
    "default object": "/** @function */ export default { fetch() {} };",
    "default function": "/**\n * Says hello.\n * @function\n */\nexport default function () {}",
    "default class": "/** @function */ export default class { fetch() {} }",
    "async handler": "/** @function */\nexport async function handler() {}",
    "handler constant": "/** @function */\nexport const handler = () => 1;",
    "method function": "export function GET() {}\n/** @function */\nexport function POST() {}",
    "method constant": "/** @function */\nexport const DELETE = () => 1;",
    "Deno.serve": "/** @function */\nDeno.serve(() => new Response());",
    "Deno.serve assigned": "/** @function */\nconst server = Deno.serve(() => new Response());",
    "the declaration that a default export names":
      "/** @function */\nconst app = { fetch() {} };\nconst other = 1;\nexport default app;",
    "the declaration that is exported as default":
      "/** @function */\nfunction f() {}\nexport { f as default };",
    "the export list": "function f() {}\n/** @function */\nexport { f as GET };",
    "a re-export": '/** @function */\nexport { default } from "./app.ts";',
    "after other comments": "/* a */ // b\n/** @function */ // c\nexport default 1;",
    "below a shebang": "#!/usr/bin/env deno\n/** @function */\nexport default 1;",
    "below CJK and emoji": "// 漢字\nconst a = '😀';\n/** @function */\nexport default 1;",
    "behind a byte order mark": "\ufeff/** @function */\nexport default 1;",
    "with CRLF": "const a = 1;\r\n/**\r\n * @function\r\n */\r\nexport default a;\r\n",
  };
  for (const [name, source] of Object.entries(annotated)) {
    test(`is found on ${name}`, () => assert.deepEqual(analyzeText(source).findings, []));
  }

  const missing = {
    nowhere: "export default 1;",
    "in a string": 'const a = "/** @function */"; export default 1;',
    "in a template": "const a = `/** @function */`; export default 1;",
    "under a longer name": "/** @functional */ export default 1;",
  };
  for (const [name, source] of Object.entries(missing)) {
    test(`is missing when it stands ${name}`, () =>
      assert.deepEqual(rulesOf(analyzeText(source)), ["annotation-missing"]));
  }

  const misplaced = {
    "in a plain comment on line 1": "/* @function */ export default 1;",
    "in a plain comment on line 2": "\n// /** @function */\nexport default 1;",
    "before another statement, on line 1": "/** @function */\nconst other = 1;\nexport default 2;",
    "within a statement, on line 2": "export default {\n/** @function */ fetch() {} };",
  };
  for (const [place, source] of Object.entries(misplaced)) {
    test(`is misplaced ${place}`, () => {
      const { findings } = analyzeText(source);
      assert.deepEqual(rulesOf(analyzeText(source)), ["annotation-misplaced"]);
      assert.ok(findings[0]!.message.includes(place), findings[0]!.message);
    });
  }

  test("is misplaced in the file that the entry comes from", () => {
    const files = { "index.ts": 'export { default } from "./lib/app.ts";', "lib/app.ts": ENTRY };
    const { findings } = analyze({ entry: "index.ts", files }, { requireAnnotation: true });
    assert.match(findings[0]?.message ?? "", /but in lib\/app\.ts$/);
  });

  test("is only a warning where it is not required", () => {
    const files = { "index.ts": "export default 1;" };
    const analysis = analyze({ entry: "index.ts", files }, { requireAnnotation: false });
    assert.equal(analysis.passed, true);
    assert.equal(analysis.findings[0]?.severity, "warning");
  });

  test("is asked of the entry file only", () => {
    const files = { "index.ts": ENTRY, "other.ts": "export const handler = 1;" };
    assert.deepEqual(analyze({ entry: "index.ts", files }, { requireAnnotation: true }).findings, []);
  });
});

describe("entry", () => {
  test("is missing in a file that exports nothing invocable", () => {
    assert.deepEqual(rulesOf(analyzeText("export const other = 1;")), ["entry-missing"]);
    assert.deepEqual(rulesOf(analyzeText("")), ["entry-missing"]);
    assert.deepEqual(rulesOf(analyzeText("export type handler = 1;")), ["entry-missing"]);
    assert.deepEqual(rulesOf(analyzeText("const Deno = { serve() {} }; Deno.serve();")), ["entry-missing"]);
  });

  test("may be a fetch event listener", () => {
    assert.deepEqual(analyzeText('/** @function */ addEventListener("fetch", () => {});').findings, []);
  });
});

describe("blocked access (R4, R9)", () => {
  const refused: [rule: string, code: string][] = [
    ["process-execution", 'import cp from "node:child_process"'],
    ["raw-socket", 'import { connect } from "net"'],
    ["raw-socket", 'export * from "tls"'],
    ["process-execution", 'export { spawn } from "child_process"'],
    ["raw-socket", 'import("dgram")'],
    ["process-execution", 'import("child_" + "process")'],
    ["dynamic-code", "import(`node:vm`)"],
    ["worker-thread", 'require("worker_threads")'],
    ["process-execution", 'import x = require("cluster")'],
    ["dynamic-code", 'import "inspector/promises"'],
    ["native-code", 'import { dlopen } from "bun:ffi"'],
    ["process-execution", 'import { spawn } from "bun"'],
    ["native-code", 'process.binding("fs")'],
    ["dynamic-code", 'process.getBuiltinModule("vm")'],
    ["native-code", 'import p from "node:process"; p.dlopen()'],
    ["process-execution", "new Deno.Command('ls')"],
    ["process-execution", 'Deno["run"]'],
    ["native-code", "globalThis.Deno.dlopen"],
    ["process-execution", 'globalThis["Deno"]?.["Com" + "mand"]'],
    ["process-execution", "(Deno as any)!.Command"],
    ["process-execution", "const { Command } = Deno"],
    ["process-execution", "const d = globalThis; d.Deno.run"],
    ["process-execution", "const { Deno: d } = globalThis; d.run"],
    ["process-execution", "Bun.spawn([])"],
    ["process-execution", "Bun.spawnSync([])"],
    ["process-execution", "declare const Deno: any; Deno.run()"],
    ["process-execution", 'import type { Deno } from "x"; Deno.run()'],
    [
      "raw-socket",
      'import { createRequire } from "node:module"; const need = createRequire(import.meta.url); need("net")',
    ],
  ];
  for (const [rule, code] of refused) {
    test(`refuses ${code}`, () => {
      const found = analyzeText(ENTRY + code).findings;
      assert.deepEqual(
        found.map((finding) => [finding.rule, finding.severity, finding.line]),
        [[rule, "error", 3]],
      );
      assert.notEqual(found[0]?.hint, "");
    });
  }

  const allowed = [
    'import fs from "node:fs"',
    'import type { ChildProcess } from "node:child_process"',
    'import { type ChildProcess } from "node:child_process"',
    'import { serve } from "bun"',
    'import x from "./net"; import y from "network"',
    'const a = "child_process"',
    "Deno.serve(() => 1); Deno.env.get('a')",
    "function f(Deno) { Deno.run() }",
    "{ const Deno = { Command: 1 }; Deno.Command }",
    'import { Deno } from "./shim"; Deno.run()',
    "const process = { binding() {} }; process.binding()",
    "const a = { Deno: { run: 1 } }; a.Deno.run",
    'function require(name) {} require("net")',
    "type T = typeof Deno.run",
  ];
  for (const code of allowed) test(`allows ${code}`, () => assert.deepEqual(findingsOf(code), []));
});

describe("dynamic code (R4, R9)", () => {
  const refused = [
    'eval("1")',
    '(0, eval)("1")',
    'globalThis.eval("1")',
    'window["eval"]("1")',
    "const e = eval",
    "const { eval: e } = globalThis; e('1')",
    'Function("return this")()',
    'new Function("a", "b")',
    'new globalThis.Function("a")',
    'const F = Function; new F("a")',
    'Function.apply(null, ["a"])',
    'Reflect.construct(Function, ["a"])',
    '"".constructor.constructor("a")()',
    'x["constructor"]["constr" + "uctor"]("a")',
    'Object.getPrototypeOf(async function () {}).constructor("a")',
    "const A = Object.getPrototypeOf(async () => {}).constructor",
    '(() => {}).constructor("a")',
    'Object.getPrototypeOf(f).constructor("a")',
    'setTimeout("a()", 1)',
    "globalThis.setInterval(`a()`, 1)",
    "declare function eval(a: string): any; eval('1')",
  ];
  for (const code of refused) {
    test(`refuses ${code}`, () =>
      assert.deepEqual(
        findingsOf(code).map((found) => found.split(":")[0]),
        ["dynamic-code 1"],
      ));
  }

  const allowed = [
    "function f(Function) { Function('a') }",
    "import { Function } from './schema'; Function('a')",
    "class Function {} new Function()",
    "const schema = { eval: 1 }; schema.eval",
    "x.eval('a')",
    "typeof eval",
    "x instanceof Function",
    "let f: Function",
    "setTimeout(() => {}, 1)",
    "this.constructor.name; new this.constructor()",
    "function g(setTimeout) { setTimeout('a') }",
  ];
  for (const code of allowed) test(`allows ${code}`, () => assert.deepEqual(findingsOf(code), []));
});

describe("computed imports", () => {
  test("are refused", () => {
    assert.deepEqual(findingsOf("import(name)"), ["non-literal-import 1:8"]);
    assert.deepEqual(findingsOf("import(`./$" + "{name}.ts`)"), ["non-literal-import 1:8"]);
    assert.deepEqual(findingsOf("require(a + b)"), ["non-literal-import 1:9"]);
  });

  test("are allowed with a literal name", () =>
    assert.deepEqual(findingsOf('import("./a.ts"); require("./b.cjs")'), []));
});

describe("config", () => {
  const withConfig = (config: string) => analyzeText(`${ENTRY}export const config = ${config}; fetch;`);

  test("is read from the tree, never executed", () => {
    const analysis = withConfig(`{
      timeoutMs: 250, "memoryMb": 64, concurrency: 2, fuel: 1_000_000,
      egress: ["api.example.com", "*.example.org"], database: false, warmup: "/warm",
    } as const satisfies object`);
    assert.deepEqual(analysis.findings, []);
    assert.deepEqual(analysis.config, {
      timeoutMs: 250,
      memoryMb: 64,
      concurrency: 2,
      fuel: 1_000_000,
      egress: ["api.example.com", "*.example.org"],
      database: false,
      warmup: "/warm",
    });
  });

  test("is empty when there is none", () => assert.deepEqual(analyzeText(ENTRY).config, {}));

  test("may be exported in a list", () => {
    assert.deepEqual(analyzeText(`${ENTRY}const c = { timeoutMs: 9 };\nexport { c as config };`).config, {
      timeoutMs: 9,
    });
  });

  const invalid = [
    "{ timeoutMs: -1 }",
    "{ timeoutMs: 1.5 }",
    '{ timeoutMs: "5" }',
    "{ timeoutMs: limit() }",
    "{ egress: 'api.example.com' }",
    "{ egress: ['https://api.example.com/'] }",
    "{ egress: [host] }",
    "{ database: 'admin' }",
    "{ warmup: 'warm' }",
    "{ timeoutMS: 5 }",
    "{ ['time' + x]: 5 }",
    "{ __proto__: 5 }",
    "{ ...others }",
    "{ get timeoutMs() { return 5 } }",
    "{ timeoutMs }",
    "makeConfig()",
    "[]",
  ];
  for (const config of invalid) {
    test(`refuses ${config}`, () => {
      const analysis = withConfig(config);
      assert.deepEqual(rulesOf(analysis), ["config-invalid"]);
      assert.equal(analysis.findings[0]?.line, 3);
      assert.deepEqual(analysis.config, {});
    });
  }

  for (const config of [
    "{ timeoutMs: 0 }",
    "{ timeoutMs: 5_001 }",
    "{ memoryMb: 1e9 }",
    "{ concurrency: 10_001 }",
  ]) {
    test(`refuses the limit of ${config}`, () => {
      const { findings, config: read } = withConfig(config);
      assert.deepEqual([findings.map(({ rule }) => rule), read], [["config-limit"], {}]);
      assert.match(findings[0]?.message ?? "", /(?:below|above) what the platform supports: \d+ to \d+$/);
    });
  }

  test("refuses one that can change or comes from elsewhere", () => {
    for (const code of [
      "export let config = {};",
      'export { config } from "./c.ts";',
      "export function config() {}",
    ]) {
      assert.deepEqual(rulesOf(analyzeText(ENTRY + code)), ["config-invalid"], code);
    }
  });
});

describe("positions", () => {
  const cases: [name: string, source: string, line: number, column: number][] = [
    ["plain", "eval('1')", 1, 1],
    ["behind emoji, in UTF-16 code units", "const a = '😀😀'; eval('1')", 1, 19],
    ["behind CJK", "/* 漢字 */ eval('1')", 1, 10],
    ["after lines of CJK", "// 漢字\n/* 😀 */\n\n  eval('1')", 4, 3],
    ["with CRLF", "const a = 1;\r\n// é\r\n\teval('1')", 3, 2],
    ["with CR", "const a = 1;\r eval('1')", 2, 2],
    ["behind a byte order mark", "\ufeffeval('1')", 1, 1],
    ["behind a byte order mark and CJK", "\ufeff/*字*/ eval('1')\r\n", 1, 7],
    ["below a shebang", "#!/usr/bin/env nöde\neval('1')", 2, 1],
    ["below a byte order mark, a shebang, CRLF", "\ufeff#!/bin/x 😀\r\n /* 😀 */ eval('1')", 2, 11],
    ["behind a lone surrogate", "const a = '\ud800'; eval('1')", 1, 16],
  ];
  for (const [name, source, line, column] of cases) {
    test(`are exact: ${name}`, () => {
      // Parsed twice: offsets of the parser must not depend on what it parsed before.
      for (const round of [1, 2]) {
        const files = { "entry.ts": ENTRY, "first.ts": "const other = 1;", "odd.ts": source };
        const [found] = analyze({ entry: "entry.ts", files }, { requireAnnotation: true }).findings;
        assert.deepEqual(
          [found?.file, found?.line, found?.column],
          ["odd.ts", line, column],
          `round ${round}`,
        );
        assert.ok(found?.sourceLine.slice(column - 1).startsWith("eval('1')"));
      }
    });
  }

  const broken: [name: string, source: string, line: number, column: number][] = [
    ["plain", "const x = ;", 1, 11],
    ["on a later line", "const a = 1;\n\n  b c", 3, 5],
    ["behind CJK and emoji", "/* 漢字😀 */ const x = ;", 1, 22],
    ["behind a byte order mark", "\ufeffconst x = ;", 1, 11],
    ["below a shebang", "#!/bin/x\nconst x = ;", 2, 11],
    ["with CRLF", "const a = 1;\r\nconst x = ;", 2, 11],
    ["behind tabs", "\tconst x\t= ;", 1, 12],
    ["behind characters of odd widths", "'👨‍👩‍👧🇫🇷❤️ｱé́\u200b\u3000'; const x = ;", 1, 34],
  ];
  for (const [name, source, line, column] of broken) {
    test(`of syntax errors are exact: ${name}`, () => {
      const { findings, passed } = analyzeText(source);
      assert.equal(passed, false);
      assert.deepEqual(
        findings.map((found) => [found.rule, found.line, found.column, found.message]),
        [
          [
            "syntax-error",
            line,
            column,
            name === "on a later line" ? "Expected ';', '}' or <eof>" : "Expression expected",
          ],
        ],
      );
    });
  }
});

describe("several files", () => {
  test("give all their findings at once, sorted by place", () => {
    const files = {
      "index.ts": `${ENTRY}eval("1");\nimport "net";`,
      "b/broken.ts": "const x = ;",
      "a.tsx": "const a = <p>don't</p>; new Function(a)",
      "data.json": "{ not code",
      "types.d.ts": "declare const x: typeof eval;",
      "old.cjs": 'return require("tls")',
    };
    const { findings } = analyze({ entry: "index.ts", files }, { requireAnnotation: true });
    assert.deepEqual(
      findings.map((found) => `${found.file}:${found.line} ${found.rule}`),
      [
        "a.tsx:1 dynamic-code",
        "b/broken.ts:1 syntax-error",
        "index.ts:3 dynamic-code",
        "index.ts:4 raw-socket",
        "old.cjs:1 raw-socket",
      ],
    );
  });

  test("read TypeScript, JSX and decorators by their extension", () => {
    const files = {
      "index.ts": `${ENTRY}const a = <string>b; class A { @logged() m(this: Function) {} }`,
      "view.jsx": "export const view = <main>{...[1]}</main>;",
      "generic.tsx": "export const same = <T,>(value: T) => value;",
      "enum.mts": "export enum Color { Red }",
    };
    assert.deepEqual(analyze({ entry: "index.ts", files }, { requireAnnotation: true }).findings, []);
  });
});

describe("hostile nesting", () => {
  const hostile: Record<string, (n: number) => string> = {
    "open parentheses": (n) => "(".repeat(n),
    arrays: (n) => `x = ${"[".repeat(n)}${"]".repeat(n)}`,
    blocks: (n) => "{".repeat(n) + "}".repeat(n),
    functions: (n) => "function f(){".repeat(n) + "}".repeat(n),
    sums: (n) => `x = ${"1+".repeat(n)}1`,
    negations: (n) => `x = ${"!".repeat(n)}1`,
    members: (n) => `x${".a".repeat(n)}`,
    calls: (n) => `x${"()".repeat(n)}`,
    arrows: (n) => `x = ${"a=>".repeat(n)}1`,
    conditionals: (n) => `x = ${"a?b:".repeat(n)}1`,
    ifs: (n) => `${"if(a)".repeat(n)};`,
    "ifs on lines of their own": (n) => `${"if(a)\n".repeat(n)};`,
    "else ifs": (n) => `${"if(a);else ".repeat(n)};`,
    labels: (n) => `${Array.from({ length: n }, (_, index) => `a${index}:`).join("\n")};`,
    templates: (n) => `x = ${"`$\u007b".repeat(n)}1${"}`".repeat(n)}`,
    "generic arrows": (n) => `x = ${"<a,>()=>".repeat(n)}1`,
    types: (n) => `type x = ${"keyof\n".repeat(n)}d`,
    "decoys in strings and expressions": (n) => `a = "'"; b = /[/'"\`]/; c = 1 / 2; /* ' */ ${"(".repeat(n)}`,
  };
  for (const [name, source] of Object.entries(hostile)) {
    test(`of ${name} is a finding and kills nothing`, () => {
      assert.deepEqual(rulesOf(analyzeText(source(100_000), "index.ts")), ["too-deep"]);
    });
  }

  test("of JSX elements is a finding", () => {
    assert.deepEqual(rulesOf(analyzeText(`x = ${"<a>".repeat(50_000)}`, "index.tsx")), ["too-deep"]);
    assert.deepEqual(rulesOf(analyzeText(`x = ${"<a>'`".repeat(50_000)}`, "index.jsx")), ["too-deep"]);
  });

  test("points to the place", () => {
    const [found] = analyzeText(`// 漢\nx = ${"[".repeat(1000)}`).findings;
    assert.deepEqual([found?.line, (found?.column ?? 0) > 200 && (found?.column ?? 0) < 300], [2, true]);
  });

  test("is not suspected in long but flat code", () => {
    const flat = [
      `x = [${"{ a: [1, 2], b: (c) },\n".repeat(20_000)}];`,
      "foo()\nbar.baz(1)\n".repeat(20_000),
      "if (a) { b() }\n".repeat(20_000),
      `x = "${"((((".repeat(1000)}";`,
      `class A { ${"m() { return 1 }\n".repeat(5000)} }`,
      `switch (a) { ${"case 1:\n".repeat(5000)} }`,
    ];
    for (const code of flat) assert.deepEqual(findingsOf(code), []);
    const page = `x = <main>${"<p class='a'>don't {panic} (ever</p>\n<br/>".repeat(5000)}</main>;`;
    assert.deepEqual(findingsOf(page, "index.tsx"), []);
  });

  test("of the largest accepted size is parsed and walked", () => {
    assert.deepEqual(findingsOf(`x = ${"(".repeat(250)}1${")".repeat(250)}`), []);
    assert.deepEqual(findingsOf(`x = ${"!".repeat(990)}1`), []);
  });

  test("is not reached by a source over 5 MB", () => {
    assert.deepEqual(rulesOf(analyzeText(`//${"x".repeat(5 * 1024 * 1024)}`)), ["too-large"]);
  });

  test("is not reached by a source of too many tokens", () => {
    assert.deepEqual(rulesOf(analyzeText("a;".repeat(1_000_000))), ["too-large"]);
  });

  test("keeps findings of a long line small", () => {
    const { findings } = analyzeText(ENTRY + "eval('1');".repeat(10_000));
    assert.equal(findings.length, 500);
    assert.ok(findings.every(({ sourceLine }) => sourceLine.length <= 2000));
  });
});

describe("hostile data flow", () => {
  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join("\n");
  const hostile: Record<string, string> = {
    "functions that call two others each": `const f0 = (x) => x;${lines(400, (i) => `const f${i + 1} = (x) => f${i}(x + "a") + f${i}(x + "b"); f${i + 1}("q")("z");`)}`,
    "a function with thousands of returns of itself": `function r(x) {${lines(10_000, (i) => `if (x == ${i}) return r(${i});`)}} r(1)();`,
    "variables that are each other": lines(
      3_000,
      (i) =>
        `var v${i} = v${(i + 1) % 3_000} || v${(i + 2_999) % 3_000} || v${(i * 7) % 3_000}; v${i}.foo("x");`,
    ),
    "lists within lists": `const l = [${lines(250, (i) => `"${i}",`)}]; l.map(a => l.map(b => l.map(c => l.map(d => a + b + c + d).join()).join()).join()).join()();`,
    "prototypes in a circle": "const o = { __proto__: p }; const p = { __proto__: o }; o.x.y.z();",
    "a proxy of itself": 'const q = new Proxy({}, { get: (_, k) => q[k + "a"] }); q.foo();',
    "a generator of itself": "function* g() { yield g(); } const [x] = [...g()]; x();",
    "spreads of spreads": `const a0 = { ...globalThis };${lines(1_000, (i) => `const a${i + 1} = { ...a${i}, x: a${i}, ...a${Math.max(0, i - 1)} }; a${i + 1}.foo;`)}`,
    "beginnings of secrets": `x = "${"postgres://a:".repeat(40_000)}"; y = "${"github_pat_".repeat(40_000)}"; z = "${"-----BEGIN ".repeat(40_000)}";`,
    "growing strings": `let s = "";${lines(5_000, (i) => `s += s + "${i}";`)} globalThis[s]();`,
  };
  for (const [name, code] of Object.entries(hostile)) {
    test(`of ${name} takes bounded time`, () => {
      const started = process.cpuUsage();
      assert.deepEqual(findingsOf(code), []);
      const { user } = process.cpuUsage(started);
      assert.ok(user < 30e6, `${user / 1e6} s`);
    });
  }
});

describe("bundles", () => {
  const map = (sources: string[], sourcesContent: string[]) =>
    JSON.stringify({ version: 3, sources, sourcesContent, names: [], mappings: "AAAA;ACAA;AAAA;ACAA" });
  const sources = { entry: "index.ts", files: { "index.ts": `${ENTRY}` } };

  test("lead findings to the sources; those of packages are warnings", () => {
    const code = 'eval("own");\neval("package");\n\neval("unsent");\n';
    const contents = ['eval("own");', 'eval("package");', "eval('unsent');"];
    const findings = analyzeBundle(
      { code, map: map(["index.ts", "node_modules/p/a.js", "b.ts"], contents) },
      sources,
    );
    assert.deepEqual(
      findings.map(
        (found) =>
          `${found.severity} ${found.file}:${found.line}:${found.column} ${found.rule} ${found.package}`,
      ),
      [
        "error b.ts:1:1 dynamic-code undefined",
        "error index.ts:1:1 dynamic-code undefined",
        "warning node_modules/p/a.js:1:1 dynamic-code p",
      ],
    );
    assert.equal(findings[2]?.sourceLine, 'eval("package");');
  });

  test("do not repeat what the sources' analysis says", () => {
    const own = { entry: "index.ts", files: { "index.ts": `eval("own");\n${ENTRY}` } };
    const known = analyze(own, { requireAnnotation: true }).findings;
    assert.deepEqual(analyzeBundle({ code: 'eval("own");', map: map(["index.ts"], []) }, own, known), []);
  });

  test("keep findings as errors when the map is broken or leads nowhere", () => {
    for (const broken of ["", "{}", "null", '{"version":3,"sources":[7],"mappings":"AAAA"}', map([], [])]) {
      const [found] = analyzeBundle({ code: 'eval("1")', map: broken }, sources);
      assert.equal(found?.severity, "error", broken);
      assert.equal(found?.line, 1);
    }
  });

  test("that do not parse are a finding", () => {
    assert.equal(analyzeBundle({ code: "const x = ;", map: "" }, sources)[0]?.rule, "syntax-error");
    assert.equal(analyzeBundle({ code: "(".repeat(100_000), map: "" }, sources)[0]?.rule, "too-deep");
  });
});

describe("code frames", () => {
  const finding: Finding = {
    rule: "dynamic-code",
    severity: "error",
    message: "eval runs code from a string",
    hint: "Write the code as a function.",
    file: "src/index.ts",
    line: 12,
    column: 4,
    sourceLine: '\t字 eval("1")',
  };

  test("show rule, place, line, caret and hint", () => {
    assert.equal(
      formatFindings([finding]),
      [
        "error[dynamic-code]: eval runs code from a string",
        "  --> src/index.ts:12:4",
        "   |",
        '12 | \t字 eval("1")',
        "   | \t   ^",
        "   = hint: Write the code as a function.",
        "",
      ].join("\n"),
    );
  });

  test("of packages are told together, after the function's own", () => {
    const inPackage: Finding = {
      ...finding,
      severity: "warning",
      package: "@scope/name",
      file: "node_modules/@scope/name/a.js",
    };
    const text = formatFindings([inPackage, { ...inPackage, line: 99 }, finding]);
    assert.ok(text.startsWith("error["));
    assert.ok(
      text.endsWith(
        [
          "warning[dynamic-code] in package @scope/name: eval runs code from a string",
          " --> node_modules/@scope/name/a.js:12:4, and 1 more",
          "  = hint: Write the code as a function.",
          "",
        ].join("\n"),
      ),
      text,
    );
  });

  test("are coloured on demand, put errors first and let no escape sequence through", () => {
    const warning: Finding = {
      ...finding,
      severity: "warning",
      file: "\u001b[2Jevil",
      sourceLine: "\u001b]0;x\u0007",
    };
    const text = formatFindings([warning, finding], { color: true });
    assert.ok(text.indexOf("error[") < text.indexOf("warning["));
    assert.ok(text.includes("\u001b[31m"));
    assert.ok(!formatFindings([warning]).includes("\u001b"));
  });

  test("cut long lines around the finding", () => {
    const line = `${"a".repeat(500)}eval(1)${"b".repeat(500)}`;
    const text = formatFindings([{ ...finding, column: 501, sourceLine: line }]);
    const [shown, caret] = text.split("\n").slice(3, 5) as [string, string];
    assert.ok(shown.length < 140);
    assert.equal(shown.slice(caret.indexOf("^")).slice(0, 7), "eval(1)");
  });
});

test("an analysis error counts its errors", () => {
  const error = new AnalysisError(analyzeText("const x = ;"));
  assert.equal(error.code, "analysis_failed");
  assert.equal(error.message, "the analysis found 1 error");
});

describe("what the source allows", () => {
  const SPIN = "const spin = () => { while (true) {} };";
  const allowedOf = (code: string) =>
    analyzeText(ENTRY + code).findings.map(({ rule, severity, reason }) => [rule, severity, reason]);

  test("passes, and stays in the report with its reason", () => {
    const secret =
      'const apiSecret = "q8Zt4WmX1rYv7LkP0sHd3NfBc6Ug"; // thimble-allow hard-coded-secret: of the sandbox account';
    const analysis = analyzeText(ENTRY + secret);
    assert.equal(analysis.passed, true);
    const [finding] = analysis.findings;
    assert.deepEqual(
      [finding?.rule, finding?.severity, finding?.reason, analysis.findings.length],
      ["hard-coded-secret", "allowed", "of the sandbox account", 1],
    );
    assert.match(
      formatFindings(analysis.findings),
      /^allowed\[hard-coded-secret\].*\n.*\n.*\n.*\n.*\n.*= reason: of the sandbox account\n$/,
    );
    assert.ok(!JSON.stringify(analysis).includes("q8Zt4WmX1rYv7LkP0sHd3NfBc6Ug"));
  });

  for (const [where, code] of Object.entries({
    "behind the code": `${SPIN} // thimble-allow unbounded-loop: measured`,
    "above it": `// thimble-allow unbounded-loop: measured\n${SPIN}`,
    "in a block comment": `/* thimble-allow unbounded-loop: measured */\n${SPIN}`,
    "above another": `// thimble-allow unbounded-loop: measured\n// thimble-allow fetch-timeout: short\nconst f = () => { while (true) fetch("https://a.example"); };`,
    "at lines that end with CRLF": `// thimble-allow unbounded-loop: measured\r\n${SPIN}\r\n`,
  })) {
    test(`is said ${where}`, () => {
      const found = allowedOf(code);
      assert.ok(
        found.some(
          ([rule, severity, reason]) =>
            rule === "unbounded-loop" && severity === "allowed" && reason === "measured",
        ),
      );
      assert.ok(
        found.every(([, severity]) => severity === "allowed"),
        JSON.stringify(found),
      );
    });
  }

  for (const [why, comment, message] of [
    ["without a reason", "thimble-allow unbounded-loop", /gives no reason/],
    ["with an empty reason", "thimble-allow unbounded-loop:  ", /gives no reason/],
    ["without a rule", "thimble-allow", /names no rule/],
    ["for a rule that there is not", "thimble-allow endless: because", /no rule "endless"/],
    ["for another rule", "thimble-allow fetch-timeout: because", /has no finding fetch-timeout/],
  ] as const) {
    test(`is not what a comment says ${why}: the finding stays, and there is one more`, () => {
      const { findings } = analyzeText(`${ENTRY}// ${comment}\n${SPIN}`);
      assert.deepEqual(
        findings.map(({ rule, severity, line }) => [rule, severity, line]),
        [
          ["allowance-unused", "warning", 3],
          ["unbounded-loop", "warning", 4],
        ],
      );
      assert.match(findings[0]!.message, message);
    });
  }

  test("is never a blocked access, the entry, or configuration", () => {
    const imported = analyzeText(
      `${ENTRY}import "node:child_process"; // thimble-allow process-execution: please`,
    );
    assert.equal(imported.passed, false);
    assert.deepEqual(rulesOf(imported), ["process-execution", "allowance-unused"]);
    for (const rule of ["annotation-missing", "config-limit", "dynamic-code", "raw-socket", "syntax-error"]) {
      const { findings } = analyzeText(`${ENTRY}// thimble-allow ${rule}: please`);
      assert.match(findings[0]!.message, new RegExp(`${rule} cannot be allowed`));
    }
  });

  test("is not what a string says, nor a comment two lines away", () => {
    assert.deepEqual(allowedOf(`const a = "// thimble-allow unbounded-loop: no";\n${SPIN}`), [
      ["unbounded-loop", "warning", undefined],
    ]);
    assert.deepEqual(
      allowedOf(`// thimble-allow unbounded-loop: no\n\n${SPIN}`).map(([rule, severity]) => [rule, severity]),
      [
        ["allowance-unused", "warning"],
        ["unbounded-loop", "warning"],
      ],
    );
  });
});

test("a source that ends too early is shown at its end", () => {
  const { findings } = analyzeText("const a = 1;\nexport default () => { return 1 \n\n");
  assert.deepEqual([findings[0]?.line, findings[0]?.column], [2, 32]);
  assert.equal(findings[0]?.sourceLine, "export default () => { return 1 ");
});
