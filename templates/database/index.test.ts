import assert from "node:assert/strict";
import { test } from "node:test";

/** Where `thimble test` has the function running, on a database of its own. */
const url = process.env.FUNCTION_URL ?? "";
const post = (body: unknown) => fetch(url, { method: "POST", body: JSON.stringify(body) });

test("keeps a note and finds it again", async () => {
  const text = `it's "quoted" ${Date.now()}`;
  const response = await post({ text });
  assert.equal(response.status, 201);
  const { note } = (await response.json()) as { note: { id: number; text: string } };
  assert.equal(note.text, text);
  const { notes } = (await (await fetch(url)).json()) as { notes: unknown[] };
  assert.deepEqual(notes[0], note);
});

test("refuses a note without text", async () => {
  assert.equal((await post({})).status, 400);
});
