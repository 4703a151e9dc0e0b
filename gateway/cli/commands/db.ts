import { Command, Option } from "commander";
import type { Step } from "../../broker/set-up.ts";
import { checkFunctionName } from "../../function-name.ts";
import { CliError } from "../cli-error.ts";
import { type CommandContext, command, contextOf } from "../command.ts";
import { table } from "../table.ts";

const setUp = () => import("../../broker/set-up.ts");

/** As whom to set up: the URL of an admin, or else that of the functions themselves. */
function adminOf({ config }: CommandContext) {
  const adminUrl = config.database.adminUrl ?? config.database.url;
  if (!adminUrl)
    throw new CliError("FUNCTION_DATABASE_URL is not set: the embedded database has no roles", {
      exitCode: 2,
      code: "usage",
    });
  return { adminUrl, dataDir: config.dataDir };
}

const told = (steps: Step[]) =>
  steps.map(({ sql, skipped }) => `${sql};${skipped ? `\n  -- not done: ${skipped}` : ""}`).join("\n");

const init = command(
  "init",
  "set up the functions' database: from then on a function needs a grant",
  "all",
).action(async (options) => {
  const context = contextOf(options);
  const { initDatabase } = await setUp();
  const steps = await initDatabase(adminOf(context));
  context.print({ steps }, () => told(steps));
  context.note(
    "A function has access to the database once it was granted: thimble db grant <function> --read",
  );
});

const grant = command("grant", "give a function a login of its own", "all")
  .argument("<function>", "name of the function; it need not be deployed yet")
  .addOption(new Option("--read", "it may read (the default)").conflicts("write"))
  .option("--write", "it may insert, update and delete, too")
  .option("--tables <tables...>", "only these, of the schema public")
  .addOption(new Option("--create", "and may create tables, in a schema of its own").implies({ write: true }))
  .action(async (name: string, options) => {
    const context = contextOf(options);
    const { maxConnections, timeoutMs } = context.config.database;
    const { grantAccess } = await setUp();
    const { role, steps } = await grantAccess({
      ...adminOf(context),
      functionName: checkFunctionName(name),
      access: options.write ? "write" : "read",
      tables: options.tables,
      create: options.create === true,
      maxConnections,
      timeoutMs,
    });
    context.print({ function: name, role, steps }, () => told(steps));
    context.note(`${name} logs in as ${role}.`);
  });

const revoke = command("revoke", "take a function's login away, and drop what it owns", "all")
  .argument("<function>", "name of the function")
  .action(async (name: string, options) => {
    const context = contextOf(options);
    const { revokeAccess } = await setUp();
    const steps = await revokeAccess({ ...adminOf(context), functionName: checkFunctionName(name) });
    context.print({ function: name, steps }, () => told(steps));
  });

const grants = command("grants", "list the functions that have a login", "all").action(async (options) => {
  const context = contextOf(options);
  const { listGrants } = await setUp();
  const found = listGrants(adminOf(context));
  context.print({ grants: found }, () => {
    if (!found) return "The database is not set up: every function uses the role of FUNCTION_DATABASE_URL.";
    const rows = Object.entries(found).map(([name, { user, access }]) => [name, access, user]);
    return rows.length > 0
      ? table([["FUNCTION", "ACCESS", "ROLE"], ...rows])
      : "No function was granted access.";
  });
});

/** `db`: the functions' database and who may do what in it. */
export const db = new Command("db")
  .description("set up the functions' database and the roles in it")
  .addCommand(init)
  .addCommand(grant)
  .addCommand(revoke)
  .addCommand(grants);
