import { createLogger, flushLogger, type LogOptions } from "../log.ts";
import { type RunningServer, startServer } from "../server.ts";
import { lockDataDir } from "../store/data-dir-lock.ts";
import type { CommandContext } from "./command.ts";
import { wireServer } from "./wiring.ts";

/**
 * Starts the server and stays until it is told to end (SIGINT, SIGTERM); a second signal ends it at once. `ready` is
 * called once it accepts requests. With `restartOnHangUp`, SIGHUP replaces the worker processes.
 */
export async function runServer(
  { config }: CommandContext,
  logTo: LogOptions["to"],
  ready: (server: RunningServer) => void | Promise<void>,
  { restartOnHangUp = false } = {},
): Promise<void> {
  const unlock = lockDataDir(config.dataDir);
  const log = createLogger({ level: config.logLevel, to: logTo });
  try {
    const server = await startServer(config, await wireServer(config, log));
    const told = endSignal();
    if (restartOnHangUp) {
      process.on("SIGHUP", () => {
        server
          .restartWorkers()
          .catch((error) => log.error({ err: error }, "the restart of the workers failed"));
      });
    }
    try {
      await ready(server);
      await told;
      log.info("stopping");
    } finally {
      await server.close();
    }
  } finally {
    unlock();
    await flushLogger(log);
  }
}

/** Resolves at SIGINT or SIGTERM; a second one ends the process at once. */
export function endSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        resolve();
        process.once(signal, () => process.exit(1));
      });
    }
  });
}
