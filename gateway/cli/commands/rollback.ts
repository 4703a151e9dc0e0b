import { command, contextOf } from "../command.ts";
import { versionNumber } from "../version-number.ts";

/** `rollback`: an earlier version answers again. */
export const rollback = command("rollback", "make an earlier version live")
  .argument("<name>", "name of the function")
  .argument("<version>", "its number")
  .action(async (name: string, version: string, options) => {
    const number = versionNumber(version);
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/rollback`;
    const document = await context.client.call("POST", path, { version: number });
    context.print(document, () => `${name} answers with version ${version} now`);
  });
