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
]);
const TYPE_NODES = new Set(["TsInterfaceDeclaration", "TsTypeAliasDeclaration"]);

/** Calls `visit` for every node that runs, in source order, without recursion; types and ambient declarations are left out. */
export function walk(root: object, visit: (node: SyntaxNode) => void): void {
  const pending: object[] = [root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (isNode(next)) {
      if (TYPE_NODES.has(next.type) || (next as { declare?: boolean }).declare === true) continue;
      visit(next);
    }
    const first = pending.length;
    for (const key in next) {
      const value = (next as Record<string, unknown>)[key];
      if (typeof value === "object" && value !== null && !TYPE_KEYS.has(key)) pending.push(value);
    }
    for (let low = first, high = pending.length - 1; low < high; low++, high--) {
      const later = pending[high]!;
      pending[high] = pending[low]!;
      pending[low] = later;
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
  );
}

type Wrapper = { expression: Expression };

/** The expression whose value this is: without parentheses and type casts; of `(0, f)` the last part. */
export function unwrap(expression: object): Expression {
  let current = expression as Expression;
  for (;;) {
    switch (current.type as string) {
      case "ParenthesisExpression":
      case "TsAsExpression":
      case "TsNonNullExpression":
      case "TsConstAssertion":
      case "TsTypeAssertion":
      case "TsSatisfiesExpression":
      case "TsInstantiation":
      case "TsInstantiationExpression":
        current = (current as unknown as Wrapper).expression;
        break;
      case "OptionalChainingExpression":
        current = (current as unknown as { base: Expression }).base;
        break;
      case "SequenceExpression":
        current = (current as unknown as { expressions: Expression[] }).expressions.at(-1)!;
        break;
      default:
        return current;
    }
  }
}

/** Parts of a concatenation that are folded, so that hostile chains stay cheap. */
const MAX_FOLDED_PARTS = 64;

/** The string that an expression is without running anything: a literal, a template without parts, or a `+` of those. */
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

/** The name of a member expression's property, if it is written down: `a.b`, `a["b"]`. */
export function propertyName(property: object): string | undefined {
  const node = property as SyntaxNode & { value?: string; expression?: Expression };
  if (node.type === "Computed") return constantString(node.expression!);
  if (node.type === "StringLiteral" || node.type === "Identifier") return node.value;
  return undefined;
}

/** What an object pattern takes: `{ a, b: c, "d": e = 1 }` → a, b, d with the variables that receive them. */
export function patternEntries(
  pattern: object,
): { name: string; node: SyntaxNode; local: Identifier | undefined }[] {
  const { type, properties } = pattern as { type: string; properties?: PatternProperty[] };
  if ((type !== "ObjectPattern" && type !== "ObjectExpression") || !properties) return [];
  return properties.flatMap((property) => {
    if (property.type === "Identifier") {
      return [
        {
          name: (property as unknown as Identifier).value,
          node: property,
          local: property as unknown as Identifier,
        },
      ];
    }
    if (!property.key || !isNode(property.key)) return [];
    const name = propertyName(property.key);
    if (name === undefined) return [];
    const target =
      property.type === "AssignmentPatternProperty" ? property.key : assignedName(property.value);
    const local = target?.type === "Identifier" ? (target as unknown as Identifier) : undefined;
    return [{ name, node: property.key, local }];
  });
}

function assignedName(target: SyntaxNode | undefined): SyntaxNode | undefined {
  return target?.type === "AssignmentPattern" ? (target as unknown as { left: SyntaxNode }).left : target;
}

interface PatternProperty extends SyntaxNode {
  key?: SyntaxNode;
  value?: SyntaxNode;
}
