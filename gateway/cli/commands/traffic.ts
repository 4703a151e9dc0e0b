import type { FunctionView } from "../../admin/views.ts";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { table } from "../table.ts";

/** `traffic`: shows how requests are shared out among versions, or changes it. */
export const traffic = command("traffic", "share requests out among versions, or show how they are")
  .argument("<name>", "name of the function")
  .argument("[shares...]", "version=percent, together 100: 3=90 4=10")
  .option("--sticky <how>", "keep clients at their version: cookie, or header:<name>")
  .action(async (name: string, shares: string[], options) => {
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}`;
    const shown =
      shares.length === 0
        ? await context.client.call<FunctionView>("GET", path)
        : (
            await context.client.call<{ function: FunctionView }>("PUT", `${path}/traffic`, {
              ...sharesOf(shares),
              ...(options.sticky && { sticky: options.sticky }),
            })
          ).function;
    const { traffic, sticky, previews } = shown;
    context.print({ traffic, sticky, previews }, () => {
      const rows = Object.entries(previews)
        .sort(([a], [b]) => Number(b) - Number(a))
        .map(([version, preview]) => [version, `${traffic[version] ?? 0} %`, preview]);
      const how = sticky ? `\nClients stay with their version by ${sticky.replace(":", " ")}` : "";
      return table([["VERSION", "TRAFFIC", "PREVIEW"], ...rows]) + how;
    });
  });

function sharesOf(pairs: string[]): Record<string, number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, version, percent] = /^(\d{1,9})=(\d{1,3}(?:\.\d{1,2})?)%?$/.exec(pair) ?? [];
      if (version) return [version, Number(percent)];
      throw new CliError(`${JSON.stringify(pair)} is not version=percent`, { exitCode: 2, code: "usage" });
    }),
  );
}
