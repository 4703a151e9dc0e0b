import { command, contextOf } from "../command.ts";
import { bytes, table } from "../table.ts";

interface Version {
  version: number;
  artifactHash: string;
  artifactBytes: number;
  createdAt: string;
  live: boolean;
  percent: number;
}

/** `versions`: everything that was deployed under a name. */
export const versions = command("versions", "list a function's versions")
  .argument("<name>", "name of the function")
  .action(async (name: string, options) => {
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/versions`;
    const document = await context.client.call<{ versions: Version[] }>("GET", path);
    context.print(document, () => {
      const rows = document.versions.map((v) => [
        `${v.version}${v.live ? " (live)" : ""}`,
        `${v.percent} %`,
        v.artifactHash.slice(0, 12),
        bytes(v.artifactBytes),
        v.createdAt,
      ]);
      return table([["VERSION", "TRAFFIC", "HASH", "SIZE", "DEPLOYED"], ...rows]);
    });
  });
