import type { RunningServer } from "../../server.ts";
import { command, contextOf } from "../command.ts";

/** `serve`: the server, with its log as JSON lines on standard output (standard error with `--json`). */
export const serve = command("serve", "run the server", "all").action(async (options) => {
  const context = contextOf(options);
  // Only the server needs its parts; the other commands start faster without them.
  const { runServer } = await import("../run-server.ts");
  const tell = ({ edgeUrl, adminUrl }: RunningServer) => {
    if (context.json) process.stdout.write(`${JSON.stringify({ edgeUrl, adminUrl })}\n`);
  };
  await runServer(context, context.json ? "stderr" : "stdout", tell, { restartOnHangUp: true });
});
