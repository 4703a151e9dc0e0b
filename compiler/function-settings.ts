import type { FunctionConfig } from "./types.ts";

/** What a setting of a function may be. A `text`'s and a `list`'s `expected` completes "must be …". */
export type SettingRule = WholeRule | ChoiceRule | TextRule | ListRule;

interface WholeRule {
  kind: "whole";
  min: number;
  max: number;
}

interface ChoiceRule {
  kind: "choice";
  values: readonly (string | boolean)[];
}

interface TextRule {
  kind: "text";
  pattern: RegExp;
  /** UTF-16 code units. */
  maxLength: number;
  expected: string;
}

interface ListRule {
  kind: "list";
  item: TextRule;
  maxItems: number;
  expected: string;
}

const whole = (min: number, max: number): WholeRule => ({ kind: "whole", min, max });

const choice = (...values: (string | boolean)[]): ChoiceRule => ({ kind: "choice", values });

/**
 * Every setting of a function and what the platform supports: for `export const config`, for modules, and for what is sent with a deployment. Each
 * server lowers limits to its own and never raises them.
 */
export const FUNCTION_SETTINGS = {
  timeoutMs: whole(5, 5_000),
  memoryMb: whole(4, 4_096),
  concurrency: whole(1, 10_000),
  cpuMs: whole(1, 3_600_000),
  fuel: whole(1, Number.MAX_SAFE_INTEGER),
  isolation: choice("request", "instance"),
  egress: {
    kind: "list",
    item: {
      kind: "text",
      pattern: /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i,
      maxLength: 253,
      expected: "a host name",
    },
    maxItems: 100,
    expected: 'a list of at most 100 host names, such as ["api.example.com"]',
  },
  database: choice("read", "write", false),
  warmup: { kind: "text", pattern: /^\/[\x21-\x7e]*$/, maxLength: 2_048, expected: 'a path, such as "/"' },
  stdio: choice("http", "json", "raw"),
  args: {
    kind: "list",
    item: { kind: "text", pattern: /^[^\0]*$/, maxLength: 4_096, expected: "a text without NUL" },
    maxItems: 100,
    expected: "a list of at most 100 texts",
  },
} as const satisfies Record<keyof FunctionConfig, SettingRule>;

/** Why a value cannot be this setting, as the end of a sentence ("must be …"); undefined when it can. */
export function settingProblem(rule: SettingRule, value: unknown): string | undefined {
  return accepts(rule, value) ? undefined : `must be ${expectedOf(rule)}`;
}

function accepts(rule: SettingRule, value: unknown): boolean {
  switch (rule.kind) {
    case "whole":
      return Number.isSafeInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max;
    case "choice":
      return rule.values.includes(value as string | boolean);
    case "text":
      return (
        typeof value === "string" &&
        value.length <= rule.maxLength &&
        value.isWellFormed() &&
        rule.pattern.test(value)
      );
    case "list":
      return (
        Array.isArray(value) &&
        value.length <= rule.maxItems &&
        value.every((item) => accepts(rule.item, item))
      );
  }
}

function expectedOf(rule: SettingRule): string {
  if (rule.kind === "whole") return `a whole number from ${rule.min} to ${rule.max}`;
  if (rule.kind !== "choice") return rule.expected;
  const spelled = rule.values.map((value) => JSON.stringify(value));
  return `${spelled.slice(0, -1).join(", ")} or ${spelled.at(-1)}`;
}
