import assert from "node:assert/strict";
import { SourceMap } from "node:module";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../compiler/bundle.ts";
import { originalPlaces } from "../compiler/source-places.ts";

describe("places in the sources", () => {
  test("are those that Node's reader of source maps finds, for a bundle with packages", async () => {
    const folder = fileURLToPath(new URL("../examples/hono-app", import.meta.url));
    const made = (await bundle(folder, "src/index.tsx", {})).bundle;
    const payload = JSON.parse(made.map);
    const map = new SourceMap(payload);
    const wanted = made.code
      .split("\n")
      .flatMap((text, line) => [0, 3, 17, text.length].map((column) => ({ line, column })));
    const places = originalPlaces(payload.mappings, wanted);
    assert.ok(wanted.length > 1_000);
    for (const [index, { line, column }] of wanted.entries()) {
      const theirs = map.findEntry(line, column);
      const place = places[index];
      const expected =
        "originalSource" in theirs && theirs.originalSource
          ? [theirs.originalSource, theirs.originalLine, theirs.originalColumn]
          : undefined;
      const ours = place && [payload.sources[place.source], place.line, place.column];
      assert.deepEqual(ours, expected, `${line}:${column}`);
    }
  });

  test("are none where the map is broken, and stay so beyond that", () => {
    const wanted = [
      { line: 0, column: 5 },
      { line: 1, column: 0 },
    ];
    for (const mappings of [
      "",
      "!",
      "A",
      "AA",
      "AAA",
      "gggggggggggg",
      "AAAA AAAA",
      "\u{1f600}",
      ";".repeat(3),
    ])
      assert.deepEqual(originalPlaces(mappings, wanted), [undefined, undefined], mappings);
    assert.deepEqual(originalPlaces("AAAA;!", wanted), [
      { source: 0, line: 0, column: 0 },
      { source: 0, line: 0, column: 0 },
    ]);
  });
});
