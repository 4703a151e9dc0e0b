import { spawn } from "node:child_process";
import { once } from "node:events";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { devFunction, withFunctionOptions } from "../dev/dev-function.ts";
import { DevTerminal } from "../dev/terminal.ts";

/** `test`: the function's own tests, by Node's runner, while it runs in real sandboxes. */
export const test = withFunctionOptions(
  command("test", "run a function's tests (*.test.ts) against it; they find it at FUNCTION_URL", "all"),
).action(async (path: string, options) => {
  const { config } = contextOf(options);
  const worked = await devFunction(path, options);
  // The report is the test runner's; requests and logs go beside it.
  const terminal = new DevTerminal(worked.folder, process.stderr);
  const { withDevServer } = await import("../dev/dev-server.ts");
  await withDevServer(config, worked, terminal, async ({ url, deploy }) => {
    const { analysis } = await deploy();
    terminal.found(analysis);
    const runner = spawn(process.execPath, ["--test"], {
      cwd: worked.folder,
      env: { ...process.env, FUNCTION_URL: url },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code] = await once(runner, "exit");
    if (code !== 0) throw new CliError("tests failed", { code: "tests_failed" });
  });
});
