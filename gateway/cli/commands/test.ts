import { spawn } from "node:child_process";
import { once } from "node:events";
import { glob } from "node:fs/promises";
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
  const files = await testFiles(worked.folder);
  // The report is the test runner's; requests and logs go beside it.
  const terminal = new DevTerminal(worked.folder, process.stderr);
  const { withDevServer } = await import("../dev/dev-server.ts");
  await withDevServer(config, worked, terminal, async ({ url, deploy }) => {
    const { analysis } = await deploy();
    terminal.found(analysis);
    const runner = spawn(process.execPath, ["--test", ...files], {
      cwd: worked.folder,
      env: { ...process.env, FUNCTION_URL: url },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code] = await once(runner, "exit");
    if (code !== 0) throw new CliError("tests failed", { code: "tests_failed" });
  });
});

/** Relative to the folder. Throws `CliError` when there are none: a run without tests would look like one that went well. */
async function testFiles(folder: string): Promise<string[]> {
  const found = glob("**/*.test.{ts,mts,cts,tsx,js,mjs,cjs}", { cwd: folder, exclude: ["**/node_modules"] });
  const files = (await Array.fromAsync(found)).sort();
  if (files.length > 0) return files;
  throw new CliError(`there are no tests (*.test.ts) in ${folder}`, { code: "no_tests" });
}
