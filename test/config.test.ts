import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { effectiveSettings, loadConfig, lowerLimits } from "../gateway/config.ts";
import { ConfigError } from "../gateway/config-error.ts";
import { flagOf, SETTING_NAMES, SETTINGS } from "../gateway/settings.ts";

const cwd = mkdtempSync(join(tmpdir(), "thimble-config-"));
after(() => rmSync(cwd, { recursive: true }));
const dotEnv = (text: string) => writeFileSync(join(cwd, ".env"), text);
const load = (env: Record<string, string> = {}, flags = {}) => loadConfig({ cwd, env, flags });

function refusal(env: Record<string, string>): ConfigError {
  try {
    load(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error;
  }
  throw new Error(`accepted ${JSON.stringify(env)}`);
}

describe("configuration (R1)", () => {
  test("has the documented defaults", () => {
    const config = load();
    const { limits } = config;
    assert.equal(limits.timeoutMs, 5000);
    assert.equal(limits.requestTimeoutMs, 5000);
    assert.equal(limits.memoryMb, 128);
    assert.equal(limits.concurrency, 10);
    assert.equal(limits.queueTimeoutMs, 1000);
    assert.equal(limits.fuel, null);
    assert.equal(limits.bodyLimitBytes, 10 * 1024 * 1024);
    assert.deepEqual(config.database, {
      url: undefined,
      adminUrl: undefined,
      maxConnections: 5,
      timeoutMs: 5000,
      caps: { queries: 1000, rows: 100_000, resultBytes: 32 << 20, paramBytes: 16 << 20, heldMs: 10_000 },
    });
    assert.deepEqual(config.edge, { host: "127.0.0.1", port: 8787 });
    const { host, port, key, tls, allowInsecure } = config.admin;
    assert.deepEqual([host, port, key, tls, allowInsecure], ["127.0.0.1", 8788, undefined, undefined, false]);
    assert.equal(config.dataDir, join(cwd, ".thimble"));
    assert.equal(config.requireAnnotation, true);
  });

  test("takes .env, then the environment, then flags, the later winning", () => {
    dotEnv("PORT=1001\nADMIN_PORT=1002\nHOST=0.0.0.0\n");
    const config = load({ PORT: "2001", ADMIN_PORT: "2002" }, { PORT: "3001" });
    dotEnv("");
    assert.deepEqual(config.edge, { host: "0.0.0.0", port: 3001 });
    assert.equal(config.admin.port, 2002);
  });

  test("takes an empty value as not set", () => {
    assert.equal(load({ FUNCTION_DATABASE_URL: "", FUNCTION_TIMEOUT_MS: "" }).limits.timeoutMs, 5000);
  });

  test("takes the time limit in seconds or ms, the later layer winning", () => {
    assert.equal(load({ FUNCTION_TIMEOUT_SECONDS: "1" }).limits.timeoutMs, 1000);
    assert.equal(load({ FUNCTION_TIMEOUT_SECONDS: "0.005" }).limits.timeoutMs, 5);
    assert.equal(load({ FUNCTION_TIMEOUT_SECONDS: "1", FUNCTION_TIMEOUT_MS: "70" }).limits.timeoutMs, 70);
    dotEnv("FUNCTION_TIMEOUT_MS=70\n");
    assert.equal(load({ FUNCTION_TIMEOUT_SECONDS: "2" }).limits.timeoutMs, 2000);
    dotEnv("");
  });

  for (const [name, value] of [
    ["FUNCTION_TIMEOUT_MS", "4"],
    ["FUNCTION_TIMEOUT_MS", "5001"],
    ["FUNCTION_TIMEOUT_MS", "1e3"],
    ["FUNCTION_TIMEOUT_MS", "-5"],
    ["FUNCTION_TIMEOUT_SECONDS", "6"],
    ["FUNCTION_MAX_MEMORY_MB", "lots"],
    ["FUNCTION_MAX_CONCURRENT", "0"],
    ["FUNCTION_DB_MAX_CONNECTIONS", "0"],
    ["FUNCTION_DATABASE_URL", "mysql://host/db"],
    ["FUNCTION_REQUIRE_ANNOTATION", "perhaps"],
    ["FUNCTION_EGRESS_ALLOW", "example.com"],
    ["PORT", "70000"],
    ["LOG_LEVEL", "loud"],
  ] as const) {
    test(`refuses ${name}=${value}, quoting both`, () => {
      const error = refusal({ [name]: value });
      assert.ok(error.message.includes(name) && error.message.includes(JSON.stringify(value)), error.message);
      assert.equal(error.exitCode, 2);
    });
  }

  test("names every bad setting at once", () => {
    const { problems } = refusal({ PORT: "x", HOST: "a b" });
    assert.deepEqual(problems.map((problem) => problem.name).sort(), ["HOST", "PORT"]);
  });

  test("keeps the functions' database apart from the platform's own", () => {
    const own = { DATABASE_URL: "postgres://me:secret@127.0.0.1/thimble" };
    const same = refusal({
      ...own,
      FUNCTION_DATABASE_URL: "postgres://you:hidden@localhost:5432/thimble?sslmode=disable",
    });
    assert.match(
      same.message,
      /FUNCTION_DATABASE_URL="postgres:\/\/you:\*\*\*@.*must not be the database of DATABASE_URL/,
    );
    const other = "postgres://you:hidden@localhost:5432/functions";
    assert.equal(load({ ...own, FUNCTION_DATABASE_URL: other }).database.url, other);
  });

  test("quotes no password and no key", () => {
    assert.ok(!refusal({ DATABASE_URL: "mysql://me:hunter2@db/x" }).message.includes("hunter2"));
    assert.ok(!refusal({ THIMBLE_ADMIN_KEY: "tooshort" }).message.includes("tooshort"));
  });

  test("expresses the three tuning presets (R14)", () => {
    const fast = load({
      FUNCTION_TIMEOUT_SECONDS: "1",
      FUNCTION_DB_TIMEOUT_MS: "1000",
      FUNCTION_MAX_CONCURRENT: "20",
    });
    assert.deepEqual(
      [fast.limits.timeoutMs, fast.database.timeoutMs, fast.limits.concurrency],
      [1000, 1000, 20],
    );
    const complex = load({ FUNCTION_TIMEOUT_SECONDS: "5", FUNCTION_MAX_CONCURRENT: "10" });
    assert.deepEqual([complex.limits.timeoutMs, complex.limits.concurrency], [5000, 10]);
    const heavy = load({
      FUNCTION_MAX_CONCURRENT: "20",
      FUNCTION_DB_MAX_CONNECTIONS: "10",
      FUNCTION_MAX_MEMORY_MB: "256",
    });
    assert.deepEqual(
      [heavy.limits.concurrency, heavy.database.maxConnections, heavy.limits.memoryMb],
      [20, 10, 256],
    );
  });

  test("lets a function lower limits, never raise them", () => {
    const { limits } = load({ FUNCTION_FUEL: "1000" });
    const lowered = lowerLimits(limits, { timeoutMs: 50, memoryMb: 512, concurrency: 2, fuel: 2000 });
    assert.deepEqual(
      [lowered.timeoutMs, lowered.memoryMb, lowered.concurrency, lowered.fuel],
      [50, 128, 2, 1000],
    );
    assert.equal(lowerLimits(load().limits, { fuel: 7 }).fuel, 7);
  });

  test("has a flag for every setting but the secret ones, each its own", () => {
    const flags = SETTING_NAMES.map(flagOf);
    assert.equal(new Set(flags).size, SETTING_NAMES.length);
    assert.equal(flagOf("THIMBLE_DATA_DIR"), "--data-dir");
    const secret = SETTING_NAMES.filter((name) => "secret" in SETTINGS[name]);
    assert.deepEqual(secret, [
      "FUNCTION_DATABASE_ADMIN_URL",
      "THIMBLE_ADMIN_KEY",
      "THIMBLE_MASTER_KEY",
      "OTEL_EXPORTER_OTLP_HEADERS",
    ]);
  });
});

describe("presets (R14)", () => {
  test("give values to start from, which anything else given overrides", () => {
    const fast = load({ THIMBLE_PRESET: "fast" });
    assert.deepEqual(
      [fast.limits.timeoutMs, fast.database.timeoutMs, fast.limits.concurrency],
      [1000, 1000, 20],
    );
    const complex = load({ THIMBLE_PRESET: "complex" });
    assert.deepEqual([complex.limits.timeoutMs, complex.limits.concurrency], [5000, 10]);
    const heavy = load({ THIMBLE_PRESET: "heavy" });
    assert.deepEqual(
      [heavy.limits.concurrency, heavy.database.maxConnections, heavy.limits.memoryMb],
      [20, 10, 256],
    );
    dotEnv("FUNCTION_TIMEOUT_MS=70\nTHIMBLE_PRESET=heavy\n");
    const mixed = load({ THIMBLE_PRESET: "fast" }, { FUNCTION_MAX_CONCURRENT: "3" });
    dotEnv("");
    assert.deepEqual(
      [mixed.limits.timeoutMs, mixed.limits.concurrency, mixed.database.timeoutMs, mixed.limits.memoryMb],
      [70, 3, 1000, 128],
    );
    assert.match(
      refusal({ THIMBLE_PRESET: "turbo" }).message,
      /THIMBLE_PRESET="turbo".*fast, complex, heavy/,
    );
  });
});

describe("effective settings", () => {
  test("tell the value in force and where it comes from, secrets masked", () => {
    dotEnv("PORT=1001\n");
    const settings = effectiveSettings({
      cwd,
      env: {
        THIMBLE_PRESET: "fast",
        THIMBLE_ADMIN_KEY: "a-key-that-nobody-sees",
        DATABASE_URL: "postgres://me:hidden@host/db",
      },
      flags: { FUNCTION_MAX_MEMORY_MB: "64" },
    });
    dotEnv("");
    const of = (name: string) => settings.find((one) => one.name === name);
    assert.deepEqual(of("PORT"), { name: "PORT", value: 1001, origin: ".env" });
    assert.deepEqual(of("FUNCTION_MAX_MEMORY_MB"), {
      name: "FUNCTION_MAX_MEMORY_MB",
      value: 64,
      origin: "flag",
    });
    assert.deepEqual(of("FUNCTION_TIMEOUT_MS"), {
      name: "FUNCTION_TIMEOUT_MS",
      value: 1000,
      origin: "preset",
    });
    assert.deepEqual(of("HOST"), { name: "HOST", value: "127.0.0.1", origin: "default" });
    assert.deepEqual(of("FUNCTION_FUEL"), { name: "FUNCTION_FUEL", value: null, origin: "default" });
    assert.equal(of("THIMBLE_ADMIN_KEY")?.origin, "environment");
    assert.ok(!/nobody|hidden/.test(JSON.stringify(settings)));
    assert.deepEqual(
      settings.map(({ name }) => name),
      SETTING_NAMES,
    );
  });
});
