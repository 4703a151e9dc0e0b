import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BuildResult } from "../compiler/compiler.ts";
import { compiler, json, sandboxes, text } from "./support/sandbox.ts";

const { runtime, run } = sandboxes();

const build = (source: string): Promise<BuildResult> =>
  compiler.build({ sources: { entry: "index.ts", files: { "index.ts": source } }, requireAnnotation: false });

const counting = (warmup: string, inHandler = "") => `
${warmup}
let requests = 0;
export default async (request: Request) => {
  requests++;
  ${inHandler}
  return { requests, path: new URL(request.url).pathname, at: Date.now(), random: Math.random(), elapsed: performance.now() };
};`;
const declared = 'export const config = { warmup: "/warm?x=1" };';

describe("config.warmup", () => {
  test("is requested once, and its effect is in the image", async () => {
    const { artifact, analysis } = await build(counting(declared));
    assert.deepEqual(
      analysis.findings.filter(({ rule }) => rule.startsWith("warmup")),
      [],
    );
    const guest = await runtime.load(artifact);
    const first = json(await run(guest));
    const second = json(await run(guest));
    assert.deepEqual([first.requests, second.requests], [2, 2]);
    assert.equal(first.path, "/");
    assert.ok(Math.abs(first.at - Date.now()) < 60_000 && first.elapsed >= 0 && first.elapsed < 60_000);
    assert.notEqual(first.random, second.random);
    assert.equal(json(await run(await runtime.load((await build(counting(""))).artifact))).requests, 1);
  });

  test("is built alike each time", async () => {
    const [one, other] = await Promise.all([build(counting(declared)), build(counting(declared))]);
    assert.ok(Buffer.from(one.artifact).equals(Buffer.from(other.artifact)));
  });

  for (const [call, reason] of [
    ["try { await fetch('http://x/') } catch {}", "fetch"],
    ["try { crypto.randomUUID() } catch {}", "crypto"],
    ["try { setTimeout(() => {}, 1) } catch {}", "a timer"],
    ["throw new Error('no')", "no"],
    ["await new Promise(() => {})", "not answered"],
  ] as const) {
    test(`has no effect when it comes to: ${call}`, async () => {
      const { artifact, analysis } = await build(
        counting(declared, `if (request.url.includes("warm")) { ${call} }`),
      );
      const [finding] = analysis.findings.filter(({ rule }) => rule === "warmup-undone");
      assert.ok(finding);
      assert.ok(finding.message.includes(reason), finding.message);
      assert.deepEqual([finding.severity, finding.file, finding.line], ["warning", "index.ts", 2]);
      assert.equal(json(await run(await runtime.load(artifact))).requests, 1);
    });
  }

  test("that never ends is refused as top-level code is", async () => {
    const endless = build(counting(declared, "for (;;);"));
    await assert.rejects(endless, /the warm-up timed out/);
  });

  test("a handler after it has its own environment, signal and body", async () => {
    const { artifact } = await build(`export const config = { warmup: "/" };
      export default async (request: Request, ctx: any) => ctx.env.NAME + (await request.text()) + request.signal.aborted;`);
    const guest = await runtime.load(artifact);
    const request = { method: "POST", body: Buffer.from("body ") };
    assert.equal(text(await run(guest, { env: { NAME: "mine " }, request })), "mine body false");
  });
});
