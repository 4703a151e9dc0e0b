import type { Expression, Identifier } from "@swc/core";
import type { FunctionConfig } from "../types.ts";
import { exportedNames } from "./entry.ts";
import type { FileContext } from "./rule.ts";
import { constantString, isNode, propertyName, type SyntaxNode, unwrap } from "./tree.ts";

interface Field {
  accepts(value: unknown): boolean;
  expected: string;
  range?: { min: number; max: number };
}

const whole = (min: number, max: number): Field => ({
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  expected: `a whole number from ${min} to ${max}`,
  range: { min, max },
});

const hostName = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** What only WebAssembly modules are told. */
type ModuleSetting = "stdio" | "args";

/** What the platform supports; each server lowers it to its own limits and never raises them. */
const FIELDS: Record<Exclude<keyof FunctionConfig, ModuleSetting>, Field> = {
  timeoutMs: whole(5, 5_000),
  memoryMb: whole(4, 4_096),
  concurrency: whole(1, 10_000),
  cpuMs: whole(1, 3_600_000),
  fuel: whole(1, Number.MAX_SAFE_INTEGER),
  isolation: {
    accepts: (value) => value === "request" || value === "instance",
    expected: '"request" or "instance"',
  },
  egress: {
    accepts: (value) =>
      Array.isArray(value) &&
      value.length <= 100 &&
      value.every((host) => typeof host === "string" && host.length <= 253 && hostName.test(host)),
    expected: 'a list of at most 100 host names, such as ["api.example.com"]',
  },
  database: {
    accepts: (value) => value === "read" || value === "write" || value === false,
    expected: '"read", "write" or false',
  },
  warmup: {
    accepts: (value) => typeof value === "string" && /^\/[\x21-\x7e]*$/.test(value) && value.length <= 2048,
    expected: 'a path, such as "/"',
  },
};

export const isConfigField = (name: string): boolean => Object.hasOwn(FIELDS, name);

const MODULE_FIELDS: Record<keyof FunctionConfig, Field> = {
  ...FIELDS,
  stdio: {
    accepts: (value) => value === "http" || value === "json" || value === "raw",
    expected: '"http", "json" or "raw"',
  },
  args: {
    accepts: (value) =>
      Array.isArray(value) &&
      value.length <= 100 &&
      value.every(
        (argument) => typeof argument === "string" && argument.length <= 4096 && !argument.includes("\0"),
      ),
    expected: "a list of texts",
  },
};

/** Why a value is no configuration of a WebAssembly module; undefined when it is one. */
export function moduleConfigProblem(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is no object";
  for (const [key, setting] of Object.entries(value)) {
    if (!Object.hasOwn(MODULE_FIELDS, key)) return `${JSON.stringify(key)} is no setting of a function`;
    const field = MODULE_FIELDS[key as keyof FunctionConfig];
    if (!field.accepts(setting)) return `${key} must be ${field.expected}`;
  }
  return undefined;
}

/** Reads `export const config = {…}` from the tree of the entry file; what is wrong with it is reported. */
export function readConfig(context: FileContext): FunctionConfig {
  const found = findConfig(context.source.program.body as unknown as SyntaxNode[]);
  if (!found) return {};
  const value = found.value && unwrap(found.value);
  if (!found.constant || value?.type !== "ObjectExpression") {
    context.report("config-invalid", found.node, "config is not a constant literal object");
    return {};
  }
  const config: Record<string, unknown> = {};
  for (const property of value.properties) {
    if (property.type === "KeyValueProperty") {
      const setting = readField(property.key, property.value, context);
      if (setting) config[setting.key] = setting.value;
      continue;
    }
    const node = isNode(property) && "span" in property ? property : value;
    context.report("config-invalid", node, "config holds something that is no literal");
  }
  return config as FunctionConfig;
}

function readField(
  keyNode: object,
  valueNode: Expression,
  context: FileContext,
): { key: string; value: unknown } | undefined {
  const key = propertyName(keyNode);
  if (key === undefined || !isConfigField(key)) {
    const name = key === undefined ? "The computed key" : `"${key}"`;
    const hint = `Use one of ${Object.keys(FIELDS).join(", ")}.`;
    context.report("config-invalid", keyNode, `${name} is no setting of a function`, { hint });
    return undefined;
  }
  const { accepts, expected, range } = FIELDS[key as keyof typeof FIELDS];
  const value = readLiteral(valueNode);
  if (value !== undefined && accepts(value)) return { key, value };
  if (range && Number.isSafeInteger(value)) {
    const side = (value as number) < range.min ? "below" : "above";
    context.report(
      "config-limit",
      valueNode,
      `config.${key} is ${value}, ${side} what the platform supports: ${range.min} to ${range.max}`,
    );
  } else context.report("config-invalid", valueNode, `config.${key} must be ${expected}`);
  return undefined;
}

interface ConfigExport {
  node: object;
  constant: boolean;
  value: Expression | undefined;
}

function findConfig(items: SyntaxNode[]): ConfigExport | undefined {
  for (const item of items) {
    if (item.type === "ExportDeclaration") {
      const found = declaredConfig((item as unknown as { declaration: SyntaxNode }).declaration, "config");
      if (found) return found;
    }
    if (item.type !== "ExportNamedDeclaration") continue;
    const exported = exportedNames(item).find((name) => name.exported === "config");
    if (!exported) continue;
    for (const declaration of exported.local === undefined ? [] : items) {
      const found = declaredConfig(declaration, exported.local!);
      if (found) return found;
    }
    return { node: exported.node, constant: false, value: undefined };
  }
  return undefined;
}

function declaredConfig(declaration: SyntaxNode, name: string): ConfigExport | undefined {
  const node = declaration as unknown as {
    type: string;
    kind?: string;
    declare?: boolean;
    identifier?: Identifier;
    declarations?: { id: Identifier; init?: Expression }[];
  };
  if (node.declare) return undefined;
  if (node.type !== "VariableDeclaration") {
    const named = node.type === "FunctionDeclaration" || node.type === "ClassDeclaration";
    return named && node.identifier?.value === name ? { node, constant: false, value: undefined } : undefined;
  }
  const found = node.declarations?.find(({ id }) => id.type === "Identifier" && id.value === name);
  return found && { node: found, constant: node.kind === "const", value: found.init };
}

/** A number, string, boolean or list of strings that is written down. */
function readLiteral(expression: Expression): unknown {
  const value = unwrap(expression);
  if (value.type === "NumericLiteral" || value.type === "BooleanLiteral") return value.value;
  if (value.type === "ArrayExpression") {
    const items = value.elements.map((item) =>
      item && !item.spread ? constantString(item.expression) : undefined,
    );
    return items.includes(undefined) ? undefined : items;
  }
  return constantString(value);
}
