import { dirname, join } from "node:path/posix";
import type { Expression, Identifier } from "@swc/core";
import { saidInComments } from "./comments.ts";
import type { FileContext } from "./rule.ts";
import { constantString, propertyName, type SyntaxNode, unwrap } from "./tree.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const ENTRY_NAMES = new Set(["default", "handler", "onRequest", ...METHODS]);

/** A statement of the entry file through which it is invoked, with the comments that stand before it. */
interface EntryPoint {
  item: SyntaxNode;
  comments: string;
}

/**
 * `entry-missing`, `annotation-missing` and `annotation-misplaced`: the entry file must offer something to invoke, and say with a
 * `@function` JSDoc tag that this is meant. swc keeps no comments, but between the end of one statement and the start of the next
 * there is nothing else.
 */
export function checkEntry(
  context: FileContext,
  requireAnnotation: boolean,
  files: Readonly<Record<string, string>>,
): void {
  const items = context.source.program.body as unknown as SyntaxNode[];
  const points = entryPoints(context, items, commentsBefore(context, items));
  const [first] = points;
  if (!first) {
    context.report(
      "entry-missing",
      items[0] ?? context.source.program,
      "The entry file exports nothing that can be invoked",
    );
    return;
  }
  if (points.some((point) => hasFunctionTag(point.comments))) return;
  const place = misplacedTag(context, items) ?? tagBehind(first.item, context.source.text.file, files);
  const severity = requireAnnotation ? "error" : "warning";
  if (place === undefined)
    context.report("annotation-missing", first.item, "The @function annotation is missing", { severity });
  else
    context.report(
      "annotation-misplaced",
      first.item,
      `The @function annotation is not on the entry, but ${place}`,
      { severity },
    );
}

/** Where the file says `@function` in a way that does not count. */
function misplacedTag({ source }: FileContext, items: SyntaxNode[]): string | undefined {
  const [found] = saidInComments(source, /@function(?![\w-])/g);
  if (!found) return undefined;
  const { text, spanBase } = source;
  const { offset } = found;
  const { line } = text.positionAt(offset);
  const before = text.slice(0, offset);
  const opened = before.lastIndexOf("/**");
  const isJsDoc = opened > before.lastIndexOf("*/") && !/\/\/.*$/.test(before.slice(0, opened));
  if (!isJsDoc) return `in a plain comment on line ${line}: only /** … */ counts`;
  const inside = items.some(({ span }) => offset >= span.start - spanBase && offset < span.end - spanBase);
  return inside ? `within a statement, on line ${line}` : `before another statement, on line ${line}`;
}

/** Whether the file that the entry comes from has the tag instead. */
function tagBehind(
  item: SyntaxNode,
  file: string,
  files: Readonly<Record<string, string>>,
): string | undefined {
  const specifier = (item as unknown as { source?: { value: string } }).source?.value;
  if (!specifier?.startsWith(".")) return undefined;
  const base = join(dirname(file), specifier);
  const target = [base, base.replace(/\.js$/, ".ts"), `${base}.ts`, `${base}.js`].find((name) =>
    Object.hasOwn(files, name),
  );
  return target !== undefined && hasFunctionTag(files[target]!) ? `in ${target}` : undefined;
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
        if (startsServer(context, item) || exportsByAssignment(item)) add(item);
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
  const path = context.flow.path(expression.callee);
  if (path === "Deno.serve" || path === "@hono/node-server#serve" || isListening(expression.callee))
    return true;
  const first = expression.arguments[0]?.expression;
  return path === "addEventListener" && first !== undefined && constantString(first) === "fetch";
}

/** `createServer(…).listen(3000)`, `app.listen()` */
function isListening(callee: object): boolean {
  const target = unwrap(callee);
  return target.type === "MemberExpression" && propertyName(target.property) === "listen";
}

/** `module.exports = …`, `exports.handler = …` */
function exportsByAssignment(item: SyntaxNode): boolean {
  const { expression } = item as unknown as { expression?: Expression };
  const assignment = expression && unwrap(expression);
  if (assignment?.type !== "AssignmentExpression") return false;
  const names: string[] = [];
  let target = unwrap(assignment.left);
  for (; target.type === "MemberExpression"; target = unwrap(target.object))
    names.unshift(propertyName(target.property) ?? "");
  if (target.type !== "Identifier") return false;
  if (target.value === "module" && names[0] === "exports")
    return names[1] === undefined || isEntryName(names[1]);
  return target.value === "exports" && names[0] !== undefined && isEntryName(names[0]);
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
