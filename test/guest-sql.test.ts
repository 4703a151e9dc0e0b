// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are sources of functions
import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryResponse } from "../runtime/protocol.ts";
import { Op } from "../runtime/protocol.ts";
import { Guest, queryOf } from "./support/guest.ts";

const start = async (body: string) =>
  (await Guest.of(`import { sql } from "thimble:db"; export default async () => { ${body} }`)).request();
const sent = (guest: Guest) => queryOf(guest.last(Op.query)).request;
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

/** Answers every query with what `answer` says of its text; gives the texts, with the lease in front. */
function play(guest: Guest, answer: (text: string) => Partial<QueryResponse> | Error = () => ({})): string[] {
  const texts: string[] = [];
  for (let i = 0; i < guest.calls.length; i++) {
    const call = guest.calls[i]!;
    if (call.op === Op.release) texts.push(`${call.text}: released`);
    if (call.op !== Op.query) continue;
    const { text, lease } = queryOf(call).request;
    texts.push(`${lease ?? "-"}: ${text}`);
    const reply = answer(text);
    if (reply instanceof Error)
      guest.reject(call, { name: "PostgresError", message: reply.message, code: "23505" });
    else guest.complete(call, { ...empty, ...reply });
  }
  return texts;
}

test("a transaction has a connection of its own, commits, and gives it back", async () => {
  const guest = await start(`return sql.begin("isolation level serializable, read only;--", async (tx) => {
    await tx\`one\`;
    await tx.unsafe("two", [2]);
    await sql\`outside\`;
    return "done";
  })`);
  assert.deepEqual(play(guest), [
    "1: begin isolation level serializable, read only",
    "1: one",
    "1: two",
    "-: outside",
    "1: commit",
    "1: released",
  ]);
  assert.equal(guest.answer?.body, "done");
});

test("a transaction rolls back when its work throws, or one of its queries failed although that was caught", async () => {
  const thrown = await start(
    `return sql.begin(async (tx) => { await tx\`one\`; throw new Error("no") }).catch((e) => e.message)`,
  );
  assert.deepEqual(play(thrown), ["1: begin ", "1: one", "1: rollback", "1: released"]);
  assert.equal(thrown.answer?.body, "no");
  const caught = await start(
    `return sql.begin(async (tx) => { await tx\`bad\`.catch(() => {}); return "kept" }).catch((e) => [e.code, e instanceof sql.PostgresError, e.query])`,
  );
  const texts = play(caught, (text) => (text === "bad" ? new Error("duplicate") : {}));
  assert.deepEqual(texts, ["1: begin ", "1: bad", "1: rollback", "1: released"]);
  assert.deepEqual(caught.json(), ["23505", true, "bad"]);
});

test("savepoints undo a part, and queries of an array are awaited", async () => {
  const guest = await start(`return sql.begin(async (tx) => {
    await tx.savepoint("x", async (sp) => { await sp\`bad\` }).catch(() => {});
    await tx.savepoint((sp) => [sp\`three\`, sp\`four\`]);
    return "kept";
  })`);
  const texts = play(guest, (text) => (text === "bad" ? new Error("duplicate") : {}));
  assert.deepEqual(texts, [
    "1: begin ",
    '1: savepoint "s0_x"',
    "1: bad",
    '1: rollback to "s0_x"',
    '1: savepoint "s1"',
    "1: three",
    "1: four",
    "1: commit",
    "1: released",
  ]);
  assert.equal(guest.answer?.body, "kept");
});

test("after its end a transaction's sql refuses queries", async () => {
  const guest = await start(`let kept;
    await sql.begin(async (tx) => { kept = tx });
    return kept\`late\`.catch((e) => e.code)`);
  assert.deepEqual(play(guest), ["1: begin ", "1: commit", "1: released"]);
  assert.equal(guest.answer?.body, "db_lease_ended");
});

test("a reserved connection is one's own until it is released", async () => {
  const guest = await start(
    "const own = await sql.reserve(); await own`one`; await own`two`; own.release(); return 1",
  );
  assert.deepEqual(play(guest), ["1: one", "1: two", "1: released"]);
});

test("a cursor reads in pieces on a connection of its own", async () => {
  const source = `const seen = [];
    for await (const rows of sql\`select \${7}::int as n\`.cursor(2)) seen.push(rows.length);
    await sql\`select 1\`.cursor((rows) => { seen.push("one"); return sql.CLOSE });
    return seen`;
  const guest = await start(source);
  let fetched = 0;
  const columns = [{ name: "n", type: 23 }];
  const texts = play(guest, (text) =>
    text.startsWith("fetch 2") ? { columns, rows: fetched++ ? [[1]] : [[1], [2]] } : { columns, rows: [[1]] },
  );
  assert.deepEqual(texts, [
    '1: declare "thimble cursor 1" no scroll cursor with hold for select $1::int as n',
    '1: fetch 2 from "thimble cursor 1"',
    '1: fetch 2 from "thimble cursor 1"',
    "1: released",
    '2: declare "thimble cursor 2" no scroll cursor with hold for select 1',
    '2: fetch 1 from "thimble cursor 2"',
    "2: released",
  ]);
  assert.deepEqual(guest.json(), [2, 1, "one"]);
});

test("a query is cancelled", async () => {
  const guest = await start(
    "const q = sql`select 1`.execute(); await 0; await 0; q.cancel(); return q.catch((e) => e.code)",
  );
  assert.equal(guest.answer?.body, "57014");
  assert.equal(guest.last(Op.cancel).text, `${guest.last(Op.query).id}`);
});

test("helpers write what the keyword before them wants", async () => {
  const written: [template: string, text: string, params: unknown[]][] = [
    ["select ${sql(['a', 'b.c'])} from ${sql('t')}", 'select "a", "b"."c" from "t"', []],
    ["select ${sql('a', 'b')}", 'select "a", "b"', []],
    ["select ${sql({ n: 1 })}", 'select $1 as "n"', [1]],
    ["insert into t ${sql({ a: 1, b: sql`now()` })}", 'insert into t ("a", "b") values ($1, now())', [1]],
    [
      "insert into t (a, b) values ${sql([[1, 2], [3, 4]])}",
      "insert into t (a, b) values ($1, $2), ($3, $4)",
      [1, 2, 3, 4],
    ],
    ["insert into t (a) values ${sql([{ a: 1, b: 2 }], 'a')}", "insert into t (a) values ($1)", [1]],
    ["update t set ${sql({ a: 1, b: 2 }, 'b')}", 'update t set "b" = $1', [2]],
    [
      "insert into t ${sql({ a: 1 })} on conflict do update set ${sql({ a: 2 })}",
      'insert into t ("a") values ($1) on conflict do update set "a" = $2',
      [1, 2],
    ],
    ["select * from t where a in ${sql([])}", "select * from t where a in (null)", []],
    ["select ${[sql`a,`, sql`b`]}", "select a, b", []],
    ["select 1 returning ${sql(['a'])}", 'select 1 returning "a"', []],
  ];
  for (const [template, text, params] of written) {
    const guest = await start(`await sql\`${template}\`.catch(() => 0)`);
    assert.deepEqual(sent(guest), { text, params }, template);
  }
});

test("what a pooled connection cannot do says why", async () => {
  const guest = await start(`const said = [];
    const tries = [() => sql.listen("x"), () => sql.notify("x", "y"), () => sql.subscribe("*"), () => sql.largeObject(), () => sql.file("x"),
      () => sql\`\`.describe(), () => sql\`\`.readable(), () => sql\`\`.writable()];
    for (const attempt of tries) try { attempt() } catch (e) { said.push([e.code, e.message.length > 40]) }
    return said`);
  assert.deepEqual(guest.json(), Array(8).fill(["db_unsupported", true]));
});

const startPostgres = async (body: string, options = "") =>
  (
    await Guest.of(
      `import postgres from "postgres"; const sql = postgres("postgres://nowhere", ${options || "{}"}); export default async () => { ${body} }`,
    )
  ).request();
const types = [
  { name: "big_int", type: 20 },
  { name: "at_time", type: 1114 },
  { name: "json_doc", type: 3802 },
];

test("the package's interface converts as the package does", async () => {
  const guest = await startPostgres(
    "const [r] = await sql`select`; return [r.big_int, r.at_time.toISOString(), r.json_doc]",
  );
  assert.deepEqual(sent(guest), { text: "select", params: [], textTypes: [20, 1114] });
  const rows = [["9007199254740993", "2024-02-29 12:34:56.5", { $json: { a_b: 1 } }]];
  guest.complete(guest.last(Op.query), { ...empty, columns: types, rows });
  assert.deepEqual(guest.json(), ["9007199254740993", "2024-02-29T12:34:56.500Z", { a_b: 1 }]);
});

test("types and transforms of the package's options are used", async () => {
  const guest = await startPostgres(
    "const [r] = await sql`insert into t ${sql({ someName: sql.types.point([1, 2]), other: undefined })}`; return [Object.keys(r), typeof r.bigInt, r.jsonDoc]",
    "{ types: { bigint: postgres.BigInt, point: { to: 600, from: [600], serialize: ([x, y]) => `(${x},${y})`, parse: (t) => t } }, transform: { ...postgres.camel, undefined: null } }",
  );
  const { text, params } = sent(guest);
  assert.equal(text, 'insert into t ("some_name", "other") values ($1, $2)');
  assert.deepEqual(params, ["(1,2)", null]);
  const rows = [["7", null, { $json: { a_b: [{ c_d: 1 }] } }]];
  guest.complete(guest.last(Op.query), { ...empty, columns: types, rows });
  assert.deepEqual(guest.json(), [["bigInt", "atTime", "jsonDoc"], "bigint", { aB: [{ cD: 1 }] }]);
});

test("floats are numbers, and raw values are bytes", async () => {
  const guest = await start("const [r] = await sql`select`; return [Number.isNaN(r.f), 1 / r.g]");
  const columns = ["f", "g"].map((name) => ({ name, type: 701 }));
  guest.complete(guest.last(Op.query), { ...empty, columns, rows: [["NaN", "Infinity"]] });
  assert.deepEqual(guest.json(), [true, 0]);
  const raw = await start(
    "const [[v, n]] = await sql`select`.raw(); return [v instanceof Uint8Array, [...v], n]",
  );
  assert.equal(sent(raw).textTypes, "all");
  raw.complete(raw.last(Op.query), { ...empty, columns, rows: [["1", null]] });
  assert.deepEqual(raw.json(), [true, [49], null]);
});

test("forEach gives row after row", async () => {
  const guest = await start(
    "const seen = []; const rows = await sql`select`.forEach((r) => seen.push(r.a)); return [seen, rows.length, rows.count]",
  );
  const columns = [{ name: "a", type: 23 }];
  guest.complete(guest.last(Op.query), { ...empty, columns, rows: [[1], [2]], count: 2 });
  assert.deepEqual(guest.json(), [[1, 2], 0, 2]);
});
