import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The whole system as its users have it: the server in a process of its own, the command line, HTTP. */

const main = fileURLToPath(new URL("../../gateway/cli/main.ts", import.meta.url));

/** Where a fixture lies. */
export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/system/${name}`, import.meta.url));

export const example = (name: string): string =>
  fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
export type Document = any;

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A server process with a folder of its own, which is deleted in the end. */
export class System {
  /** The working folder; the data folder is `.thimble` in it. */
  readonly folder = mkdtempSync(join(tmpdir(), "thimble-system-"));
  edgeUrl = "";
  adminUrl = "";
  /** What the server has logged. */
  log = "";
  readonly #env: Record<string, string>;
  #server: ChildProcess | undefined;
  #key = "";

  private constructor(env: Record<string, string>) {
    this.#env = env;
  }

  static async start(env: Record<string, string> = {}): Promise<System> {
    const system = new System(env);
    try {
      await system.restart();
    } catch (error) {
      await system.close();
      throw error;
    }
    return system;
  }

  /** Starts the server, anew after {@link stop}, on any free ports. */
  async restart(): Promise<void> {
    const child = this.#spawn(["serve", "--json"], { PORT: "0", ADMIN_PORT: "0" });
    this.#server = child;
    // Also when the tests themselves end before they have closed it.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    child.stdin?.end();
    child.stderr?.on("data", (chunk) => {
      this.log += chunk;
    });
    for await (const line of createInterface({ input: child.stdout! })) {
      Object.assign(this, JSON.parse(line));
      this.#key = readFileSync(join(this.folder, ".thimble/admin-key"), "utf8").trim();
      return;
    }
    throw new Error(`the server did not start:\n${this.log}`);
  }

  #spawn(args: string[], more: Record<string, string>): ChildProcess {
    return spawn(process.execPath, [main, ...args], {
      cwd: this.folder,
      // One process, where a test does not ask for more: it starts faster.
      env: { ...process.env, NO_COLOR: "1", THIMBLE_WORKERS: "0", ...this.#env, ...more },
      stdio: "pipe",
    });
  }

  /** Ends the server and tells its exit code; null when the signal killed it. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#server;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exit = once(child, "exit");
    child.kill(signal);
    const [code] = await exit;
    return code;
  }

  /** What an admin request must carry. */
  get authorization(): { authorization: string } {
    return { authorization: `Bearer ${this.#key}` };
  }

  /** Sends one more signal to a server that is ending. */
  signal(signal: NodeJS.Signals): void {
    this.#server?.kill(signal);
  }

  async close(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Runs the command line in the server's folder. */
  async cli(args: string[]): Promise<CliResult> {
    const port = this.adminUrl ? new URL(this.adminUrl).port : "1";
    const child = this.#spawn(args, { ADMIN_PORT: port });
    child.stdin?.end();
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, "exit"),
    ]);
    return { code, stdout, stderr };
  }

  /** The same, which must succeed, with `--json`. */
  async json(args: string[]): Promise<Document> {
    const { code, stdout, stderr } = await this.cli([...args, "--json"]);
    assert.equal(code, 0, `thimble ${args.join(" ")}:\n${stdout}\n${stderr}`);
    return JSON.parse(stdout);
  }

  /** Deploys a folder or file by the command line. */
  deployPath(name: string, path: string): Promise<Document> {
    return this.json(["deploy", name, path]);
  }

  /** Deploys the text of an `index.ts` by the admin API; adds the annotation where there is none. A version that exists already is made live again. */
  async deploy(name: string, source: string, config?: Record<string, unknown>): Promise<Document> {
    const annotated = source.includes("@function") ? source : `/** @function */\n${source}`;
    const input = { name, files: { "index.ts": annotated }, ...(config && { config }) };
    const { status, body } = await this.admin("POST", "/v1/functions", input);
    assert.equal(status, body.created === false ? 200 : 201, JSON.stringify(body));
    return body;
  }

  async admin(method: string, path: string, body?: unknown): Promise<{ status: number; body: Document }> {
    const response = await fetch(this.adminUrl + path, {
      method,
      headers: { ...this.authorization, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  async stats(): Promise<Document> {
    return (await this.admin("GET", "/v1/stats")).body;
  }

  /** Requests `/f/<path>` at the edge. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.edgeUrl}/f/${path}`, init);
  }

  /** The same, read as JSON. */
  async call(
    path: string,
    init?: RequestInit,
  ): Promise<{ status: number; headers: Headers; body: Document }> {
    const response = await this.fetch(path, init);
    const body = await response.text();
    try {
      return { status: response.status, headers: response.headers, body: JSON.parse(body) };
    } catch {
      throw new Error(`${path} answered ${response.status} with what is no JSON: ${body.slice(0, 500)}`);
    }
  }

  /** Sends JSON by POST. */
  post(path: string, value: unknown): Promise<{ status: number; headers: Headers; body: Document }> {
    return this.call(path, { method: "POST", body: JSON.stringify(value) });
  }

  /** The rows of a function's history, once there are as many as that which have ended. */
  async invocations(name: string, count: number): Promise<Document[]> {
    return until(async () => {
      const { body } = await this.admin("GET", `/v1/functions/${name}/invocations`);
      const ended = body.invocations.filter((row: Document) => row.status !== "running");
      return ended.length >= count && ended;
    });
  }
}

/** Tries until it is given something; fails after half a minute, or the time given. */
export async function until<T>(
  attempt: () => Promise<T | false | undefined | null>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    assert.ok(Date.now() < deadline, "what was waited for has not come about");
    await sleep(25);
  }
}
