import type { Expression, Identifier, Span, Node as SwcNode } from "@swc/core";

export type { Span };

/** A node as the walk meets it. */
export interface SyntaxNode extends SwcNode {
  span: Span;
}

/** Parts of the tree that hold types only: nothing in them runs. */
const TYPE_KEYS = new Set([
  "typeAnnotation",
  "typeArguments",
  "typeParameters",
  "typeParams",
  "returnType",
  "superTypeParams",
  "implements",
  "span",
  "spread",
]);
const TYPE_NODES = new Set(["TsInterfaceDeclaration", "TsTypeAliasDeclaration"]);

/** Whether a node holds nothing that runs: types and ambient declarations. */
export const isTypeOnly = (node: SyntaxNode) =>
  TYPE_NODES.has(node.type) || (node as { declare?: boolean }).declare === true;

/** The properties of each type of node that can hold others. All nodes of one type have the same ones, so the first tells. */
const childKeys = new Map<string, readonly string[]>();

/** Calls `visit` for what a node directly consists of, in source order; types are left out. */
export function eachChild(node: object, visit: (child: SyntaxNode) => void): void {
  const { type } = node as SyntaxNode;
  let keys = childKeys.get(type);
  if (!keys) {
    keys = Object.keys(node).filter((key) => {
      const value = (node as Record<string, unknown>)[key];
      return !TYPE_KEYS.has(key) && (typeof value === "object" || value === undefined);
    });
    if (type !== undefined) childKeys.set(type, keys);
  }
  for (const key of keys) {
    const value = (node as Record<string, unknown>)[key];
    if (typeof value === "object" && value !== null) eachNode(value, visit);
  }
}

/** Lists and records that are no nodes (arguments, switch cases …) are looked through. */
function eachNode(value: object, visit: (child: SyntaxNode) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === "object" && item !== null) eachNode(item, visit);
  } else if (isNode(value)) visit(value);
  else eachChild(value, visit);
}

/** Calls `visit` for a node and all below it that run, in source order, until it answers `false`: that part is left out. */
export function walk(root: object, visit: (node: SyntaxNode) => unknown): void {
  const step = (node: SyntaxNode): void => {
    if (!isTypeOnly(node) && visit(node) !== false) eachChild(node, step);
  };
  if (isNode(root)) step(root);
  else eachChild(root, step);
}

export function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}

const WRAPPERS: Record<string, "expression" | "base" | "expressions"> = {
  ParenthesisExpression: "expression",
  TsAsExpression: "expression",
  TsNonNullExpression: "expression",
  TsConstAssertion: "expression",
  TsTypeAssertion: "expression",
  TsSatisfiesExpression: "expression",
  TsInstantiation: "expression",
  TsInstantiationExpression: "expression",
  OptionalChainingExpression: "base",
  SequenceExpression: "expressions",
};

/** An expression without parentheses and type casts; of `(0, f)` the last part. */
export function unwrap(expression: object): Expression {
  let current = expression as Expression;
  for (let key = WRAPPERS[current.type]; key !== undefined; key = WRAPPERS[current.type]) {
    const inner = (current as unknown as Record<string, unknown>)[key];
    current = (Array.isArray(inner) ? inner.at(-1) : inner) as Expression;
  }
  return current;
}

/** Parts of a concatenation that are folded, so that hostile chains stay cheap. */
const MAX_FOLDED_PARTS = 64;

/** The string that is written down: a literal, a template without parts, or a `+` of those. */
export function constantString(expression: object): string | undefined {
  const pending: Expression[] = [unwrap(expression)];
  let text = "";
  for (let parts = 0; pending.length > 0; parts++) {
    if (parts > MAX_FOLDED_PARTS) return undefined;
    const part = unwrap(pending.pop()!);
    if (part.type === "StringLiteral") text += part.value;
    else if (part.type === "TemplateLiteral" && part.expressions.length === 0)
      text += part.quasis[0]?.cooked ?? "";
    else if (part.type === "BinaryExpression" && part.operator === "+") pending.push(part.right, part.left);
    else return undefined;
  }
  return text;
}

/** The name of a member or property, if it is written down: `a.b`, `a["b"]`, `{ "b": 1 }`. */
export function propertyName(property: object): string | undefined {
  const node = property as SyntaxNode & { value?: string | number; expression?: Expression };
  if (node.type === "Computed") return constantString(node.expression!);
  if (node.type === "StringLiteral" || node.type === "Identifier") return node.value as string;
  if (node.type === "PrivateName") return `#${node.value}`;
  return node.type === "NumericLiteral" ? String(node.value) : undefined;
}

/** Names a binding: swc numbers the scopes while it parses. Undefined for identifiers that name no variable. */
export function bindingOf(identifier: object): string | undefined {
  const { value, ctxt } = identifier as Identifier & { ctxt?: number };
  return ctxt === undefined ? undefined : `${value}:${ctxt}`;
}
