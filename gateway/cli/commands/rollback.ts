import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";

/** `rollback`: an earlier version answers again. */
export const rollback = command("rollback", "make an earlier version live")
  .argument("<name>", "name of the function")
  .argument("<version>", "its number")
  .action(async (name: string, version: string, options) => {
    if (!/^[1-9]\d{0,8}$/.test(version)) {
      throw new CliError(`${JSON.stringify(version)} is not a version number`, {
        exitCode: 2,
        code: "usage",
      });
    }
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/rollback`;
    const document = await context.client.call("POST", path, { version: Number(version) });
    context.print(document, () => `${name} answers with version ${version} now`);
  });
