import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeArtifact } from "../compiler/artifact.ts";
import { bundle } from "../compiler/bundle.ts";
import { CompileError } from "../compiler/errors.ts";
import { buildImage } from "../compiler/image.ts";
import { type CorpusFunction, corpusFunctions, findingsOf, placeOf } from "./support/analysis-corpus.ts";
import { engine, sandboxes } from "./support/sandbox.ts";

/** R4, R9: what people write passes; what a function may not do is found, or comes to nothing when it runs. */

const good = corpusFunctions("good");
const bad = corpusFunctions("bad");

test("the corpus is large enough to mean something", () => {
  assert.ok(good.length >= 40, `${good.length} good functions`);
  assert.ok(bad.length >= 80, `${bad.length} bad functions`);
  const disguises = (rule: string) =>
    bad.filter(({ expected }) => expected.some((place) => place.endsWith(` ${rule}`)));
  for (const rule of [
    "process-execution",
    "shell-command",
    "raw-socket",
    "native-code",
    "worker-thread",
    "dynamic-code",
    "file-access",
  ])
    assert.ok(disguises(rule).length >= 3, `${rule}: ${disguises(rule).length} disguises`);
});

describe("good functions have no findings of their own", () => {
  for (const fn of good) {
    test(fn.name, async () => {
      const findings = await findingsOf(fn);
      assert.deepEqual(findings.filter((found) => found.package === undefined).map(placeOf), []);
      assert.deepEqual(findings.filter(({ severity }) => severity === "error").map(placeOf), []);
    });
  }
});

describe("bad functions have the findings that they say", () => {
  for (const fn of bad) {
    test(fn.name, async () => {
      assert.ok(fn.expected.length > 0 || fn.runtime, "says what is to be found");
      const own = (await findingsOf(fn)).filter((found) => found.package === undefined);
      const places = new Set(own.map(placeOf));
      assert.deepEqual([...places].sort(), fn.expected);
    });
  }
});

/** What a function would answer with if it had got what it wants. */
const LOOT = /escaped|uid=|root:/;

describe("bad functions get nothing in a sandbox, whatever the analysis has let pass", () => {
  const { runtime, run } = sandboxes();
  const accesses = bad.filter(({ name }) =>
    /^(?:process|shell|socket|native|worker|file|dynamic|runtime)-/.test(name),
  );
  let tried = 0;

  /** The answer of a function that no analysis has seen; empty if there is none. */
  async function answerOf(code: string, sources: CorpusFunction["sources"]): Promise<string> {
    try {
      const { image } = await buildImage(engine, code);
      const analysis = { passed: true, findings: [], config: {} };
      const about = {
        engineHash: engine.hash,
        base: engine.base,
        sources,
        bundle: { code, map: "{}" },
        analysis,
      };
      const { outcome } = await run(await runtime.load(encodeArtifact({ ...about, image })), {
        timeoutMs: 1_000,
      });
      return outcome.kind === "completed" ? await new Response(outcome.response.body as BodyInit).text() : "";
    } catch (error) {
      // Its top-level code has failed already.
      if (error instanceof CompileError) return "";
      throw error;
    }
  }

  test("a function that got something would be noticed", async () => {
    const code = 'globalThis[Symbol.for("thimble.register")]({ default: () => "esc" + "aped" });';
    assert.match(await answerOf(code, good[0]!.sources), LOOT);
  });

  for (const { name, root, sources } of accesses) {
    test(name, async (context) => {
      const bundled = await bundle(root, sources.entry).catch((error) => {
        if (!(error instanceof CompileError)) throw error;
      });
      if (!bundled) return context.skip("it imports packages that are not installed");
      assert.doesNotMatch(await answerOf(bundled.bundle.code, sources), LOOT);
      tried++;
    });
  }

  test("nearly all of them could be tried", () => {
    assert.ok(tried > accesses.length * 0.85, `${tried} of ${accesses.length}`);
  });
});
