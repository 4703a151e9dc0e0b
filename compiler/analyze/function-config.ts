import type { Expression, Identifier } from "@swc/core";
import { FUNCTION_SETTINGS, type SettingRule, settingProblem } from "../function-settings.ts";
import type { FunctionConfig } from "../types.ts";
import { exportedNames } from "./entry.ts";
import type { FileContext } from "./rule.ts";
import { constantString, isNode, propertyName, type SyntaxNode, unwrap } from "./tree.ts";

/** What only WebAssembly modules are told. */
const { stdio: _stdio, args: _args, ...FIELDS } = FUNCTION_SETTINGS;

export const isConfigField = (name: string): boolean => Object.hasOwn(FIELDS, name);

/** Why a value is no configuration of a WebAssembly module; undefined when it is one. */
export function moduleConfigProblem(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is no object";
  for (const [key, setting] of Object.entries(value)) {
    if (!Object.hasOwn(FUNCTION_SETTINGS, key)) return `${JSON.stringify(key)} is no setting of a function`;
    const problem = settingProblem(FUNCTION_SETTINGS[key as keyof FunctionConfig], setting);
    if (problem !== undefined) return `${key} ${problem}`;
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
  const rule: SettingRule = FIELDS[key as keyof typeof FIELDS];
  const value = readLiteral(valueNode);
  const problem = settingProblem(rule, value);
  if (problem === undefined) return { key, value };
  if (rule.kind === "whole" && Number.isSafeInteger(value)) {
    const side = (value as number) < rule.min ? "below" : "above";
    context.report(
      "config-limit",
      valueNode,
      `config.${key} is ${value}, ${side} what the platform supports: ${rule.min} to ${rule.max}`,
    );
  } else context.report("config-invalid", valueNode, `config.${key} ${problem}`);
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
