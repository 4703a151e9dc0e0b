import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Examiner } from "./fuzz/examiner.ts";
import { Statistics } from "./fuzz/statistics.ts";

const seeds = 40;

describe("generated modules do metered what they do unmetered, and pay for all of it", () => {
  const examiner = new Examiner();
  after(() => examiner.close());

  test(`seeds 1 to ${seeds}`, async (t) => {
    const statistics = new Statistics();
    for (let seed = 1; seed <= seeds; seed++) {
      const finding = await examiner.examine(seed);
      statistics.add(finding);
      assert.equal(finding.error, undefined, `seed ${seed}`);
      assert.deepEqual(finding.comparison?.differences ?? [], [], `seed ${seed}`);
    }
    t.diagnostic(String(statistics));
    assert.ok(statistics.compared > seeds * 0.9, String(statistics));
    assert.ok(statistics.calls > seeds * 5, String(statistics));
  });
});
