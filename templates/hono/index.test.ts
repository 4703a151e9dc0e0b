import assert from "node:assert/strict";
import { test } from "node:test";

/** Where `thimble test` has the function running. */
const url = process.env.FUNCTION_URL ?? "";

test("routes", async () => {
  assert.deepEqual(await (await fetch(`${url}/hello/Ada`)).json(), { message: "Hello, Ada!" });
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
});
