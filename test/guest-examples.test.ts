import assert from "node:assert/strict";
import { test } from "node:test";
import { Op, type QueryResponse } from "../runtime/protocol.ts";
import { bundleExample, Guest } from "./support/guest.ts";

const post = (value: unknown) => ({ body: JSON.stringify(value) });

test("simple-function answers as its README says", async () => {
  const guest = await Guest.of(await bundleExample("simple-function"));
  const ask = (value: unknown, path = "/") => guest.request({ ...post(value), path }).answer?.body;
  const list = '{"action":"list","actions":["list","greet","echo","sum"],"query":{"a":"b"}}';
  assert.equal(ask({ action: "list" }, "/?a=b"), list);
  assert.equal(
    ask({ action: "greet", name: "Ada" }),
    '{"action":"greet","message":"Hello, Ada!","query":{}}',
  );
  assert.equal(ask({ action: "sum", numbers: [1, 2, 3] }), '{"action":"sum","sum":6,"query":{}}');
  assert.equal(
    ask({ action: "fly" }),
    '{"error":"unknown action \\"fly\\"; there are: list, greet, echo, sum"}',
  );
  assert.equal(guest.answer?.head.status, 400);
  guest.request({ path: "/?action=greet&name=Ada" });
  assert.equal((guest.json() as { message: string }).message, "Hello, Ada!");
});

test("http-function maps every failure to JSON", async () => {
  const guest = await Guest.of(await bundleExample("http-function"));
  const head = {
    status: 200,
    statusText: "OK",
    headers: [] as [string, string][],
    url: "",
    redirected: false,
  };
  const fetching = () => guest.request({ path: "/?base=http://api.test" }).last(Op.fetch);
  const url = "http://api.test/todos/1";
  guest.complete(fetching(), head, '{"id":1}');
  assert.deepEqual([guest.answer?.head.status, guest.json()], [200, { ok: true, url, data: { id: 1 } }]);
  guest.complete(fetching(), { ...head, status: 404 });
  assert.deepEqual(guest.json(), { ok: false, url, error: "the API answered 404" });
  guest.complete(fetching(), head, "<html>");
  assert.deepEqual(guest.json(), { ok: false, url, error: "the API's answer is not JSON" });
  guest.reject(fetching(), { name: "Error", message: "no", code: "egress_denied" });
  assert.deepEqual(
    [guest.answer?.head.status, guest.json()],
    [502, { ok: false, url, error: "fetch failed: no (egress_denied)" }],
  );
  fetching();
  guest.complete(guest.last(Op.timer));
  assert.deepEqual(
    [guest.answer?.head.status, guest.json()],
    [504, { ok: false, url, error: "the API did not answer within 2000 ms" }],
  );
  guest.request({ path: "/?base=nonsense" });
  assert.equal(guest.answer?.head.status, 400);
});

test("database-function inserts, lists, and answers a time-out", async () => {
  const guest = await Guest.of(await bundleExample("database-function"));
  const result = (rows: unknown[][] = [], count = rows.length): QueryResponse => ({
    columns: ["id", "title", "done"].map((name) => ({ name, type: 0 })),
    rows,
    count,
    command: "",
  });
  const ask = (value: unknown) => {
    guest.request(post(value));
    assert.match(guest.last(Op.query).text, /create table if not exists/);
    return guest.complete(guest.last(Op.query), result()).last(Op.query);
  };
  const insert = ask({ action: "add", title: "t" });
  assert.match(insert.text, /insert into example_tasks \("title"\) values \(\$1\) returning/);
  guest.complete(insert, result([[1, "t", false]]));
  assert.deepEqual(guest.json(), { added: { id: 1, title: "t", done: false } });
  guest.complete(ask({ action: "list" }), result([[1, "t", false]]));
  assert.deepEqual(guest.json(), { tasks: [{ id: 1, title: "t", done: false }] });
  guest.complete(ask({ action: "done", id: 9 }), result());
  assert.deepEqual([guest.answer?.head.status, guest.json()], [400, { error: "there is no task 9" }]);
  guest.complete(ask({ action: "clear" }), result([], 4));
  assert.deepEqual(guest.json(), { deleted: 4 });
  guest.reject(ask({ action: "slow" }), {
    name: "Error",
    message: "query timed out after 1000 ms",
    code: "db_query_timeout",
  });
  assert.deepEqual(
    [guest.answer?.head.status, guest.json()],
    [504, { error: "the query took too long", code: "db_query_timeout" }],
  );
});
