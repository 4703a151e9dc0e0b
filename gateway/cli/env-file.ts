import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import { CliError } from "./cli-error.ts";

/** The variables in a `.env` file. Throws a usage error when it cannot be read. */
export async function readEnvFile(path: string): Promise<Record<string, string>> {
  try {
    return { ...parseEnv(await readFile(path, "utf8")) } as Record<string, string>;
  } catch (cause) {
    throw new CliError(`--from-file: cannot read ${path}`, { exitCode: 2, code: "usage", cause });
  }
}
