import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** `stderr`: an open file, or this process's own. */
function startNode(args: string[], env: Record<string, string>, stderr: number | "inherit" = "inherit") {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", stderr],
  });
  return child as typeof child & { stdout: Readable };
}

/** Runs a Node process in this folder to its end: its standard output. Throws when it fails. */
export async function runNode(args: string[], env: Record<string, string> = {}): Promise<string> {
  const child = startNode(args, env);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (code !== 0) throw new Error(`node ${args.join(" ")} ended with ${code}`);
  return output;
}

/** Runs a script of this folder in Node or in Deno to its end: its standard output. Throws when it fails. */
export async function runHost(host: "node" | "deno", args: string[]): Promise<string> {
  if (host === "node") return runNode(args);
  const child = spawn(`${folder}node_modules/.bin/deno`, ["run", "--allow-all", "--no-lock", ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (code !== 0) throw new Error(`deno ${args.join(" ")} ended with ${code}`);
  return output;
}

/** A process that serves until it is disposed. */
export class Server<Ready> implements AsyncDisposable {
  readonly ready: Ready;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child;
    this.ready = ready;
  }

  /** Starts it, and waits for the first line that it prints, which is JSON. */
  static async start<Ready>(
    args: string[],
    env: Record<string, string> = {},
    stderr: number | "inherit" = "inherit",
  ): Promise<Server<Ready>> {
    const child = startNode(args, env, stderr);
    for await (const line of createInterface(child.stdout)) {
      child.stdout.resume();
      return new Server(child, JSON.parse(line) as Ready);
    }
    throw new Error(`node ${args.join(" ")} ended before it was ready`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, "exit") : null;
    this.#child.kill("SIGTERM");
    await ended;
  }
}
