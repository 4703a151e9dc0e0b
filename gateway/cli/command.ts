import { Command, Option } from "commander";
import { type Config, loadConfig, type SettingValues } from "../config.ts";
import { flagOf, SETTING_NAMES, SETTINGS, type SettingName } from "../settings.ts";
import { AdminClient } from "./admin-client.ts";

/** What a command works with. */
export interface CommandContext {
  config: Config;
  client: AdminClient;
  json: boolean;
  /** The result: text for people, or with `--json` the document. */
  print(document: unknown, text: () => string): void;
  /** A remark on standard error; nothing with `--json`. */
  note(text: string): void;
}

/** Settings that a client of the server needs. */
const CLIENT_SETTINGS: SettingName[] = ["ADMIN_HOST", "ADMIN_PORT", "THIMBLE_ADMIN_URL", "THIMBLE_DATA_DIR"];

/** A command with `--json` and flags for settings: those of a client, or all for the server itself. */
export function command(name: string, description: string, settings: "client" | "all" = "client"): Command {
  const made = new Command(name).description(description).option("--json", "print one JSON document");
  for (const setting of settings === "all" ? SETTING_NAMES : CLIENT_SETTINGS) {
    const definition: { help: string; secret?: boolean; default: unknown } = SETTINGS[setting];
    if (definition.secret) continue;
    const shown =
      definition.default === undefined ? "" : ` (default ${String(definition.default) || "none"})`;
    made.addOption(new Option(`${flagOf(setting)} <value>`, `${definition.help}${shown}`));
  }
  return made;
}

/** Reads the settings and puts a command's surroundings together. Throws `ConfigError`. */
export function contextOf(options: Record<string, unknown>): CommandContext {
  const json = options.json === true;
  const config = loadConfig({ flags: settingFlags(options) });
  return {
    config,
    client: new AdminClient(config),
    json,
    print: (document, text) => {
      process.stdout.write(`${json ? JSON.stringify(document) : text()}\n`);
    },
    note: (text) => {
      if (!json) process.stderr.write(`${text}\n`);
    },
  };
}

/** The settings given as flags. */
export function settingFlags(options: Record<string, unknown>): SettingValues {
  const flags: SettingValues = {};
  for (const setting of SETTING_NAMES) {
    const value = options[new Option(`${flagOf(setting)} <value>`).attributeName()];
    if (typeof value === "string") flags[setting] = value;
  }
  return flags;
}
