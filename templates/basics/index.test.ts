import assert from "node:assert/strict";
import { test } from "node:test";

/** Where `thimble test` has the function running. */
const url = process.env.FUNCTION_URL ?? "";

test("greets who is named in the body", async () => {
  const response = await fetch(url, { method: "POST", body: JSON.stringify({ name: "Ada" }) });
  assert.deepEqual(await response.json(), { message: "Hello, Ada!" });
});

test("greets who is named in the query", async () => {
  assert.deepEqual(await (await fetch(`${url}?name=Bob`)).json(), { message: "Hello, Bob!" });
});

test("says what is missing", async () => {
  const response = await fetch(url);
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { error: "name is missing" });
});
