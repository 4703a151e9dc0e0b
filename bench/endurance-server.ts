import { mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "./child.ts";

const cli = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));

export interface ServerStats {
  activeExecutions: number;
  sandboxes: { instances: number; busy: number };
  processes: { pid: number; memoryBytes: number }[];
}

/** A server that is looked at while it works: functions come by the admin API, and its processes are measured from outside. */
export class EnduranceServer implements AsyncDisposable {
  readonly edgeUrl: string;
  readonly adminUrl: string;
  readonly #key: string;
  readonly #owned: AsyncDisposableStack;

  private constructor(urls: { edgeUrl: string; adminUrl: string }, key: string, owned: AsyncDisposableStack) {
    this.edgeUrl = urls.edgeUrl;
    this.adminUrl = urls.adminUrl;
    this.#key = key;
    this.#owned = owned;
  }

  static async start(settings: Record<string, string>): Promise<EnduranceServer> {
    await using undo = new AsyncDisposableStack();
    const dataDir = await mkdtemp(path.join(tmpdir(), "thimble-bench-"));
    undo.defer(() => rm(dataDir, { recursive: true, force: true }));
    const env = { THIMBLE_DATA_DIR: dataDir, PORT: "0", ADMIN_PORT: "0", LOG_LEVEL: "error", ...settings };
    await using log = await open(path.join(dataDir, "server.log"), "w");
    const server = undo.use(
      await Server.start<{ edgeUrl: string; adminUrl: string }>([cli, "serve", "--json"], env, log.fd),
    );
    const key = (await readFile(path.join(dataDir, "admin-key"), "utf8")).trim();
    return new EnduranceServer(server.ready, key, undo.move());
  }

  urlOf(name: string): string {
    return `${this.edgeUrl}/f/${name}`;
  }

  async deploy(name: string, source: string, config: Record<string, unknown> = {}): Promise<void> {
    const files = { "index.ts": `/** @function */\n${source}` };
    const response = await this.#admin("/v1/functions", {
      method: "POST",
      body: JSON.stringify({ name, files, config }),
    });
    if (!response.ok) throw new Error(`${name}: ${await response.text()}`);
    await response.text();
  }

  async stats(): Promise<ServerStats> {
    return (await (await this.#admin("/v1/stats")).json()) as ServerStats;
  }

  /** Open files and sockets of the workers. */
  async descriptors(): Promise<number> {
    let count = 0;
    for (const { pid } of (await this.stats()).processes) count += (await readdir(`/proc/${pid}/fd`)).length;
    return count;
  }

  /** Resident memory of the workers, MB. */
  async memoryMb(): Promise<number> {
    let pages = 0;
    for (const { pid } of (await this.stats()).processes) {
      pages += Number((await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[1]);
    }
    return (pages * 4096) / 1e6;
  }

  #admin(route: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#key}`, "content-type": "application/json" };
    return fetch(this.adminUrl + route, { headers, ...init });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}
