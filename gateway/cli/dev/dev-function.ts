import { stat } from "node:fs/promises";
import { basename, dirname, extname, resolve } from "node:path";
import type { Command } from "commander";
import { FUNCTION_NAME } from "../../function-name.ts";
import { CliError } from "../cli-error.ts";
import { readEnvFile } from "../env-file.ts";
import type { DevFunction } from "./dev-server.ts";

/** Argument and options of the commands that work on one function in this process. */
export function withFunctionOptions(command: Command): Command {
  return command
    .argument("[path]", "its folder or file", ".")
    .option("--name <name>", "name of the function (default: that of the folder or file)")
    .option("--from-file <file>", "a .env file with the function's variables and secrets")
    .option("--allow-unannotated", "make a missing @function a warning");
}

/** What those options say. Throws a usage error when there is nothing at the path. */
export async function devFunction(path: string, options: Record<string, unknown>): Promise<DevFunction> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch((cause: unknown) => {
    throw new CliError(`there is no file or folder "${path}"`, { exitCode: 2, code: "usage", cause });
  });
  return {
    path: absolute,
    folder: found.isFile() ? dirname(absolute) : absolute,
    isFile: found.isFile(),
    name: typeof options.name === "string" ? options.name : functionNameOf(absolute),
    variables: typeof options.fromFile === "string" ? await readEnvFile(options.fromFile) : {},
    allowUnannotated: options.allowUnannotated === true,
  };
}

/** `My Function.ts` → `my-function`; `app` when nothing is left. */
export function functionNameOf(path: string): string {
  const name = basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 63);
  return FUNCTION_NAME.test(name) ? name : "app";
}
