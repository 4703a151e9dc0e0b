// The broker's side: serves until its parent is gone or tells it to end.
import { type BrokerConfig, openRawBroker } from "./broker.ts";
import { serveBroker } from "./broker-server.ts";

export interface BrokerJob {
  socketPath: string;
  config: Omit<BrokerConfig, "onFailure">;
}

export type BrokerMessage =
  | { kind: "ready" }
  | { kind: "failing"; message: string }
  | { kind: "failed"; message: string };

process.once("message", async ({ socketPath, config }: BrokerJob) => {
  try {
    const onFailure = (message: string) =>
      process.send?.({ kind: "failing", message } satisfies BrokerMessage);
    const broker = openRawBroker({ ...config, onFailure });
    const server = await serveBroker(broker, socketPath);
    process.once("disconnect", async () => {
      await server.close();
      await broker.close();
      process.exit(0);
    });
    process.send?.({ kind: "ready" } satisfies BrokerMessage);
    broker.warm();
  } catch (error) {
    process.send?.({ kind: "failed", message: (error as Error).message } satisfies BrokerMessage);
  }
});
// Ctrl+C goes to the whole group; the parent decides when the broker ends.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
