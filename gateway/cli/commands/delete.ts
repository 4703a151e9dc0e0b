import { command, contextOf } from "../command.ts";

/** `delete`: the function and all its versions. */
export const remove = command("delete", "delete a function with all its versions")
  .argument("<name>", "name of the function")
  .action(async (name: string, options) => {
    const context = contextOf(options);
    const document = await context.client.call("DELETE", `/v1/functions/${encodeURIComponent(name)}`);
    context.print(document, () => `Deleted ${name}`);
  });
