import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { PRESETS, SETTING_NAMES, type SettingName } from "./settings.ts";

export type SettingValues = Partial<Record<SettingName, string | undefined>>;

export interface ConfigSources {
  /** Where `.env` is looked for and what relative paths are relative to. Default: the working folder. */
  cwd?: string;
  /** Default: `process.env`. */
  env?: Record<string, string | undefined>;
  /** From the command line, by setting name. */
  flags?: SettingValues;
}

/** Where a value comes from. */
export type Origin = "default" | "preset" | ".env" | "environment" | "flag";

export interface GivenSetting {
  text: string;
  origin: Origin;
}

export type GivenSettings = Partial<Record<SettingName, GivenSetting>>;

type Layer = [Origin, Record<string, string | undefined>];

/**
 * What is set, by which layer: preset < `.env` < environment < flags. An empty value counts as not set. A preset that is not
 * known brings nothing; its name is checked with the other values.
 */
export function readSettings({
  cwd = process.cwd(),
  env = process.env,
  flags = {},
}: ConfigSources): GivenSettings {
  const layers: Layer[] = [
    [".env", readDotEnv(resolve(cwd, ".env"))],
    ["environment", env],
    ["flag", flags],
  ];
  const preset = PRESETS[mergeLayers(layers).THIMBLE_PRESET?.text as keyof typeof PRESETS];
  return mergeLayers([["preset", preset ?? {}], ...layers]);
}

/** Later layers win; of the two ways to give the time-out, the later layer's one, and within a layer the finer. */
function mergeLayers(layers: Layer[]): GivenSettings {
  const merged: GivenSettings = {};
  for (const [origin, layer] of layers) {
    const set = SETTING_NAMES.filter((name) => layer[name] !== undefined && layer[name] !== "");
    if (set.includes("FUNCTION_TIMEOUT_MS") || set.includes("FUNCTION_TIMEOUT_SECONDS")) {
      delete merged.FUNCTION_TIMEOUT_MS;
      delete merged.FUNCTION_TIMEOUT_SECONDS;
    }
    for (const name of set) {
      if (name === "FUNCTION_TIMEOUT_SECONDS" && set.includes("FUNCTION_TIMEOUT_MS")) continue;
      merged[name] = { text: layer[name] as string, origin };
    }
  }
  return merged;
}

function readDotEnv(path: string): Record<string, string | undefined> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  return parseEnv(text);
}
