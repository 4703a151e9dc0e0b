import type { FunctionLogLine } from "../../function-logs.ts";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { serverSentData } from "../server-sent-events.ts";
import { printable } from "../table.ts";

/** `logs`: what a function logged lately; `--follow` goes on (with `--json`, one document per line). */
export const logs = command("logs", "show a function's log")
  .argument("<name>", "name of the function")
  .option("-f, --follow", "go on with new lines")
  .option("-n, --limit <lines>", "how many of the last lines", "100")
  .action(async (name: string, options) => {
    if (!/^\d{1,4}$/.test(options.limit)) {
      throw new CliError(`--limit: ${JSON.stringify(options.limit)} is not a number`, {
        exitCode: 2,
        code: "usage",
      });
    }
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/logs?limit=${options.limit}`;
    if (!options.follow) {
      const document = await context.client.call<{ logs: FunctionLogLine[] }>("GET", path);
      context.print(document, () => document.logs.map(format).join("\n"));
      return;
    }
    const response = await context.client.open("GET", `${path}&follow=1`);
    for await (const data of serverSentData(response)) {
      const line = JSON.parse(data) as FunctionLogLine;
      context.print(line, () => format(line));
    }
  });

function format(line: FunctionLogLine): string {
  return `${line.time} ${line.level.padEnd(5)} v${line.version} ${line.requestId.slice(0, 8)} ${printable(line.message)}`;
}
