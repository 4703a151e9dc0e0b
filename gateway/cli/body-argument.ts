import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { CliError } from "./cli-error.ts";

export interface BodyArgument {
  body: string;
  bodyEncoding: "utf8" | "base64";
  contentType: string;
}

/** `--body`: the text itself, `@file`, or `-` for standard input. Its content type follows from what it is. */
export async function readBodyArgument(argument: string): Promise<BodyArgument> {
  const data = argument === "-" ? await buffer(process.stdin) : await fromArgument(argument);
  let body: string;
  try {
    body = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return { body: data.toString("base64"), bodyEncoding: "base64", contentType: "application/octet-stream" };
  }
  return {
    body,
    bodyEncoding: "utf8",
    contentType: isJson(body) ? "application/json" : "text/plain;charset=UTF-8",
  };
}

async function fromArgument(argument: string): Promise<Buffer> {
  if (!argument.startsWith("@")) return Buffer.from(argument);
  const path = argument.slice(1);
  try {
    return await readFile(path);
  } catch (error) {
    throw new CliError(`--body: cannot read ${path}`, { exitCode: 2, code: "usage", cause: error });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `key=value`, split at the first `separator`. Throws a usage error naming the flag. */
export function splitPair(flag: string, argument: string, separator: string): [string, string] {
  const at = argument.indexOf(separator);
  if (at < 1) {
    throw new CliError(`${flag}: ${JSON.stringify(argument)} is not name${separator}value`, {
      exitCode: 2,
      code: "usage",
    });
  }
  return [argument.slice(0, at).trim(), argument.slice(at + 1).trimStart()];
}
