import { Command, Option } from "commander";
import { SCOPES } from "../../scope.ts";
import { CliError } from "../cli-error.ts";
import { command, contextOf } from "../command.ts";
import { printable, table } from "../table.ts";

interface Key {
  id: string;
  name: string;
  scopes: string[];
  function: string | null;
  expiresAt: string | null;
  revokedAt: string | null;
  lastUsedAt: string | null;
}

const create = command("create", "make a key; it is shown this once")
  .argument("<label>", "what it is for")
  .addOption(new Option("--scope <scopes...>", "what it may do").choices(SCOPES).makeOptionMandatory())
  .option("--function <name>", "the only function that it is good for")
  .option("--expires <time>", "30d, 12h, 45m, or a date such as 2030-01-31")
  .action(async (label: string, options) => {
    const context = contextOf(options);
    const input: Record<string, unknown> = { name: label, scopes: options.scope };
    if (options.function !== undefined) input.function = options.function;
    if (options.expires !== undefined) input.expiresAt = expiry(options.expires);
    const document = await context.client.call<Key & { key: string }>("POST", "/v1/keys", input);
    context.print(document, () => document.key);
    context.note(`Key ${document.id}. It is not shown again; set it as THIMBLE_ADMIN_KEY where it is used.`);
  });

const list = command("list", "list the keys").action(async (options) => {
  const context = contextOf(options);
  const document = await context.client.call<{ keys: Key[] }>("GET", "/v1/keys");
  context.print(document, () => {
    if (document.keys.length === 0)
      return "No keys besides the server's own. `thimble keys create` makes one.";
    const rows = document.keys.map((key) => [
      key.id,
      printable(key.name),
      key.scopes.join(","),
      key.function ?? "all",
      state(key),
      key.lastUsedAt ?? "never",
    ]);
    return table([["ID", "LABEL", "SCOPES", "FUNCTION", "STATE", "USED"], ...rows]);
  });
});

const revoke = command("revoke", "refuse a key from now on")
  .argument("<id>", "its id, from `keys list`")
  .action(async (id: string, options) => {
    const context = contextOf(options);
    const document = await context.client.call<Key>("DELETE", `/v1/keys/${encodeURIComponent(id)}`);
    context.print(document, () => `Revoked ${printable(document.name)}`);
  });

/** `keys`: who may use the admin API, and protected functions. */
export const keys = new Command("keys")
  .description("make, list and revoke keys of the admin API and of protected functions")
  .addCommand(create)
  .addCommand(list)
  .addCommand(revoke);

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function expiry(text: string): string {
  const [, amount, unit] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const time = amount
    ? Date.now() + Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
    : /^\d{4}-\d{2}-\d{2}/.test(text)
      ? Date.parse(text)
      : Number.NaN;
  if (Number.isFinite(time)) return new Date(time).toISOString();
  throw new CliError(`--expires: ${JSON.stringify(text)} is neither a time such as 30d nor a date`, {
    exitCode: 2,
    code: "usage",
  });
}

function state({ revokedAt, expiresAt }: Key): string {
  if (revokedAt) return `revoked ${revokedAt}`;
  if (!expiresAt) return "in force";
  return Date.parse(expiresAt) < Date.now() ? `expired ${expiresAt}` : `until ${expiresAt}`;
}
