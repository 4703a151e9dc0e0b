import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { inNode, inSandbox } from "./support/packages.ts";

const folder = path.join(import.meta.dirname, "fixtures", "node");
const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));

describe("Node's modules do in a sandbox what they do in Node", () => {
  for (const name of names) {
    test(path.parse(name).name, async () => {
      const file = path.join(folder, name);
      await using native = await inNode(file);
      const [here, there] = [await (await inSandbox(file))({}), await native({})];
      assert.equal(here.status, there.status);
      assert.deepEqual(JSON.parse(here.body), JSON.parse(there.body));
    });
  }
});
