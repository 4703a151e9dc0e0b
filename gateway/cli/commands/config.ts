import { effectiveSettings } from "../../config.ts";
import { command, contextOf, settingFlags } from "../command.ts";
import { table } from "../table.ts";

/** `config`: the settings in force here, and where each comes from. Needs no server. */
export const config = command("config", "show the settings in force and where they come from", "all").action(
  (options) => {
    const settings = effectiveSettings({ flags: settingFlags(options) });
    contextOf(options).print({ settings }, () => {
      const rows = settings.map(({ name, value, origin }) => [name, shown(value), origin]);
      return table([["SETTING", "VALUE", "FROM"], ...rows]);
    });
  },
);

function shown(value: unknown): string {
  if (value === null) return "-";
  return Array.isArray(value) ? value.join(",") || "-" : String(value);
}
