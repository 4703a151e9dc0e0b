import assert from "node:assert/strict";
import { test } from "node:test";
import { Guest } from "./support/guest.ts";

async function lines(code: string): Promise<string[]> {
  const guest = await Guest.of(`export default () => { ${code} }`);
  guest.request();
  assert.equal(guest.failure, undefined);
  return guest.logs.map(({ level, message }) => `${level} ${message}`);
}

test("each method has its level", async () => {
  const calls =
    'console.log(1); console.info("a"); console.debug(true); console.warn(null); console.error(undefined)';
  assert.deepEqual(await lines(calls), ["info 1", "info a", "debug true", "warn null", "error undefined"]);
});

test("values are shown as Node shows them", async () => {
  const cases: [string, string][] = [
    [
      "{ a: 'x', 'b-c': [1, , 'y'], f() {}, [Symbol()]: 1 }",
      "{ a: 'x', 'b-c': [ 1, undefined, 'y' ], f: [Function: f] }",
    ],
    ["new Map([['k', { v: 1 }]]), new Set([1n])", "Map(1) { 'k' => { v: 1 } } Set(1) { 1n }"],
    ["{ a: { b: { c: { d: 1 } } } }", "{ a: { b: { c: [Object] } } }"],
    ["(() => { const a = { n: 1 }; a.self = a; return a })()", "{ n: 1, self: [Circular] }"],
    ["new (class Point { x = 1 })()", "Point { x: 1 }"],
    [
      "[class A {}, Symbol('s'), -0, new Date(0), /x/g]",
      "[ [class: A], Symbol(s), -0, 1970-01-01T00:00:00.000Z, /x/g ]",
    ],
    ["new Uint8Array(2), new Headers({ a: 'b' })", "Uint8Array(2) [ 0, 0 ] Headers { 'a' => 'b' }"],
    ["Object.create(null), {}, []", "[Object: null prototype] {} {} []"],
    ["{ get a() { return 1 } }", "{ a: [Getter] }"],
    ["new Response('x')", "Response { status: 200, statusText: '', url: '' }"],
    ["['it\\'s', 'a\\nb']", "[ \"it's\", 'a\\nb' ]"],
  ];
  for (const [code, expected] of cases)
    assert.deepEqual(await lines(`console.log(${code})`), [`info ${expected}`]);
  const [long] = await lines("console.log(Array.from({ length: 120 }, (_, i) => i))");
  assert.match(long!, /99,\n {2}\.\.\. 20 more\n\]$/);
});

test("errors are shown with their stack, cause and own properties", async () => {
  const [line] = await lines(
    'const e = new TypeError("bad", { cause: new Error("why") }); e.code = "E1"; console.error(e)',
  );
  assert.match(
    line!,
    /^error TypeError: bad\n\s+at .*function\.js:1[\s\S]*code: 'E1'[\s\S]*\[cause\]: Error: why/,
  );
});

test("format directives", async () => {
  const code =
    'console.log("%s is %d, %i, %f %j %o %% %c!%s", "x", "42", 4.7, "1.5", { a: 1 }, [1], "css", "end", "more")';
  assert.deepEqual(await lines(code), ['info x is 42, 4, 1.5 {"a":1} [ 1 ] % !end more']);
  assert.deepEqual(await lines('console.log("100%", "%s")'), ["info 100% %s"]);
});

test("groups indent, counters count, assertions speak when they fail", async () => {
  const code =
    'console.group("g"); console.log("in\\nside"); console.groupEnd(); console.count(); console.count(); console.assert(true); console.assert(false, "no")';
  assert.deepEqual(await lines(code), [
    "info g",
    "info   in\n  side",
    "info default: 1",
    "info default: 2",
    "error Assertion failed no",
  ]);
});

test("a line is cut at 16 KiB, and hostile values cannot break logging", async () => {
  const [long] = await lines('console.log("x".repeat(50_000))');
  assert.equal(long!.length, "info ".length + 16_384 + "… (truncated)".length);
  const hostile =
    'console.log(new Proxy({}, { ownKeys() { throw new Error("no") } }), { toString() { throw 1 } })';
  assert.equal((await lines(hostile)).length, 1);
});
