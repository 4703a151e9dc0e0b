import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { FunctionLogs } from "../function-logs.ts";

/** Lines kept for a reader that is slower than the function. */
const MAX_BACKLOG = 1000;
const KEEP_ALIVE_MS = 15_000;

/** Server-sent events: the lines there are, then each new one as event `log`; ends when `stop` fires. */
export function streamLogs(
  c: Context,
  logs: FunctionLogs,
  name: string,
  limit: number,
  stop: AbortSignal,
): Response {
  return streamSSE(c, async (stream) => {
    const waiting = logs.recent(name, limit);
    let wake: () => void = () => {};
    const unfollow = logs.follow(name, (line) => {
      if (waiting.length < MAX_BACKLOG) waiting.push(line);
      wake();
    });
    const end = () => wake();
    stream.onAbort(end);
    stop.addEventListener("abort", end);
    try {
      while (!stream.aborted && !stop.aborted) {
        const line = waiting.shift();
        if (line) {
          await stream.writeSSE({ event: "log", data: JSON.stringify(line) });
          continue;
        }
        let timer: NodeJS.Timeout | undefined;
        const woken = await new Promise<boolean>((resolve) => {
          wake = () => resolve(true);
          timer = setTimeout(() => resolve(false), KEEP_ALIVE_MS);
        });
        clearTimeout(timer);
        if (!woken) await stream.write(": still here\n\n");
      }
    } finally {
      unfollow();
      stop.removeEventListener("abort", end);
    }
  });
}
