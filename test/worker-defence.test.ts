import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { json } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { wireServer } from "../gateway/cli/wiring.ts";
import { loadConfig } from "../gateway/config.ts";
import { silentLogger } from "../gateway/log.ts";
import { startServer } from "../gateway/server.ts";
import type { Document } from "./support/system.ts";

/** What code could do that has got out of its sandbox into the worker process. */

const script = fileURLToPath(new URL("fixtures/hostile-worker.mjs", import.meta.url));
const SECRET = "secret-0123456789abcdef";

/** Native code that the program has for other processes. */
function nativeAddon(): string {
  const folder = dirname(createRequire(import.meta.resolve("rolldown")).resolve("rolldown"));
  const scope = join(folder, "../../@rolldown");
  const binding = readdirSync(scope).find((name) => name.startsWith("binding-"));
  const path = join(scope, binding!);
  return join(path, readdirSync(path).find((name) => name.endsWith(".node"))!);
}

test("hostile code in a worker process reaches no secret, file, process or native code", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "thimble-defence-"));
  // As an operator would set them, in the environment of the server.
  const secrets = {
    THIMBLE_ADMIN_KEY: `admin-${SECRET}`,
    DATABASE_URL: `postgres://platform:${SECRET}@127.0.0.1:1/platform`,
    FUNCTION_DATABASE_URL: `postgres://functions:${SECRET}@127.0.0.1:1/functions`,
  };
  Object.assign(process.env, secrets, { SOME_TOKEN: SECRET });
  const reports = createServer();
  reports.listen(0, "127.0.0.1");
  await once(reports, "listening");
  const reported = once(reports, "request") as Promise<[IncomingMessage]>;

  const adminPort = String(20_000 + (process.pid % 10_000));
  const env = {
    ...secrets,
    DATABASE_URL: "",
    THIMBLE_WORKERS: "1",
    PORT: "0",
    ADMIN_PORT: adminPort,
    THIMBLE_DATA_DIR: dataDir,
  };
  const config = loadConfig({ cwd: dataDir, env });
  const deps = await wireServer(config, silentLogger());
  assert.equal(deps.fleet.kind, "workers");
  const about = {
    report: `http://127.0.0.1:${(reports.address() as AddressInfo).port}/`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    dataDir,
    addon: nativeAddon(),
    parent: process.pid,
  };
  const told = `data:text/javascript,globalThis.hostile=${encodeURIComponent(JSON.stringify(about))}`;
  const execArgv = ["--import", told, "--import", script, `--allow-fs-read=${script}`];
  const server = await startServer(config, {
    ...deps,
    fleet: { ...deps.fleet, execArgv } as typeof deps.fleet,
  });
  try {
    const [request] = await reported;
    const { results, env: seen, argv, heard, admin } = (await json(request)) as Document;
    assert.ok(Object.keys(results).length > 15);
    for (const [attempt, result] of Object.entries<Document>(results)) {
      assert.ok(!("done" in result), `${attempt}: ${result.done}`);
      assert.ok(
        ["ERR_ACCESS_DENIED", "ERR_DLOPEN_DISABLED", "EADDRINUSE"].includes(result.code),
        `${attempt}: ${result.code}`,
      );
    }
    const harmless = ["NODE_ENV", "TZ", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    assert.deepEqual(
      Object.keys(seen).filter((name) => !harmless.includes(name)),
      [],
    );
    assert.ok(heard.some((message: Document) => message.method === "start"));
    assert.ok(!JSON.stringify({ seen, argv, heard }).includes(SECRET));
    assert.equal(admin, 401);
  } finally {
    await server.close();
    reports.closeAllConnections();
    reports.close();
    for (const name of [...Object.keys(secrets), "SOME_TOKEN"]) delete process.env[name];
    rmSync(dataDir, { recursive: true, force: true });
  }
});
