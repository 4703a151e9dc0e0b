import { stat } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import { FUNCTION_NAME } from "../../function-name.ts";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { readEnvFile } from "../env-file.ts";

/** `dev`: one function on a server of its own, built anew at every save. */
export const dev = command("dev", "run a function and rebuild it at every save", "all")
  .argument("[path]", "its folder or file", ".")
  .option("--name <name>", "name of the function (default: that of the folder or file)")
  .option("--from-file <file>", "a .env file with the function's variables and secrets")
  .option("--allow-unannotated", "make a missing @function a warning")
  .action(async (path: string, options) => {
    const context = contextOf(options);
    const absolute = resolve(path);
    const found = await stat(absolute).catch((cause: unknown) => {
      throw new CliError(`there is no file or folder "${path}"`, { exitCode: 2, code: "usage", cause });
    });
    const { runDev } = await import("../dev/run-dev.ts");
    await runDev(context, {
      path: absolute,
      folder: found.isFile() ? dirname(absolute) : absolute,
      isFile: found.isFile(),
      name: options.name ?? nameOf(absolute),
      variables: options.fromFile ? await readEnvFile(options.fromFile) : {},
      allowUnannotated: options.allowUnannotated === true,
    });
  });

/** `My Function.ts` → `my-function`; `app` when nothing is left. */
function nameOf(path: string): string {
  const name = basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 63);
  return FUNCTION_NAME.test(name) ? name : "app";
}
