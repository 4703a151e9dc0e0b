import assert from "node:assert/strict";
import { Console } from "node:console";
import { Writable } from "node:stream";
import { test } from "node:test";
import { format } from "node:util";
import { runInThisContext } from "node:vm";
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
  const cases = [
    "{ a: 'x', 'b-c': [1, , 'y'], f() {}, [Symbol()]: 1 }",
    "new Map([['k', { v: 1 }]]), new Set([1n])",
    "{ a: { b: { c: { d: 1 } } } }",
    "(() => { const a = { n: 1 }; a.self = a; return a })()",
    "new (class Point { x = 1 })()",
    "[class A {}, Symbol('s'), -0, new Date(0), /x/g]",
    "new Uint8Array(2), new Headers({ a: 'b' })",
    "Object.create(null), {}, []",
    "{ get a() { return 1 } }",
    "['it\\'s', 'a\\nb']",
    "Array.from({ length: 120 }, (_, i) => i)",
    "'%s is %d, %i, %f %j %o %O %% %c!%s', 'x', '42', 4.7, '1.5', { a: 1 }, [1], [2], 'css', 'end', 'more'",
    "'100%', '%s'",
  ];
  for (const code of cases) {
    const expected = format(...(runInThisContext(`[${code}]`) as unknown[]));
    assert.deepEqual(await lines(`console.log(${code})`), [`info ${expected}`], code);
  }
});

test("tables are drawn as Node draws them", async () => {
  const tables = [
    "[{ a: 1, b: 'x' }, { a: { c: [1, 2, 3, 4] }, d: null }, 5]",
    "[[1, 2], [3, 4]]",
    "new Map([['k', 1], [{ a: 1 }, [2]]])",
    "new Set([1, 'two'])",
    "{ x: { a: 1, b: 2 }, y: { b: 3 } }, ['b']",
    "'text'",
    "[]",
  ];
  for (const code of tables) {
    let expected = "";
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        expected += chunk;
        done();
      },
    });
    new Console(stdout).table(...(runInThisContext(`[${code}]`) as [unknown, string[]]));
    assert.deepEqual(await lines(`console.table(${code})`), [`info ${expected.trimEnd()}`], code);
  }
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

test("groups indent, counters count, assertions speak when they fail", async () => {
  const code =
    'console.group("g"); console.log("in\\nside"); console.groupEnd(); console.count(); console.count(); console.assert(true); console.assert(false, "no")';
  assert.deepEqual(await lines(code), [
    "info g",
    "info   in\n  side",
    "info default: 1",
    "info default: 2",
    "error Assertion failed: no",
  ]);
});

test("a line is cut at 16 KiB, and hostile values cannot break logging", async () => {
  const [long] = await lines('console.log("x".repeat(50_000))');
  assert.equal(long!.length, "info ".length + 16_384 + "… (truncated)".length);
  const hostile =
    'console.log(new Proxy({}, { ownKeys() { throw new Error("no") } }), { toString() { throw 1 } })';
  assert.equal((await lines(hostile)).length, 1);
});
