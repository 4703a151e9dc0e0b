import { createServer } from "node:net";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import { FunctionLogs } from "../../function-logs.ts";
import { loggerTo } from "../../log.ts";
import { startServer } from "../../server.ts";
import { lockDataDir } from "../../store/data-dir-lock.ts";
import { AdminClient } from "../admin-client.ts";
import { readModuleInput } from "../module-input.ts";
import { type Deployed, sendDeployment, sendModule } from "../send-deployment.ts";
import { wireDevServer } from "../wiring.ts";
import type { DevTerminal } from "./terminal.ts";

/** The function that is worked on. */
export interface DevFunction {
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

export interface DevServer {
  /** Where the function answers. */
  url: string;
  /** Deploys what lies there now. */
  deploy(): Promise<Deployed>;
}

/**
 * Runs a server in this process, with a data folder of its own (`dev` in the usual one), and nothing on it, for as long as `work`
 * takes. Requests and the function's log go to the terminal.
 */
export async function withDevServer<T>(
  usual: Config,
  { name, path, variables, allowUnannotated }: DevFunction,
  terminal: DevTerminal,
  work: (server: DevServer) => Promise<T>,
): Promise<T> {
  const config = await devConfig(usual);
  const logs = new FunctionLogs();
  logs.follow(name, (line) => terminal.logged(line));
  const log = loggerTo("debug", { write: (line) => terminal.server(line) });
  const unlock = lockDataDir(config.dataDir);
  try {
    const { warm, ...parts } = await wireDevServer(config, log);
    const warmed = warm();
    const server = await startServer(config, { ...parts, logs });
    try {
      await warmed;
      const port = Number(new URL(server.adminUrl).port);
      const client = new AdminClient({ ...config, admin: { ...config.admin, port, url: undefined } });
      await forgetFunctions(client);
      const deploy = async () => {
        const module = await readModuleInput(path, {});
        const deployed = module
          ? await sendModule(client, name, module)
          : await sendDeployment(client, name, path, { allowUnannotated });
        if (deployed.version === 1 && Object.keys(variables).length > 0) {
          await client.call("PUT", `/v1/functions/${name}/secrets`, variables);
        }
        return deployed;
      };
      return await work({ url: `${server.edgeUrl}/f/${name}`, deploy });
    } finally {
      await server.close();
    }
  } finally {
    unlock();
  }
}

/** Versions of earlier sessions are of no use. */
async function forgetFunctions(client: AdminClient): Promise<void> {
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
