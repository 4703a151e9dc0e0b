import type { FunctionConfig } from "../types.ts";
import { isConfigField } from "./function-config.ts";
import type { FileContext } from "./rule.ts";
import { bindingOf, constantString, propertyName, type SyntaxNode, unwrap, walk } from "./tree.ts";

/** `config-unused`, which only all files together can tell. */
export function checkConfigUse(
  contexts: ReadonlyMap<string, FileContext>,
  entry: string,
  config: FunctionConfig,
): void {
  for (const [file, context] of contexts) {
    for (const { node, isExported, name } of configLike(context)) {
      if (isExported && file !== entry)
        context.report(
          "config-unused",
          node,
          `config has an effect in the entry file only, which is ${entry}`,
        );
      else if (!isExported && file === entry && !isRead(name, context))
        context.report("config-unused", node, "config is not exported, and nothing reads it");
    }
  }
  const context = contexts.get(entry);
  if (!context) return;
  const uses = usesOf(contexts);
  if (uses.packages) return;
  if (config.egress && !uses.fetch)
    reportField("egress", context, "config.egress is set, but nothing is fetched");
  if (config.database !== undefined && config.database !== false && !uses.database)
    reportField("database", context, "config.database is set, but nothing imports the database");
}

interface ConfigLike {
  node: SyntaxNode;
  name: SyntaxNode;
  isExported: boolean;
}

/** Top-level `const config = {…}` with a function's settings in it. */
function configLike({ source }: FileContext): ConfigLike[] {
  return (source.program.body as unknown as SyntaxNode[]).flatMap((item) => {
    const isExported = item.type === "ExportDeclaration";
    const declaration = isExported ? (item as unknown as { declaration: SyntaxNode }).declaration : item;
    const { declarations = [] } = declaration as unknown as {
      declarations?: (SyntaxNode & { id: SyntaxNode & { value?: string }; init?: object })[];
    };
    return declarations
      .filter(({ id, init }) => id.value === "config" && init && hasSettings(init))
      .map((node) => ({ node: item, name: node.id, isExported }));
  });
}

function hasSettings(init: object): boolean {
  const value = unwrap(init);
  if (value.type !== "ObjectExpression" || value.properties.length === 0) return false;
  return value.properties.every(
    (property) => property.type === "KeyValueProperty" && isConfigField(propertyName(property.key) ?? ""),
  );
}

/** Whether anything but its declaration names a variable. */
function isRead(name: SyntaxNode, { source }: FileContext): boolean {
  const binding = bindingOf(name);
  let count = 0;
  walk(source.program, (node) => {
    if (node.type === "Identifier" && bindingOf(node) === binding) count++;
  });
  return count > 1;
}

interface Uses {
  fetch: boolean;
  database: boolean;
  packages: boolean;
}

function usesOf(contexts: ReadonlyMap<string, FileContext>): Uses {
  const uses: Uses = { fetch: false, database: false, packages: false };
  for (const { flow } of contexts.values()) {
    for (const node of flow.bindings.nodes) {
      if (node.type === "Identifier" && flow.isGlobal(node, "fetch")) uses.fetch = true;
      if (node.type === "MemberExpression" && flow.path(node) === "fetch") uses.fetch = true;
      const specifier = specifierOf(node);
      if (specifier === undefined || /^\.|^node:/.test(specifier)) continue;
      if (specifier === "thimble:db" || specifier === "postgres") uses.database = true;
      else uses.packages = true;
    }
  }
  return uses;
}

function specifierOf(node: SyntaxNode): string | undefined {
  const {
    source,
    callee,
    arguments: args,
  } = node as unknown as {
    source?: { value: string } | null;
    callee?: { type: string; value?: string };
    arguments?: { expression: object }[];
  };
  if (source) return source.value;
  const first = args?.[0];
  if (!first || (callee?.type !== "Import" && callee?.value !== "require")) return undefined;
  return constantString(first.expression);
}

function reportField(name: string, context: FileContext, message: string): void {
  for (const node of context.flow.bindings.nodes) {
    if (node.type !== "KeyValueProperty") continue;
    const { key } = node as unknown as { key: object };
    if (propertyName(key) !== name) continue;
    context.report("config-unused", node, message);
    return;
  }
}
