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
    "an async generator's constructor": "(async function* () {}).constructor('yield 1')()",
    "the constructor of a class": "(class {}).constructor('return 1')()",
    "a getter's constructor":
      "Object.getOwnPropertyDescriptor({ get a() { return 1 } }, 'a').get.constructor('return 1')()",
    "a native function's constructor": "Math.max.constructor('return 1')()",
    "Reflect.apply of a constructor": "Reflect.apply((() => {}).constructor, null, ['return 1'])()",
    "Reflect.construct with another target": "Reflect.construct(Function, ['return 1'], class {})()",
    "a class that extends Function":
      "new (class extends Function { constructor() { super('return 1') } })()()",
    "a class that extends an async function's constructor":
      "new (class extends (async () => {}).constructor { constructor() { super('return 1') } })()()",
    "eval through Array.from": "Array.from(['1'], eval)",
    "Function from a frame of the stack": `(() => {
      let made; const before = Error.prepareStackTrace;
      Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFunction?.()).find((f) => typeof f === 'function');
      try { made = new Error().stack } finally { Error.prepareStackTrace = before }
      return made.constructor('return 1')();
    })()`,
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

  for (const specifier of [
    "data:text/javascript,1",
    "data:application/json,1",
    "./index.js",

    "node:fs",
    "https://x/y.js",
  ]) {
    for (const options of ["", ", { with: { type: 'json' } }"]) {
      test(`import("${specifier}"${options})`, async () => {
        const program = await unanalysed(
          `() => import('${specifier}'${options}).then(() => "imported", (e) => e.name)`,
        );
        assert.match(text(await run(program)), /Error$/);
      });
    }
  }

  test("what code makes while it is built cannot make code later, however it keeps what it had", async () => {
    const program = await unanalysed(`(() => {
      const kept = [eval, Function, new Function("return eval")(), new Function("return Function")(), new Function("return (() => {}).constructor")()];
      const nested = new Function("text", "return new Function(text)()");
      const direct = new Function("text", "return eval(text)");
      const later = Promise.resolve().then(() => new Function("return 1"));
      Object.defineProperty(globalThis, "Function", { value: Function, writable: false, configurable: false });
      return async () => {
        const made = await later.then((f) => "made at " + f(), (e) => e.name);
        const attempts = [...kept.map((f) => () => f("1")), () => nested("return 1"), () => direct("1"), () => Function("return 1")];
        return made + ": " + attempts.map((attempt) => { try { return "made " + String(attempt()) } catch (e) { return e.message } }).join();
      };
    })()`);
    const refused = Array.from({ length: 8 }, () => "eval is not supported").join();
    assert.equal(text(await run(program)), `made at 1: ${refused}`);
  });

  test("making code while a function is built has the limits of top-level code", async () => {
    for (const code of [
      "new Function('for (;;);')()",
      "(() => { for (let text = 'a'; ; text += text) new Function(text) })()",
      "(() => { const kept = []; for (;;) kept.push(new Function('return ' + kept.length)) })()",
      "new Function('return ' + '('.repeat(1e6))()",
    ])
      await assert.rejects(unanalysed(code), CompileError);
  });
});

test("a bundle that can't be parsed is a compile error with its message", async () => {
  await assert.rejects(buildImage(engine, "export default ("), (error) => {
    return error instanceof CompileError && /can't be parsed: SyntaxError/.test(error.message);
  });
});
