import assert from "node:assert/strict";
import { test } from "node:test";

/** Where `thimble test` has the function running. */
const url = process.env.FUNCTION_URL ?? "";

test("says what there is", async () => {
  const response = await fetch(`${url}/nothing`);
  assert.equal(response.status, 404);
  assert.deepEqual(await response.json(), { error: "try /todos/1" });
});

test("answers in time, with the API or without", async () => {
  const response = await fetch(`${url}/todos/1`);
  const body = (await response.json()) as Record<string, unknown>;
  if (response.status === 200) assert.ok("todo" in body);
  else assert.deepEqual([response.status, Object.keys(body)], [502, ["error"]]);
});
