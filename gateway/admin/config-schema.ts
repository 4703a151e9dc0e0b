import { z } from "zod";
import { FUNCTION_SETTINGS, type SettingRule } from "../../compiler/function-settings.ts";
import type { FunctionConfig } from "../../compiler/types.ts";

/** A function's settings as they come with a deployment: what `export const config` may say, by the same rules. */
export const functionConfigSchema = z
  .strictObject(
    Object.fromEntries(Object.entries(FUNCTION_SETTINGS).map(([name, rule]) => [name, schemaOf(rule)])) as {
      [Name in keyof FunctionConfig]-?: z.ZodType<NonNullable<FunctionConfig[Name]>>;
    },
  )
  .partial();

function schemaOf(rule: SettingRule): z.ZodType {
  switch (rule.kind) {
    case "whole":
      return z.int().min(rule.min).max(rule.max);
    case "choice":
      return z.literal([...rule.values]);
    case "text":
      return z
        .string()
        .max(rule.maxLength)
        .regex(rule.pattern, `must be ${rule.expected}`)
        .refine((value) => value.isWellFormed(), `must be ${rule.expected}`);
    case "list":
      return z.array(schemaOf(rule.item)).max(rule.maxItems);
  }
}
