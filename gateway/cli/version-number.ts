import { CliError } from "./cli-error.ts";

/** A version as it is given on the command line. Throws a usage error. */
export function versionNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CliError(`${JSON.stringify(text)} is not a version number`, { exitCode: 2, code: "usage" });
}
