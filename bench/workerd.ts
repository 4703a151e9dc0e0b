import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const binary = fileURLToPath(new URL("node_modules/.bin/workerd", import.meta.url));

/** workerd with one worker, given as the text of its only module: one isolate, which answers all requests. */
export class Workerd implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(module: string): Promise<Workerd> {
    const folder = await mkdtemp(path.join(tmpdir(), "thimble-workerd-"));
    const port = await freePort();
    await writeFile(path.join(folder, "worker.js"), module);
    await writeFile(
      path.join(folder, "config.capnp"),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2025-01-01",
);
`,
    );
    const child = spawn(binary, ["serve", path.join(folder, "config.capnp")], { stdio: ["ignore", 2, 2] });
    const workerd = new Workerd(`http://127.0.0.1:${port}/`, child, folder);
    for (let i = 0; i < 100; i++) {
      if (
        await fetch(workerd.url, { method: "POST", body: "{}" }).then(
          () => true,
          () => false,
        )
      )
        return workerd;
      await sleep(50);
    }
    await workerd[Symbol.asyncDispose]();
    throw new Error("workerd did not start");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, "exit") : null;
    this.#child.kill();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
