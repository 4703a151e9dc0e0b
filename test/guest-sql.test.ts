// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are sources of functions
import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryResponse } from "../runtime/protocol.ts";
import { Op } from "../runtime/protocol.ts";
import { Guest } from "./support/guest.ts";

const start = async (body: string) =>
  (await Guest.of(`import { sql } from "thimble:db"; export default async () => { ${body} }`)).request();
const sent = (guest: Guest) => JSON.parse(guest.last(Op.query).text);
const empty: QueryResponse = { columns: [], rows: [], count: 0, command: "SELECT" };

test("a tagged template becomes text and parameters, rows become objects", async () => {
  const guest = await start(
    "const rows = await sql`select * from t where id = ${7} and n = ${'x'}`; return [rows, rows.length, rows.count, rows.command, rows.columns[0].name]",
  );
  assert.deepEqual(sent(guest), { text: "select * from t where id = $1 and n = $2", params: [7, "x"] });
  const columns = [
    { name: "id", type: 23 },
    { name: "n", type: 25 },
  ];
  guest.complete(guest.last(Op.query), {
    columns,
    rows: [
      [7, "x"],
      [8, null],
    ],
    count: 2,
    command: "SELECT",
  });
  assert.deepEqual(guest.json(), [
    [
      { id: 7, n: "x" },
      { id: 8, n: null },
    ],
    2,
    2,
    "SELECT",
    "id",
  ]);
});

test("parameters are tagged as the host expects them", async () => {
  const guest = await start(
    "await sql`select ${new Date(0)}, ${new Uint8Array([1, 2])}, ${10n}, ${[1, [null]]}, ${{ a: 1 }}, ${sql.json([1])}, ${NaN}, ${true}`",
  );
  const params = [
    { $date: "1970-01-01T00:00:00.000Z" },
    { $bytes: "AQI=" },
    { $bigint: "10" },
    [1, [null]],
    '{"a":1}',
    "[1]",
    "NaN",
    true,
  ];
  assert.deepEqual(sent(guest).params, params);
  const bad = await start("return sql`select ${undefined}`.catch((e) => e.message)");
  assert.equal(bad.answer?.body, "A query parameter cannot be undefined; use null");
});

test("values come back with their types", async () => {
  const guest = await start(
    "const [r] = await sql`select`; return [r.d.getTime(), r.b.length, typeof r.n, r.j, r.a, r.z]",
  );
  const columns = ["d", "b", "n", "j", "a", "z"].map((name) => ({ name, type: 0 }));
  const row = [
    { $date: "1970-01-01T00:00:01.000Z" },
    { $bytes: "AQI=" },
    { $bigint: "5" },
    { $json: { k: [1] } },
    [1, [2]],
    { $json: null },
  ];
  guest.complete(guest.last(Op.query), { ...empty, columns, rows: [row] });
  assert.deepEqual(guest.json(), [1000, 2, "bigint", { k: [1] }, [1, [2]], null]);
});

test("fragments, identifiers, lists and rows are put in place with running numbers", async () => {
  const guest = await start(`const where = sql\`where a = \${1} and b in \${sql([2, 3])}\`;
    await sql\`select \${sql("s.col\\"x")} from t \${where} limit \${4}\`.catch(() => 0)`);
  assert.deepEqual(sent(guest), {
    text: 'select "s"."col""x" from t where a = $1 and b in ($2, $3) limit $4',
    params: [1, 2, 3, 4],
  });
  const insert = await start(
    "await sql`insert into t ${sql([{ a: 1, b: 2 }, { a: 3, b: 4 }], 'a', 'b')} returning *`",
  );
  assert.deepEqual(sent(insert), {
    text: 'insert into t ("a", "b") values ($1, $2), ($3, $4) returning *',
    params: [1, 2, 3, 4],
  });
  const update = await start("await sql`update t set ${sql({ a: 1, b: 2 })} where id = ${3}`");
  assert.deepEqual(sent(update), {
    text: 'update t set "a" = $1, "b" = $2 where id = $3',
    params: [1, 2, 3],
  });
});

test("sql.unsafe takes a text with its own placeholders; values() gives arrays", async () => {
  const guest = await start('return sql.unsafe("select $1::int as a", [1]).values()');
  assert.deepEqual(sent(guest), { text: "select $1::int as a", params: [1] });
  guest.complete(guest.last(Op.query), { ...empty, columns: [{ name: "a", type: 23 }], rows: [[1]] });
  assert.deepEqual(guest.json(), [[1]]);
});

test("a query runs once, when it is awaited", async () => {
  const idle = await start("sql`select 1`; return 1");
  assert.equal(
    idle.calls.some(({ op }) => op === Op.query),
    false,
  );
  const guest = await start("const q = sql`select 1`; const p = Promise.all([q, q]); await p; return 'ok'");
  assert.equal(guest.calls.filter(({ op }) => op === Op.query).length, 1);
  assert.equal(guest.complete(guest.last(Op.query), empty).answer?.body, "ok");
});

test("errors of the database keep name, message and code", async () => {
  const guest = await start(
    "try { await sql`select 1` } catch (e) { return [e instanceof Error, e.name, e.message, e.code] }",
  );
  guest.reject(guest.last(Op.query), { name: "PostgresError", message: "no such table", code: "42P01" });
  assert.deepEqual(guest.json(), [true, "PostgresError", "no such table", "42P01"]);
});

test("sql.begin says that there are no transactions", async () => {
  const guest = await start("try { await sql.begin(() => 1) } catch (e) { return e.message }");
  assert.match(guest.answer?.body ?? "", /Transactions are not supported/);
});
