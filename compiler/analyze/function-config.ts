import type { Expression, Identifier } from "@swc/core";
import type { FunctionConfig } from "../types.ts";
import { exportedNames } from "./entry.ts";
import type { FileContext } from "./rule.ts";
import { constantString, isNode, propertyName, type SyntaxNode, unwrap } from "./tree.ts";

interface Field {
  accepts(value: unknown): boolean;
  expected: string;
}

const positiveInteger = (maximum: number): Field => ({
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= maximum,
  expected: `a whole number from 1 to ${maximum}`,
});

const hostName = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** What only WebAssembly modules are told. */
type ModuleSetting = "stdio" | "args";

/** Upper bounds are sanity only: the server lowers its own limits to these and never raises them. */
const FIELDS: Record<Exclude<keyof FunctionConfig, ModuleSetting>, Field> = {
  timeoutMs: positiveInteger(3_600_000),
  memoryMb: positiveInteger(4096),
  concurrency: positiveInteger(100_000),
  cpuMs: positiveInteger(3_600_000),
  fuel: positiveInteger(Number.MAX_SAFE_INTEGER),
  isolation: {
    accepts: (value) => value === "request" || value === "instance",
    expected: '"request" or "instance"',
  },
  egress: {
    accepts: (value) =>
      Array.isArray(value) &&
      value.length <= 1000 &&
      value.every((host) => typeof host === "string" && hostName.test(host)),
    expected: 'a list of host names, such as ["api.example.com"]',
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

const HINT = "Write export const config = { … } with literal values only; it is read, never run.";

/** Reads `export const config = {…}` from the tree of the entry file; what is wrong with it is reported as `config-invalid`. */
export function readConfig(context: FileContext): FunctionConfig {
  const found = findConfig(context.source.program.body as unknown as SyntaxNode[]);
  if (!found) return {};
  const invalid = (node: object, message: string, hint = HINT) =>
    context.report("config-invalid", node, message, hint);
  const value = found.value && unwrap(found.value);
  if (!found.constant || value?.type !== "ObjectExpression") {
    invalid(found.node, "config is not a constant literal object");
    return {};
  }
  const config: Record<string, unknown> = {};
  for (const property of value.properties) {
    if (property.type !== "KeyValueProperty") {
      invalid(
        isNode(property) && "span" in property ? property : value,
        "config holds something that is no literal",
      );
      continue;
    }
    const key = propertyName(property.key);
    const field =
      key !== undefined && Object.hasOwn(FIELDS, key) ? FIELDS[key as keyof typeof FIELDS] : undefined;
    if (!field) {
      const name = key === undefined ? "The computed key" : `"${key}"`;
      invalid(
        property.key,
        `${name} is no setting of a function`,
        `Use one of ${Object.keys(FIELDS).join(", ")}.`,
      );
      continue;
    }
    const literal = readLiteral(property.value);
    if (literal !== undefined && field.accepts(literal)) config[key!] = literal;
    else invalid(property.value, `config.${key} must be ${field.expected}`);
  }
  return config as FunctionConfig;
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
