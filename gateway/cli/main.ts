import { Command, CommanderError } from "commander";
import { formatFindings } from "../../compiler/code-frame.ts";
import type { Analysis } from "../../compiler/types.ts";
import { codeOf } from "../errors.ts";
import { access } from "./commands/access.ts";
import { audit } from "./commands/audit.ts";
import { build } from "./commands/build.ts";
import { config } from "./commands/config.ts";
import { db } from "./commands/db.ts";
import { remove } from "./commands/delete.ts";
import { deploy } from "./commands/deploy.ts";
import { dev } from "./commands/dev.ts";
import { init } from "./commands/init.ts";
import { invoke } from "./commands/invoke.ts";
import { keys } from "./commands/keys.ts";
import { list } from "./commands/list.ts";
import { logs } from "./commands/logs.ts";
import { meter } from "./commands/meter.ts";
import { rollback } from "./commands/rollback.ts";
import { secrets } from "./commands/secrets.ts";
import { serve } from "./commands/serve.ts";
import { start } from "./commands/start.ts";
import { stats } from "./commands/stats.ts";
import { test } from "./commands/test.ts";
import { traffic } from "./commands/traffic.ts";
import { versions } from "./commands/versions.ts";
import { packageVersion } from "./wiring.ts";

/** The program `thimble`. Exit codes: 0 good, 1 the operation failed, 2 wrong usage. */

const commands = [
  ...[start, serve, init, dev, test, deploy, invoke, list, versions, rollback, traffic, remove],
  ...[secrets, access, keys, audit, logs, stats, config, db, build, meter],
];

async function main(argv: string[]): Promise<void> {
  const program = new Command("thimble")
    .description("Run functions, each request in a pristine WebAssembly sandbox")
    .version(await packageVersion())
    .exitOverride()
    .showHelpAfterError("(--help shows what there is)");
  for (const command of commands) program.addCommand(adopt(command, program));
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error, argv.includes("--json"));
  }
}

/** A command, and those in it, that report to us instead of ending the process. */
function adopt(command: Command, parent: Command): Command {
  command.exitOverride().copyInheritedSettings(parent);
  for (const inner of command.commands) adopt(inner, command);
  return command;
}

/** Tells what went wrong, on standard error and with `--json` as the document too; returns the exit code. */
function report(error: unknown, json: boolean): number {
  // Commander has said it already; asking for help or the version is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { message, exitCode, analysis, findings } = error as Error & {
    exitCode?: number;
    analysis?: Analysis;
    findings?: Analysis["findings"];
  };
  const code = codeOf(error);
  if (json) {
    const document = { error: { code: code ?? "failed", message }, ...(analysis && { analysis }) };
    process.stdout.write(`${JSON.stringify(document)}\n`);
  }
  const frames = formatFindings(analysis?.findings ?? findings ?? [], { color: process.stderr.isTTY });
  if (frames) process.stderr.write(`${frames}\n`);
  process.stderr.write(`thimble: ${message}\n`);
  // An error without a code is a fault of ours, and its stack is what helps to mend it.
  if (code === undefined && process.env.THIMBLE_DEBUG) process.stderr.write(`${(error as Error).stack}\n`);
  return exitCode ?? 1;
}

await main(process.argv);
