import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { artifactOf, json, sandboxes } from "./support/sandbox.ts";

const root = path.join(import.meta.dirname, "..");

/** What the type checker says of files beside the types that `thimble init` gives to a function. */
async function check(files: Record<string, string>): Promise<string[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "thimble-types-"));
  try {
    await copyFile(path.join(root, "examples/thimble.d.ts"), path.join(folder, "thimble.d.ts"));
    const compilerOptions = {
      target: "esnext",
      module: "preserve",
      lib: ["esnext", "dom", "dom.iterable"],
      types: [],
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
    };
    await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
    const tsc = spawn(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
    const output = await text(tsc.stdout);
    return output.split("\n").filter((line) => line.includes("error TS"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const shapes = `
  import type { Context, Env, FetchHandler, FunctionConfig, Handler, PagesFunction, RequestHandler } from "thimble";
  import { sql } from "thimble:db";
  export const config = { timeoutMs: 200, egress: ["a.b"], database: "read", warmup: "/" } satisfies FunctionConfig;
  export const handler: Handler<{ name: string }> = async (body, ctx) => ({ hello: body?.name, id: ctx.requestId, limit: ctx.env.FUNCTION_TIMEOUT_MS });
  export const GET: RequestHandler = (request, { signal, waitUntil }) => new Response(request.url);
  export const onRequest: PagesFunction = ({ request, params }) => request.method + params.id;
  export default { fetch: (request: Request, env: Env, ctx: Context) => new Response(env.ANY ?? ctx.functionName) } satisfies FetchHandler;
  export const rows = async () => (await sql<{ id: number }>\`select 1 as id\`)[0]?.id;
  Deno.serve((request) => new Response(Deno.env.get("A")));
`;

test("the types of a function's parts take what a function may be", async () => {
  assert.deepEqual(await check({ "shapes.ts": shapes }), []);
});

test("and refuse what it may not", async () => {
  const wrong = {
    "config.ts": `import type { FunctionConfig } from "thimble"; export const config = { timeout: 200 } satisfies FunctionConfig;`,
    "context.ts": `import type { Handler } from "thimble"; export const handler: Handler = (_, ctx) => ctx.nothing;`,
    "reply.ts": `import type { RequestHandler } from "thimble"; export const GET: RequestHandler = () => Symbol();`,
  };
  const errors = await check(wrong);
  assert.deepEqual(
    Object.keys(wrong).filter((name) => !errors.some((line) => line.includes(name))),
    [],
  );
});

test("settings are those that the compiler reads", async () => {
  const same = `
    import type { FunctionConfig } from "thimble";
    import type { FunctionConfig as Read } from "${path.join(root, "compiler/types.ts")}";
    type Scripts = Omit<Read, "stdio" | "args">;
    type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
    export const same: [Same<keyof FunctionConfig, keyof Scripts>, FunctionConfig extends Scripts ? true : false, Scripts extends FunctionConfig ? true : false] = [true, true, true];
  `;
  assert.deepEqual(await check({ "same.ts": same }), []);
});

test("a function with types runs: they leave nothing in it", async () => {
  const { runtime, run } = sandboxes();
  const source = `import type { Context, FunctionConfig } from "thimble"; import { type Handler } from "thimble";
    export const config = { memoryMb: 32 } satisfies FunctionConfig;
    /** @function */ export const handler: Handler<number> = (body, ctx: Context) => [body, ctx.version];`;
  const program = await runtime.load(await artifactOf(source));
  assert.deepEqual(json(await run(program, { request: { method: "POST", body: Buffer.from("5") } })), [5, 1]);
});
