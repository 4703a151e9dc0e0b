import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningServer } from "../../server.ts";
import { AdminClient } from "../admin-client.ts";
import { type CommandContext, command, contextOf } from "../command.ts";
import { sendDeployment } from "../send-deployment.ts";

const EXAMPLE = fileURLToPath(new URL("../../../examples/simple-function", import.meta.url));
const EXAMPLE_NAME = "hello";

/** `start`: for the first time at the terminal. As `serve`, with an example to call and the log in a file. */
export const start = command(
  "start",
  "run the server, with an example deployed when there is nothing yet",
  "all",
).action(async (options) => {
  const context = contextOf(options);
  const { runServer } = await import("../run-server.ts");
  const logFile = join(context.config.dataDir, "thimble.log");
  await runServer(context, { file: logFile }, async (server) => {
    const example = server.functionCount() === 0 ? await deployExample(context, server) : undefined;
    const { edgeUrl, adminUrl } = server;
    const document = { edgeUrl, adminUrl, log: logFile, example: example ?? null };
    context.print(document, () => greeting(server, logFile, example));
  });
});

function greeting(server: RunningServer, logFile: string, example: string | undefined): string {
  const lines = [
    "Thimble is running.",
    "",
    `  functions  ${server.edgeUrl}/f/<name>`,
    `  admin      ${server.adminUrl}`,
    `  log        ${relative(process.cwd(), logFile)}`,
    "",
  ];
  if (example) {
    lines.push(
      "An example is deployed. In another terminal:",
      "",
      `  curl '${server.edgeUrl}/f/${example}?name=you'`,
      "  npx thimble deploy my-function ./path/to/it",
      "",
    );
  } else {
    lines.push("In another terminal:", "", "  npx thimble list", "");
  }
  lines.push("Ctrl+C stops it.");
  return lines.join("\n");
}

/** A failure here is told and does not keep the server from running. */
async function deployExample(context: CommandContext, server: RunningServer): Promise<string | undefined> {
  const { config } = context;
  const port = Number(new URL(server.adminUrl).port);
  try {
    const client = new AdminClient({ ...config, admin: { ...config.admin, port, url: undefined } });
    await sendDeployment(client, EXAMPLE_NAME, EXAMPLE);
    return EXAMPLE_NAME;
  } catch (error) {
    process.stderr.write(`The example could not be deployed: ${(error as Error).message}\n`);
    return undefined;
  }
}
