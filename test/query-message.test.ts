import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMessageError } from "../runtime/guest-message.ts";
import { encodeResult, readQueryCall } from "../runtime/query-message.ts";

const read = (text: string) => readQueryCall(Buffer.from(text));

test("a query is four lines and a statement, which may have more", () => {
  assert.deepEqual(read("\nobjects\n\n\nselect\n1"), {
    request: { text: "select\n1", params: [] },
    rows: "objects",
  });
  assert.deepEqual(read('3\narrays\n[20]\n[1,"a\\n"]\nselect $1, $2'), {
    request: { text: "select $1, $2", params: [1, "a\n"], lease: 3, textTypes: [20] },
    rows: "arrays",
  });
  assert.equal(read("\narrays\nall\n\nselect").request.textTypes, "all");
});

test("what the guest library does not send ends the sandbox", () => {
  const bad = [
    "",
    "select 1",
    "\nrows\n\n\nselect 1",
    "0\nobjects\n\n\nselect 1",
    "-1\nobjects\n\n\nselect 1",
    "x\nobjects\n\n\nselect 1",
    "4294967296\nobjects\n\n\nselect 1",
    "\nobjects\n\n{}\nselect 1",
    "\nobjects\n\n[1\nselect 1",
    "\nobjects\nnone\n\nselect 1",
    '\nobjects\n["20"]\n\nselect 1',
    `\nobjects\n\n\n${"x".repeat(1024 * 1024)}`,
  ];
  for (const message of bad) assert.throws(() => read(message), GuestMessageError, message.slice(0, 40));
});

test("names of columns, once for each row, are no more than a result may be", () => {
  const columns = Array.from({ length: 1_600 }, (_, i) => ({ name: "a".repeat(59) + i, type: 23 }));
  const result = (count: number) => ({
    columns,
    rows: Array<null[]>(count).fill(Array(1_600).fill(null)),
    count,
    command: "SELECT",
  });
  assert.throws(() => encodeResult(result(600), "objects"), { code: "db_result_too_large" });
  assert.ok(encodeResult(result(600), "arrays").length < 6_000_000);
  assert.ok(encodeResult(result(100), "objects").length > 1_000_000);
});

test("a result says which columns have values that are no plain JSON", () => {
  const column = (name: string, type = 25) => ({ name, type });
  const lines = (columns: ReturnType<typeof column>[], rows: unknown[][], shape: "arrays" | "objects") => {
    const [about, tagged, text] = encodeResult({ columns, rows, count: 2, command: "SELECT" }, shape).split(
      "\n",
    );
    assert.deepEqual(JSON.parse(about!), { columns, count: 2, command: "SELECT" });
    return [tagged, text];
  };
  const columns = [column("a"), column('q"'), column("f", 701)];
  const rows = [
    ["x\n", null, 1.5],
    [true, { $date: "2026-01-01" }, "NaN"],
  ];
  assert.deepEqual(lines(columns, rows, "objects"), [
    "[1,2]",
    '[{"a":"x\\n","q\\"":null,"f":1.5},{"a":true,"q\\"":{"$date":"2026-01-01"},"f":"NaN"}]',
  ]);
  assert.deepEqual(lines(columns, rows, "arrays"), [
    "[1,2]",
    '[["x\\n",null,1.5],[true,{"$date":"2026-01-01"},"NaN"]]',
  ]);
  assert.deepEqual(lines([column("a"), column("a")], [[{ $bigint: "1" }, "y"]], "objects"), [
    "",
    '[{"a":{"$bigint":"1"},"a":"y"}]',
  ]);
  assert.deepEqual(lines([], [[]], "objects"), ["", "[{}]"]);
});
