import { command, contextOf } from "../command.ts";
import { printable, table } from "../table.ts";

interface Entry {
  timestamp: string;
  actor: string;
  address: string | null;
  action: string;
  functionName: string | null;
  status: number;
  errorCode: string | null;
}

/** `audit`: who changed what, and who was refused. */
export const audit = command("audit", "show who changed what, and who was refused")
  .argument("[name]", "only what concerns this function")
  .option("-n, --limit <entries>", "how many of the last", "50")
  .action(async (name: string | undefined, options) => {
    const context = contextOf(options);
    const query = new URLSearchParams({
      limit: options.limit,
      ...(name !== undefined && { function: name }),
    });
    const document = await context.client.call<{ entries: Entry[] }>("GET", `/v1/audit?${query}`);
    context.print(document, () => {
      const rows = document.entries.map((entry) => [
        entry.timestamp,
        printable(entry.actor),
        entry.address ?? "-",
        entry.action,
        entry.functionName ?? "-",
        entry.errorCode ? `${entry.status} ${entry.errorCode}` : String(entry.status),
      ]);
      return table([["TIME", "WHO", "FROM", "WHAT", "FUNCTION", "ANSWER"], ...rows]);
    });
  });
