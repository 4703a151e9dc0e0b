import { createServer } from "node:net";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import { FunctionLogs } from "../../function-logs.ts";
import { loggerTo } from "../../log.ts";
import { startServer } from "../../server.ts";
import { lockDataDir } from "../../store/data-dir-lock.ts";
import { AdminClient } from "../admin-client.ts";
import type { CommandContext } from "../command.ts";
import { endSignal } from "../run-server.ts";
import { sendDeployment } from "../send-deployment.ts";
import { wireDevServer } from "../wiring.ts";
import { Rebuilder } from "./rebuilder.ts";
import { DevTerminal } from "./terminal.ts";
import { watchSources } from "./watch-sources.ts";

export interface DevOptions {
  /** Absolute. */
  path: string;
  /** The folder that the function's file names are relative to. */
  folder: string;
  isFile: boolean;
  name: string;
  /** The function's variables and secrets. */
  variables: Record<string, string>;
  allowUnannotated: boolean;
}

/**
 * A server in this process, with a data folder of its own (`dev` in the usual one), that has the one function. Stays until
 * it is told to end (SIGINT, SIGTERM).
 */
export async function runDev(context: CommandContext, options: DevOptions): Promise<void> {
  const { folder, isFile, name, path, variables, allowUnannotated } = options;
  const config = await devConfig(context.config);
  const terminal = new DevTerminal(folder, process.stdout);
  const logs = new FunctionLogs();
  const log = loggerTo("debug", { write: (line) => terminal.server(line) });
  const unlock = lockDataDir(config.dataDir);
  try {
    const server = await startServer(config, { ...(await wireDevServer(config, log)), logs });
    try {
      const port = Number(new URL(server.adminUrl).port);
      const client = new AdminClient({ ...config, admin: { ...config.admin, port } });
      await forget(client);
      logs.follow(name, (line) => terminal.logged(line));
      const rebuilder = new Rebuilder(async (changedAt) => {
        try {
          const { version, analysis } = await sendDeployment(client, name, path, { allowUnannotated });
          if (version === 1 && Object.keys(variables).length > 0) {
            await client.call("PUT", `/v1/functions/${name}/secrets`, variables);
          }
          terminal.built(version, performance.now() - changedAt, analysis);
        } catch (error) {
          terminal.failed(error);
        }
      });
      const watcher = watchSources(folder, !isFile, () => void rebuilder.change());
      terminal.line(`${name} answers at ${server.edgeUrl}/f/${name}\nCtrl+C stops it.\n`);
      await rebuilder.change();
      await endSignal();
      watcher.close();
    } finally {
      await server.close();
    }
  } finally {
    unlock();
  }
}

/** Versions of earlier sessions are of no use. */
async function forget(client: AdminClient): Promise<void> {
  const { functions } = await client.call<{ functions: { name: string }[] }>("GET", "/v1/functions");
  for (const { name } of functions) await client.call("DELETE", `/v1/functions/${name}`);
}

/** The usual edge port if nobody has it, and embedded databases apart from those of `start`. */
async function devConfig(config: Config): Promise<Config> {
  const { host, port } = config.edge;
  return {
    ...config,
    dataDir: join(config.dataDir, "dev"),
    store: { url: undefined },
    edge: { host, port: (await isFree(host, port)) ? port : 0 },
    admin: { ...config.admin, port: 0 },
  };
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
      .once("error", () => resolve(false))
      .listen(port, host, () => probe.close(() => resolve(true)));
  });
}
