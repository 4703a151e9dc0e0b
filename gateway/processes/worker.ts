import { monitorEventLoopDelay } from "node:perf_hooks";
import type { EdgeConfig } from "../config.ts";
import { Edge } from "../edge/edge.ts";
import type { Handle } from "../listen.ts";
import { type Logger, loggerTo } from "../log.ts";
import type { EdgeParts } from "../ports.ts";
import { Channel } from "./channel.ts";
import { HEARTBEAT_INTERVAL_MS, supervisorMethods, type WorkerStart, workerMethods } from "./protocol.ts";
import { Reporter } from "./reporter.ts";

/** What it takes to run functions, made from what the supervisor sends. */
export type MakeEdgeParts = (
  config: EdgeConfig,
  engine: Uint8Array,
  brokerSocket: string,
) => Promise<EdgeParts>;

/** Time for answers to leave when the process has failed and is about to end, ms. */
const LAST_WORDS_MS = 300;

/**
 * The worker's side: makes this process, which the supervisor has forked, an edge that obeys it. It ends when told so, when it
 * fails, and, after what is under way, when the supervisor is gone: nobody would tell it of new versions any more.
 */
export function runWorker(makeParts: MakeEdgeParts): void {
  let edge: Promise<Edge> | undefined;
  let log: Logger | undefined;
  const channel = new Channel(
    { send: (message, handle) => void process.send?.(message, handle as never) },
    { ours: workerMethods, theirs: supervisorMethods },
    {
      start: async (start, { handle }) => {
        log = loggerTo(start.config.logLevel, reporter, { worker: start.worker });
        edge = openEdge(start, handle, makeParts, channel, reporter, log);
        const running = await edge;
        if (!handle) channel.tell("listening", undefined, running.socket);
        beat(running);
        return { url: running.url };
      },
      put: async ({ stored, built }) => (await started()).put(stored, built),
      remove: async ({ name }) => (await started()).remove(name),
      check: async ({ artifact }) => (await started()).check(artifact),
      invoke: async ({ name, input, requestId }, { signal }) =>
        (await started()).invoke(name, input, requestId, signal),
      stats: async () => {
        const { workers: _, ...stats } = await (await started()).stats();
        return stats;
      },
      grant: async ({ key, count }) => (await started()).slots.grant(key, count),
      owe: async ({ key, count, keep }) => (await started()).slots.owe(key, count, keep),
      drain: ({ gently }) => end(gently),
    },
    (error) => {
      throw error;
    },
  );
  const reporter = new Reporter((report) => channel.call("report", report));

  const started = (): Promise<Edge> => edge ?? Promise.reject(new Error("the worker has not been started"));

  const beat = (running: Edge) => {
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    setInterval(async () => {
      const { activeExecutions } = await running.stats();
      const eventLoopDelayMs = delay.max / 1e6;
      delay.reset();
      channel.tell("heartbeat", {
        eventLoopDelayMs,
        memoryBytes: process.memoryUsage.rss(),
        activeExecutions,
      });
    }, HEARTBEAT_INTERVAL_MS).unref();
  };

  let ending: Promise<void> | undefined;
  const end = async (gently: boolean): Promise<void> => {
    ending ??= endEdge(gently).then(() => reporter.close());
    await ending;
  };
  const endEdge = async (gently: boolean) => {
    const running = await edge?.catch(() => undefined);
    if (gently) await running?.retire();
    await running?.close();
  };

  const fail = (error: unknown) => {
    log?.fatal({ err: error }, "the worker failed");
    void edge?.then((running) => running.fail()).then(() => reporter.flush());
    setTimeout(() => process.exit(1), LAST_WORDS_MS);
  };

  process.on("message", (message, handle) => channel.receive(message, handle as Handle | undefined));
  process.on("disconnect", async () => {
    channel.close("the supervisor is gone");
    await end(false);
    process.exit(0);
  });
  process.on("uncaughtException", fail);
  // A terminal sends these to all processes; the supervisor decides what they mean.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
}

async function openEdge(
  { config, engine, brokerSocket, functions }: WorkerStart,
  handle: Handle | undefined,
  makeParts: MakeEdgeParts,
  channel: Channel<typeof workerMethods, typeof supervisorMethods>,
  reporter: Reporter,
  log: Logger,
): Promise<Edge> {
  const edge = new Edge({
    ...(await makeParts(config, engine, brokerSocket)),
    config,
    catalog: { list: () => functions },
    artifacts: {
      artifact: (functionId, version) => channel.call("artifact", { functionId, version }),
      rebuilt: (functionId, version) => channel.call("rebuilt", { functionId, version }),
    },
    history: {
      append: async (lines) => {
        await channel.call("append", { lines });
      },
      save: async (rows) => {
        await channel.call("save", { rows });
      },
    },
    lender: {
      want: (key, count) => channel.tell("want", { key, count }),
      giveBack: (key, count, wanted) => channel.tell("giveBack", { key, count, wanted }),
    },
    logs: reporter,
    metrics: reporter,
    log,
  });
  await edge.open({ shared: true, socket: handle });
  return edge;
}
