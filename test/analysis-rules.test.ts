import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { analyze } from "../compiler/analyze/index.ts";
import type { RuleDescription } from "../compiler/analyze/rule.ts";
import { RULES, type RuleId } from "../compiler/analyze/rules.ts";
import { analysisDocument, documentedRules } from "./support/analysis-document.ts";

const ids = Object.keys(RULES) as RuleId[];

describe("the documented rules", () => {
  test("are all rules, each once", () => {
    assert.deepEqual([...documentedRules].sort(), [...ids].sort());
  });

  test("are told in docs/ANALYSIS.md as they are", () => {
    const written = readFileSync(new URL("../docs/ANALYSIS.md", import.meta.url), "utf8");
    assert.equal(written, analysisDocument(), "node test/support/analysis-document.ts > docs/ANALYSIS.md");
  });
});

describe("the example of each rule", () => {
  const rulesIn = (code: string) => {
    const isEntry = /@function|export default|export const (?:greet|handler)/.test(code);
    const text = isEntry ? code : `${code}\n/** @function */\nexport default () => 1;\n`;
    const sources = { entry: "index.ts", files: { "index.ts": text } };
    const { findings } = analyze(sources, { requireAnnotation: true });
    return findings.filter(({ severity }) => severity !== "allowed").map(({ rule }) => rule);
  };
  for (const id of ids) {
    const { example, explanation, hint }: RuleDescription = RULES[id];
    test(id, () => {
      assert.match(explanation, /\.$/);
      assert.match(hint, /\.$/);
      if (!example) return;
      assert.deepEqual(rulesIn(example.bad), [id]);
      assert.deepEqual(rulesIn(example.good), []);
    });
  }
});
