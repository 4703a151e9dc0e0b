import { Argument } from "commander";
import { command, contextOf } from "../command.ts";

/** `access`: whether requests at the edge must show a key. */
export const access = command("access", "let a function be called by everyone, or with a key only")
  .argument("<name>", "name of the function")
  .addArgument(
    new Argument("<access>", "key: requests carry one in x-function-key").choices(["public", "key"]),
  )
  .action(async (name: string, wanted: "public" | "key", options) => {
    const context = contextOf(options);
    const path = `/v1/functions/${encodeURIComponent(name)}/access`;
    const document = await context.client.call("PUT", path, { access: wanted });
    context.print(document, () =>
      wanted === "public"
        ? `Everyone can call ${name}`
        : `${name} asks for a key: \`thimble keys create <label> --scope invoke --function ${name}\` makes one`,
    );
  });
