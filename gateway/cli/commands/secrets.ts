import { text } from "node:stream/consumers";
import { Command } from "commander";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { readEnvFile } from "../env-file.ts";
import { promptHidden } from "../prompt-hidden.ts";
import { table } from "../table.ts";

const pathOf = (name: string) => `/v1/functions/${encodeURIComponent(name)}/secrets`;

const set = command("set", "set variables and secrets; they are in force with the next request")
  .argument("<name>", "name of the function")
  .argument("[pairs...]", "KEY=value, or KEY alone: its value is asked for, or read from standard input")
  .option("--from-file <file>", "also those in a .env file")
  .action(async (name: string, pairs: string[], options) => {
    const values: Record<string, string> = options.fromFile ? await readEnvFile(options.fromFile) : {};
    for (const pair of pairs) {
      const at = pair.indexOf("=");
      if (at < 0) values[pair] = await readValue(pair, pairs.length);
      else values[pair.slice(0, at)] = pair.slice(at + 1);
    }
    const keys = Object.keys(values);
    if (keys.length === 0) throw usage("nothing to set: give KEY=value, KEY, or --from-file");
    const context = contextOf(options);
    const document = await context.client.call<{ revision: number }>("PUT", pathOf(name), values);
    context.print(document, () => `Set ${keys.join(", ")} of ${name}`);
  });

const list = command("list", "list the names of variables and secrets")
  .argument("<name>", "name of the function")
  .action(async (name: string, options) => {
    const context = contextOf(options);
    type Document = { secrets: { key: string; updatedAt: string }[] };
    const document = await context.client.call<Document>("GET", pathOf(name));
    context.print(document, () => {
      if (document.secrets.length === 0) return `${name} has no variables or secrets`;
      return table([["KEY", "SET"], ...document.secrets.map(({ key, updatedAt }) => [key, updatedAt])]);
    });
  });

const rm = command("rm", "remove variables and secrets")
  .argument("<name>", "name of the function")
  .argument("[keys...]", "their names")
  .option("--all", "all of them")
  .action(async (name: string, keys: string[], options) => {
    if ((keys.length === 0) === (options.all !== true))
      throw usage("name the secrets to remove, or give --all");
    const context = contextOf(options);
    if (options.all) {
      const document = await context.client.call("DELETE", pathOf(name));
      context.print(document, () => `Removed all secrets of ${name}`);
      return;
    }
    let document: unknown;
    for (const key of keys)
      document = await context.client.call("DELETE", `${pathOf(name)}/${encodeURIComponent(key)}`);
    context.print(document, () => `Removed ${keys.join(", ")} of ${name}`);
  });

const rotateKey = command("rotate-key", "seal all secrets with a new master key").action(async (options) => {
  const context = contextOf(options);
  type Document = { resealed: number; keyMade: boolean };
  const document = await context.client.call<Document>("POST", "/v1/master-key/rotation");
  context.print(document, () => {
    const { resealed, keyMade } = document;
    const how = keyMade
      ? "with a new key, which is in master-key of the server's data folder: back it up"
      : "with the first key in THIMBLE_MASTER_KEY; the others are not needed any more";
    return `Sealed ${resealed} ${resealed === 1 ? "secret" : "secrets"} ${how}`;
  });
});

/** `secrets`: a function's variables and secrets. */
export const secrets = new Command("secrets")
  .description("set, list and remove a function's variables and secrets")
  .addCommand(set)
  .addCommand(list)
  .addCommand(rm)
  .addCommand(rotateKey);

/** One line from the terminal, unseen; or everything on standard input, without the newline at its end. */
async function readValue(key: string, wanted: number): Promise<string> {
  if (process.stdin.isTTY) return promptHidden(`${key}: `);
  if (wanted > 1) throw usage(`${key}: standard input can hold the value of one secret only`);
  return (await text(process.stdin)).replace(/\r?\n$/, "");
}

const usage = (message: string) => new CliError(message, { exitCode: 2, code: "usage" });
