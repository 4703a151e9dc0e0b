import type { Expression, Identifier } from "@swc/core";
import type { FileContext } from "./rule.ts";
import { constantString, type SyntaxNode, unwrap } from "./tree.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const ENTRY_NAMES = new Set(["default", "handler", ...METHODS]);

/** A statement of the entry file through which it is invoked, with the comments that stand before it. */
interface EntryPoint {
  item: SyntaxNode;
  comments: string;
}

/**
 * `entry-missing` and `annotation-missing`: the entry file must offer something to invoke, and say with a `@function` JSDoc tag
 * that this is meant. swc keeps no comments, but between the end of one statement and the start of the next there is nothing else.
 */
export function checkEntry(context: FileContext, requireAnnotation: boolean): void {
  const items = context.source.program.body as unknown as SyntaxNode[];
  const comments = commentsBefore(context, items);
  const points = entryPoints(context, items, comments);
  if (points.length === 0) {
    context.report(
      "entry-missing",
      items[0] ?? context.source.program,
      "The entry file exports nothing that can be invoked",
      "Add an entry: export default { fetch(request) { … } }, export function handler(body) { … }, or export function GET(request) { … }.",
    );
    return;
  }
  if (points.some((point) => hasFunctionTag(point.comments))) return;
  context.report(
    "annotation-missing",
    points[0]!.item,
    "The @function annotation is missing",
    "Put /** @function */ on the line above the entry.",
    requireAnnotation ? "error" : "warning",
  );
}

function commentsBefore(context: FileContext, items: SyntaxNode[]): Map<SyntaxNode, string> {
  const { text, spanBase } = context.source;
  const comments = new Map<SyntaxNode, string>();
  let end = 0;
  for (const item of items) {
    comments.set(item, text.slice(end, item.span.start - spanBase));
    end = item.span.end - spanBase;
  }
  return comments;
}

function entryPoints(
  context: FileContext,
  items: SyntaxNode[],
  comments: Map<SyntaxNode, string>,
): EntryPoint[] {
  const points: EntryPoint[] = [];
  const declarations = declarationsByName(items);
  const add = (item: SyntaxNode, name?: string) => {
    const declaration = name === undefined ? undefined : declarations.get(name);
    const text = (comments.get(item) ?? "") + (declaration ? `\n${comments.get(declaration)}` : "");
    points.push({ item, comments: text });
  };
  for (const item of items) {
    switch (item.type) {
      case "ExportDefaultDeclaration":
        add(item);
        break;
      case "ExportDefaultExpression": {
        const value = unwrap((item as unknown as { expression: Expression }).expression);
        add(item, value.type === "Identifier" ? value.value : undefined);
        break;
      }
      case "ExportDeclaration":
        if (declaredNames((item as unknown as { declaration: object }).declaration).some(isEntryName))
          add(item);
        break;
      case "ExportNamedDeclaration":
        for (const { exported, local } of exportedNames(item)) if (isEntryName(exported)) add(item, local);
        break;
      case "ExportAllDeclaration":
        if (!(item as unknown as { typeOnly?: boolean }).typeOnly) add(item);
        break;
      case "ExpressionStatement":
      case "VariableDeclaration":
        if (startsServer(context, item)) add(item);
        break;
    }
  }
  return points;
}

const isEntryName = (name: string) => ENTRY_NAMES.has(name);

/** `Deno.serve(…)`, also as `const server = Deno.serve(…)` or awaited, and `addEventListener("fetch", …)`. */
function startsServer(context: FileContext, item: SyntaxNode): boolean {
  const statement = item as unknown as { expression?: Expression; declarations?: { init?: Expression }[] };
  const initial = statement.expression ?? statement.declarations?.[0]?.init;
  if (!initial) return false;
  let expression = unwrap(initial);
  if (expression.type === "AwaitExpression") expression = unwrap(expression.argument);
  if (expression.type !== "CallExpression") return false;
  const path = context.scope.globalPath(expression.callee as Expression)?.join(".");
  if (path === "Deno.serve") return true;
  const first = expression.arguments[0]?.expression;
  return path === "addEventListener" && first !== undefined && constantString(first) === "fetch";
}

function declarationsByName(items: SyntaxNode[]): Map<string, SyntaxNode> {
  const found = new Map<string, SyntaxNode>();
  for (const item of items) {
    const declaration = (item as unknown as { declaration?: SyntaxNode }).declaration ?? item;
    for (const name of declaredNames(declaration)) found.set(name, item);
  }
  return found;
}

function declaredNames(declaration: object): string[] {
  const node = declaration as {
    type: string;
    declare?: boolean;
    identifier?: Identifier;
    declarations?: { id: Identifier }[];
  };
  if (node.declare) return [];
  if (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration")
    return [node.identifier!.value];
  if (node.type !== "VariableDeclaration") return [];
  return node.declarations!.flatMap(({ id }) => (id.type === "Identifier" ? [id.value] : []));
}

/** `export { local as exported }`; no local name when it comes from another file. */
export function exportedNames(item: object): { exported: string; local: string | undefined; node: object }[] {
  const { specifiers, source, typeOnly } = item as {
    typeOnly?: boolean;
    source?: object | null;
    specifiers: { type: string; isTypeOnly?: boolean; orig?: Identifier; exported?: Identifier | null }[];
  };
  if (typeOnly) return [];
  return specifiers.flatMap((specifier) => {
    if (specifier.type !== "ExportSpecifier" || specifier.isTypeOnly) return [];
    const local = specifier.orig!.value;
    return [
      { exported: specifier.exported?.value ?? local, local: source ? undefined : local, node: specifier },
    ];
  });
}

/** Whether a JSDoc comment in `trivia` (white space and comments only) holds the tag. */
function hasFunctionTag(trivia: string): boolean {
  const comments = trivia.match(/\/\/.*|\/\*[\s\S]*?\*\//g) ?? [];
  return comments.some((comment) => comment.startsWith("/**") && /[\s*]@function(?![\w-])/.test(comment));
}
