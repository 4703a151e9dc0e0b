import { type ChildProcess, fork } from "node:child_process";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Handle } from "../listen.ts";
import { Channel, type Handlers } from "./channel.ts";
import { supervisorMethods, workerMethods } from "./protocol.ts";

export interface WorkerProcessOptions {
  /** What the process runs. */
  script: string;
  /** More flags for Node. */
  execArgv?: readonly string[];
  handlers: Handlers<typeof supervisorMethods>;
}

/** A worker as the supervisor holds it: a process with as little as possible, and the channel to it. */
export class WorkerProcess {
  readonly channel: Channel<typeof supervisorMethods, typeof workerMethods>;
  readonly pid: number;
  /** How it ended, in words. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  #reason: string | undefined;

  constructor({ script, execArgv = [], handlers }: WorkerProcessOptions) {
    const child = fork(script, {
      execArgv: [...permissions(), "--no-warnings", ...execArgv],
      env: environment(),
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.channel = new Channel(
      // An error of sending means that the process is ending, which is noticed anyway.
      { send: (message, handle) => void child.send(message as object, handle as never, {}, () => {}) },
      { ours: supervisorMethods, theirs: workerMethods },
      handlers,
      (error) => this.kill(`it broke the protocol: ${error.message}`),
    );
    child.on("message", (message, handle) => this.channel.receive(message, handle as Handle | undefined));
    this.exited = new Promise((resolve) => {
      const end = (how: string) => {
        const reason = this.#reason ?? how;
        this.channel.close(`worker ${this.pid} ended: ${reason}`);
        resolve(reason);
      };
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      child.once("error", (error) => {
        if (child.pid === undefined) end(error.message);
      });
    });
  }

  /** Ends it at once. */
  kill(reason: string): void {
    this.#reason ??= reason;
    this.#child.kill("SIGKILL");
  }

  /** Lets it end by itself: without a channel it does. */
  release(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** Node's permission model: reading Thimble's code and, where it can be said, the network. No files to write, processes, threads or addons. */
function permissions(): string[] {
  const project = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  const readable = ["compiler/*", "gateway/*", "runtime/*", "node_modules/*", "package.json"].map(project);
  // a linked node_modules is read where it really lies
  readable.push(`${realpathSync(project("node_modules"))}/*`);
  // before Node 25 the model leaves the network alone
  const network = process.allowedNodeEnvironmentFlags.has("--allow-net") ? ["--allow-net"] : [];
  return ["--permission", ...network, ...readable.map((path) => `--allow-fs-read=${path}`)];
}

/** Nothing of the supervisor's environment but which authorities TLS trusts. */
function environment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ["NODE_ENV", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
