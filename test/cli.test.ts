import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

/** The command line as a user has it: processes, the real runtime, a folder of its own. */

const main = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));
const launcher = fileURLToPath(new URL("../gateway/cli/thimble.mjs", import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any;

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return String(port);
}

describe("command line (R12)", () => {
  const cwd = mkdtempSync(join(tmpdir(), "thimble-cli-"));
  let env: Record<string, string | undefined>;
  let server: ChildProcess | undefined;
  let urls: { edgeUrl: string; adminUrl: string };

  const start = (args: string[]) =>
    spawn(process.execPath, [main, ...args], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  const run = async (args: string[], input = "") => {
    const child = start(args);
    child.stdin.end(input);
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    return { code: code as number, stdout, stderr };
  };
  const json = async (args: string[]): Promise<Document> => {
    const { code, stdout, stderr } = await run([...args, "--json"]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const serve = async () => {
    const child = start(["serve", "--json"]);
    child.stderr.resume();
    const [line] = await once(child.stdout, "data");
    urls = JSON.parse(String(line));
    server = child;
  };
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    const child = server;
    server = undefined;
    if (!child) return undefined;
    child.kill(signal);
    const [code] = await once(child, "exit");
    return code as number | null;
  };

  before(async () => {
    env = { ...process.env, PORT: await freePort(), ADMIN_PORT: await freePort(), NO_COLOR: "1" };
    writeFileSync(
      join(cwd, "greet.ts"),
      `/** @function */
export async function handler(body: { name?: string; fail?: boolean }) {
  console.log("greeting", body?.name);
  if (body?.fail) {
    throw new RangeError("asked to");
  }
  return { hello: body?.name ?? "nobody" };
}
`,
    );
    writeFileSync(
      join(cwd, "show.ts"),
      `/** @function */
export default async (request: Request) => ({
  method: request.method, url: request.url, header: request.headers.get("x-own"), body: await request.text(),
});
`,
    );
    writeFileSync(
      join(cwd, "bad.ts"),
      `import { exec } from "node:child_process";\n/** @function */\nexport default () => exec("ls");\n`,
    );
  });
  after(async () => {
    await stop("SIGKILL");
    rmSync(cwd, { recursive: true, force: true });
  });

  test("says so when no server is running", async () => {
    const { code, stderr } = await run(["list"]);
    assert.equal(code, 1);
    assert.match(stderr, /Is `thimble serve` running\?/);
    const asJson = await run(["list", "--json"]);
    assert.equal(JSON.parse(asJson.stdout).error.code, "unreachable");
    assert.equal(asJson.code, 1);
  });

  test("exits with 2 for wrong usage, 0 for help", async () => {
    for (const args of [["nonsense"], ["list", "--bogus"], ["deploy"], ["rollback", "x", "latest"], []]) {
      const { code, stdout } = await run(args);
      assert.equal(code, args.length === 0 ? code : 2, args.join(" "));
      assert.ok(args.length === 0 || stdout === "");
    }
    assert.equal((await run(["--help"])).code, 0);
    const { code, stderr } = await run(["serve", "--function-timeout-ms", "9000"]);
    assert.equal(code, 2);
    assert.match(stderr, /FUNCTION_TIMEOUT_MS="9000"/);
  });

  test("serves, deploys, and invokes, with metrics on standard error", async () => {
    await serve();
    const deployed = await json(["deploy", "greet", "greet.ts"]);
    assert.deepEqual([deployed.version, deployed.analysis.passed], [1, true]);
    const { code, stdout, stderr } = await run(["invoke", "greet", "--body", '{"name":"Ada"}']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { hello: "Ada" });
    assert.match(stderr, /\[info\] greeting Ada/);
    assert.match(stderr, /status 200 · wall [\d.]+ ms · cpu [\d.]+ ms · fuel [\d,]+ · memory/);
    const over = await fetch(`${urls.edgeUrl}/f/greet`, { method: "POST", body: '{"name":"Bob"}' });
    assert.deepEqual(await over.json(), { hello: "Bob" });
  });

  test("sends method, path, query, headers and body from text, file and standard input", async () => {
    await json(["deploy", "show", "show.ts"]);
    const invoked = await json([
      ...["invoke", "show", "--method", "put", "--path", "/a/b", "--query", "x=1", "--query", "x=2"],
      ...["--query", "y=a=b", "--header", "X-Own: yes", "--body", "plain"],
    ]);
    assert.deepEqual(JSON.parse(invoked.body), {
      method: "PUT",
      url: "http://localhost/a/b?x=1&x=2&y=a%3Db",
      header: "yes",
      body: "plain",
    });
    writeFileSync(join(cwd, "body.json"), '{"from":"file"}');
    assert.match((await run(["invoke", "show", "--body", "@body.json"])).stdout, /\{\\"from\\":\\"file\\"\}/);
    assert.match((await run(["invoke", "show", "--body", "-"], "piped")).stdout, /"piped"/);
    assert.equal((await run(["invoke", "show", "--query", "novalue"])).code, 2);
    assert.equal((await run(["invoke", "show", "--body", "@nowhere"])).code, 2);
  });

  test("shows a function's error with its place in the source, and exits with 1", async () => {
    const { code, stdout, stderr } = await run(["invoke", "greet", "--body", '{"fail":true}']);
    assert.equal(code, 1);
    assert.equal(JSON.parse(stdout).error.message, "The function threw an error");
    assert.match(stderr, /RangeError: asked to\n.*greet\.ts:5:/);
  });

  test("shows analysis findings as code frames, and exits with 1", async () => {
    const { code, stderr } = await run(["deploy", "bad", "bad.ts"]);
    assert.equal(code, 1);
    assert.match(stderr, /bad\.ts:1:\d+/);
    assert.match(stderr, /hint: /);
    const asJson = await run(["deploy", "bad", "bad.ts", "--json"]);
    const document = JSON.parse(asJson.stdout);
    assert.equal(document.error.code, "analysis_failed");
    assert.ok(document.analysis.findings.length > 0);
  });

  test("lists, shows versions and logs, rolls back, counts, deletes", async () => {
    assert.equal((await json(["deploy", "greet", "greet.ts"])).created, false, "the same content again");
    appendFileSync(join(cwd, "greet.ts"), "// changed\n");
    await json(["deploy", "greet", "greet.ts"]);
    assert.deepEqual(
      (await json(["versions", "greet"])).versions.map((v: Document) => v.version),
      [2, 1],
    );
    assert.equal((await json(["rollback", "greet", "1"])).version, 1);
    assert.equal((await json(["list"])).functions[0].version, 1);
    assert.match((await run(["logs", "greet"])).stdout, /greeting Ada/);
    assert.ok((await json(["stats"])).functions >= 2);
    const missing = await run(["rollback", "greet", "9"]);
    assert.deepEqual([missing.code, missing.stdout], [1, ""]);
    assert.equal((await run(["delete", "show"])).code, 0);
    assert.equal((await run(["invoke", "show"])).code, 1);
  });

  test("sets, lists and removes secrets, which are masked in the log", async () => {
    writeFileSync(
      join(cwd, "secretive.ts"),
      "/** @function */\nexport default () => { console.log('uses', process.env.API_KEY); return { ...process.env }; };\n",
    );
    await json(["deploy", "secretive", "secretive.ts"]);
    writeFileSync(join(cwd, "function.env"), "REGION=north\n");
    await json(["secrets", "set", "secretive", "API_KEY=sk-123456789", "--from-file", "function.env"]);
    const piped = await run(["secrets", "set", "secretive", "PIPED"], "from standard input\n");
    assert.equal(piped.code, 0, piped.stderr);
    const { body, logs } = await json(["invoke", "secretive"]);
    const { API_KEY, REGION, PIPED } = JSON.parse(body);
    assert.deepEqual([API_KEY, REGION, PIPED], ["sk-123456789", "north", "from standard input"]);
    assert.equal(logs[0].message, "uses ***");
    const log = await run(["logs", "secretive"]);
    assert.match(log.stdout, /uses \*\*\*/);
    const { stdout } = await run(["secrets", "list", "secretive"]);
    assert.match(stdout, /API_KEY[\s\S]*PIPED[\s\S]*REGION/);
    assert.ok(!stdout.includes("sk-"));
    await json(["secrets", "rm", "secretive", "API_KEY", "PIPED"]);
    const left = JSON.parse((await json(["invoke", "secretive"])).body);
    assert.deepEqual([left.API_KEY, left.REGION, left.PIPED], [undefined, "north", undefined]);
    await json(["secrets", "rm", "secretive", "--all"]);
    for (const args of [
      ["set", "secretive"],
      ["rm", "secretive"],
      ["rm", "secretive", "A", "--all"],
      ["set", "secretive", "--from-file", "nowhere"],
    ])
      assert.equal((await run(["secrets", ...args])).code, 2, args.join(" "));
    assert.equal((await run(["secrets", "set", "secretive", "not-a-name=1"])).code, 1);
  });

  test("shares traffic out, and calls a version without any", async () => {
    writeFileSync(join(cwd, "split.ts"), "/** @function */\nexport default () => 'one';\n");
    await json(["deploy", "split", "split.ts"]);
    writeFileSync(join(cwd, "split.ts"), "/** @function */\nexport default () => 'two';\n");
    const quiet = await run(["deploy", "split", "split.ts", "--no-traffic"]);
    assert.match(
      quiet.stdout,
      /version 2\. It has no traffic; its preview answers at \/f\/split@[0-9a-f]{12}/,
    );
    assert.match((await json(["invoke", "split"])).body, /one/);
    assert.match((await json(["invoke", "split", "--at", "2"])).body, /two/);
    const { traffic } = await json(["traffic", "split", "1=0.5", "2=99.5", "--sticky", "cookie"]);
    assert.deepEqual(traffic, { 1: 0.5, 2: 99.5 });
    assert.match(
      (await run(["traffic", "split"])).stdout,
      /2 +99\.5 % +\/f\/split@[\s\S]*stay with their version by cookie/,
    );
    assert.match((await run(["versions", "split"])).stdout, /2 \(live\) +99\.5 %/);
    assert.equal((await run(["traffic", "split", "1=half"])).code, 2);
    assert.equal((await run(["traffic", "split", "1=50", "2=40"])).code, 1);
  });

  test("makes keys that can do what they are for, and tells who did what", async () => {
    const made = await json([
      "keys",
      "create",
      "shop",
      "--scope",
      "invoke",
      "--function",
      "split",
      "--expires",
      "1d",
    ]);
    const withKey = (args: string[]) => {
      const child = spawn(process.execPath, [main, ...args], {
        cwd,
        env: { ...env, THIMBLE_ADMIN_KEY: made.key },
        stdio: "ignore",
      });
      return once(child, "exit");
    };
    assert.deepEqual(await withKey(["invoke", "split"]), [0, null]);
    assert.deepEqual(await withKey(["list"]), [1, null]);
    await json(["access", "split", "key"]);
    assert.equal((await fetch(`${urls.edgeUrl}/f/split`)).status, 401);
    const headers = { "x-function-key": made.key };
    assert.equal((await fetch(`${urls.edgeUrl}/f/split`, { headers })).status, 200);
    assert.match((await run(["keys", "list"])).stdout, /shop +invoke +split +until/);
    await json(["keys", "revoke", made.id]);
    assert.match((await run(["keys", "list"])).stdout, /shop +invoke +split +revoked/);
    assert.equal((await fetch(`${urls.edgeUrl}/f/split`, { headers })).status, 401);
    assert.match(
      (await run(["audit", "split"])).stdout,
      /admin +127\.0\.0\.1 +PUT \/v1\/functions\/:name\/access +split +200/,
    );
    assert.equal((await run(["keys", "create", "x", "--scope", "root"])).code, 2);
    assert.equal((await run(["keys", "create", "x", "--scope", "read", "--expires", "soon"])).code, 2);
  });

  test("shows the settings in force without a server", async () => {
    const { settings } = await json(["config", "--preset", "fast", "--function-max-memory-mb", "64"]);
    const of = (name: string) => settings.find((one: Document) => one.name === name);
    assert.deepEqual([of("FUNCTION_TIMEOUT_MS").value, of("FUNCTION_TIMEOUT_MS").origin], [1000, "preset"]);
    assert.equal(of("FUNCTION_MAX_MEMORY_MB").origin, "flag");
    assert.equal(of("PORT").origin, "environment");
    assert.match((await run(["config"])).stdout, /SETTING +VALUE +FROM/);
  });

  test("follows the log", async () => {
    const child = start(["logs", "greet", "--follow", "--limit", "1"]);
    await once(child.stdout, "data");
    const next = once(child.stdout, "data");
    await json(["invoke", "greet", "--body", '{"name":"Later"}']);
    assert.match(String((await next)[0]), /greeting Later/);
    child.kill();
    await once(child, "exit");
  });

  test("builds without a server", async () => {
    const { output, bytes } = await json(["build", "greet.ts", "-o", "out.wasm"]);
    assert.equal(output, "out.wasm");
    assert.ok(bytes > 0 && existsSync(join(cwd, "out.wasm")));
  });

  test("refuses a second server on the same data folder", async () => {
    const { code, stderr } = await run(["serve"]);
    assert.equal(code, 1);
    assert.match(stderr, /in use by process \d+/);
  });

  test("keeps what was deployed through kill -9, and ends cleanly when asked to", async () => {
    await stop("SIGKILL");
    await serve();
    const response = await fetch(`${urls.edgeUrl}/f/greet`, { method: "POST", body: '{"name":"again"}' });
    assert.deepEqual(await response.json(), { hello: "again" });
    assert.equal(await stop(), 0);
  });

  test("says which port is in use", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await run(["serve", "--port", String(port)]);
    taken.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`Port ${port} .* already in use.* PORT`));
  });

  const oldNode = "/usr/bin/node";
  test("starts with an older Node, by the project's own", {
    skip: existsSync(oldNode) ? false : `no older Node at ${oldNode}`,
  }, async () => {
    const child = spawn(oldNode, [launcher, "--version"], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    assert.deepEqual([code, /^\d+\.\d+\.\d+\n$/.test(stdout)], [0, true]);
  });
});
