import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeArtifact } from "../compiler/artifact.ts";
import { CompileError } from "../compiler/errors.ts";
import { buildImage } from "../compiler/image.ts";
import { engine, json, sandboxes, text } from "./support/sandbox.ts";

/** R9: dynamic code is blocked by there being no way to do it, whatever the analysis has let pass. */
const { runtime, run } = sandboxes();

/** A function that no analysis has seen. */
async function unanalysed(code: string) {
  const { image } = await buildImage(
    engine,
    `globalThis[Symbol.for("thimble.register")]({ default: ${code} });`,
  );
  return runtime.load(
    encodeArtifact({
      engineHash: engine.hash,
      base: engine.base,
      image,
      sources: { entry: "index.js", files: { "index.js": code } },
      bundle: { code, map: "{}" },
      analysis: { passed: true, findings: [], config: {} },
    }),
  );
}

describe("no code can be made at run time", () => {
  const attempts: Record<string, string> = {
    eval: "eval('1')",
    "indirect eval": "(0, eval)('1')",
    "eval by a computed name": "globalThis[['ev', 'al'].join('')]('1')",
    Function: "new Function('return 1')()",
    "a function's constructor": "(() => {}).constructor('return 1')()",
    "an async function's constructor": "(async () => {}).constructor('return 1')()",
    "a generator's constructor": "(function* () {}).constructor('yield 1')()",
    "Reflect.construct": "Reflect.construct(Function, ['return 1'])()",
    "a constructor through a bound function": "Function.bind(null, 'return 1')()()",
  };
  for (const [name, expression] of Object.entries(attempts)) {
    test(name, async () => {
      const program = await unanalysed(
        `() => { try { return { made: String(${expression}) } } catch (e) { return { name: e.name, message: e.message } } }`,
      );
      const answer = json(await run(program));
      assert.deepEqual(answer, { name: "TypeError", message: "eval is not supported" });
    });
    test(`${name}, which top-level code can use, and what that made`, async () => {
      const program = await unanalysed(
        `(() => { const attempt = () => String(${expression}); const built = attempt(); const made = new Function("f", "return f()");
          return () => { try { return made(attempt) } catch (e) { return built + " " + e.name } } })()`,
      );
      assert.match(text(await run(program)), /^(?!undefined).* TypeError$/);
    });
  }

  test("import() of anything", async () => {
    const program = await unanalysed("() => import('data:text/javascript,1').catch((e) => e.name)");
    assert.match(text(await run(program)), /Error$/);
  });
});

test("a bundle that can't be parsed is a compile error with its message", async () => {
  await assert.rejects(buildImage(engine, "export default ("), (error) => {
    return error instanceof CompileError && /can't be parsed: SyntaxError/.test(error.message);
  });
});
