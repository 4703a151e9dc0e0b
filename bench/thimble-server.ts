import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runNode, Server } from "./child.ts";

const cli = fileURLToPath(new URL("../gateway/cli/main.ts", import.meta.url));

/** The whole server with its embedded database in a folder of its own, and functions deployed by the command line. */
export class ThimbleServer implements AsyncDisposable {
  readonly #url: string;
  /** The process and its folder. */
  readonly #owned: AsyncDisposableStack;

  private constructor(url: string, owned: AsyncDisposableStack) {
    this.#url = url;
    this.#owned = owned;
  }

  /** `functions`: their folders or files, by name. Leaves neither folder nor process behind when it fails. */
  static async start(
    functions: Record<string, string>,
    settings: Record<string, string>,
  ): Promise<ThimbleServer> {
    await using undo = new AsyncDisposableStack();
    const dataDir = await mkdtemp(path.join(tmpdir(), "thimble-bench-"));
    undo.defer(() => rm(dataDir, { recursive: true, force: true }));
    const env = {
      THIMBLE_DATA_DIR: dataDir,
      PORT: "0",
      ADMIN_PORT: "0",
      ...settings,
    };
    await using log = await open(path.join(dataDir, "server.log"), "w");
    const server = undo.use(
      await Server.start<{ edgeUrl: string; adminUrl: string }>([cli, "serve", "--json"], env, log.fd),
    );
    const { edgeUrl, adminUrl } = server.ready;
    if (!edgeUrl) throw new Error(`the server did not start: ${JSON.stringify(server.ready)}`);
    for (const [name, source] of Object.entries(functions))
      await runNode([cli, "deploy", name, source], { ...env, ADMIN_PORT: new URL(adminUrl).port });
    return new ThimbleServer(edgeUrl, undo.move());
  }

  urlOf(name: string): string {
    return `${this.#url}/f/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}
