import { isFunction } from "./bindings.ts";
import type { Flow } from "./flow.ts";
import type { Check, FileContext } from "./rule.ts";
import { bindingOf, propertyName, type SyntaxNode, unwrap, walk } from "./tree.ts";

interface Member extends SyntaxNode {
  object: SyntaxNode;
  property: SyntaxNode;
}

/**
 * Writes to the prototype that all objects share: by name, or by keys that come from outside — a merge that descends into what it
 * copies, a path that is walked key by key. A function that speaks of `__proto__` or asks `hasOwn` is taken to be guarded.
 */
export const prototypePollution: Check = (context) => ({
  AssignmentExpression(node) {
    const target = unwrap((node as unknown as { left: object }).left) as unknown as Member;
    if (target.type === "MemberExpression") checkNamed(target, node, context);
  },
  FunctionDeclaration: (node) => checkFunction(node, context),
  FunctionExpression: (node) => checkFunction(node, context),
  ArrowFunctionExpression: (node) => checkFunction(node, context),
  ClassMethod: (node) => checkFunction(node, context),
  MethodProperty: (node) => checkFunction(node, context),
});

const MESSAGE = "This writes to the prototype that all objects share";

/** `x.__proto__.y = …`, `x.constructor.prototype[y] = …`, `Object.prototype.y = …` */
function checkNamed(target: Member, node: object, { flow, report }: FileContext): void {
  const object = unwrap(target.object) as unknown as Member;
  if (object.type !== "MemberExpression") return;
  const names = flow.names(object.property);
  const inner = unwrap(object.object) as unknown as Member;
  const ofConstructor =
    inner.type === "MemberExpression" && flow.names(inner.property).includes("constructor");
  const shared =
    names.includes("__proto__") ||
    (names.includes("prototype") && (ofConstructor || flow.path(object) === "Object.prototype"));
  if (shared) report("prototype-pollution", node, MESSAGE);
}

interface Facts {
  /** Variables that are keys of something: of for…in, Object.keys, Object.entries, split. */
  guarded: boolean;
  /** `target[key] = …` with a computed key, by the variable `target`. */
  writes: { node: SyntaxNode; target: string; key: SyntaxNode }[];
  /** `current = current[key]`: the variables that descend. */
  descents: Set<string>;
  /** The function calls itself with `x[key]`. */
  recurses: boolean;
  copiesKeys: boolean;
}

function checkFunction(fn: SyntaxNode, { flow, report }: FileContext): void {
  const facts = factsOf(fn, flow);
  if (facts.guarded) return;
  const [merged] = facts.recurses && facts.copiesKeys ? facts.writes : [];
  const found = merged ?? facts.writes.findLast(({ target }) => facts.descents.has(target));
  if (found) report("prototype-pollution", found.node, `${MESSAGE} when a key is "__proto__"`);
}

/** Nodes of one function that are looked at: functions lie within one another, and what merges objects is small. */
const MAX_NODES = 2_000;

function factsOf(fn: SyntaxNode, flow: Flow): Facts {
  const facts: Facts = {
    guarded: false,
    writes: [],
    descents: new Set(),
    recurses: false,
    copiesKeys: false,
  };
  let count = 0;
  walk(fn, (node) => {
    if (++count > MAX_NODES) return false;
    if (node !== fn && isFunction(node) && node.type !== "ArrowFunctionExpression") return false;
    const parts = node as unknown as Record<string, SyntaxNode>;
    switch (node.type) {
      case "StringLiteral":
      case "Identifier":
        if (/^(?:__proto__|hasOwn|hasOwnProperty)$/.test((node as unknown as { value: string }).value))
          facts.guarded = true;
        break;
      case "ForInStatement":
        facts.copiesKeys = true;
        break;
      case "CallExpression":
        if (/^Object\.(?:keys|entries)$|^Reflect\.ownKeys$/.test(flow.path(parts.callee!) ?? ""))
          facts.copiesKeys = true;
        if (callsItself(node, fn, flow)) facts.recurses = true;
        break;
      case "AssignmentExpression":
        noteAssignment(node, facts, flow);
    }
    return undefined;
  });
  return facts;
}

function callsItself(call: object, fn: object, flow: Flow): boolean {
  const { callee, arguments: args } = call as { callee: object; arguments: { expression: object }[] };
  const target = unwrap(callee);
  if (!flow.values(target).some((value) => value.kind === "function" && value.node === fn)) return false;
  const [first] = args;
  return first !== undefined && isDynamicMember(unwrap(first.expression), flow);
}

function isDynamicMember(node: object, flow: Flow): node is Member {
  const { type, property } = node as Member;
  return type === "MemberExpression" && property.type === "Computed" && isForeignKey(property, flow);
}

/** A key that is neither written down nor a number. */
function isForeignKey(property: SyntaxNode, flow: Flow): boolean {
  if (propertyName(property) !== undefined) return false;
  const { expression } = property as unknown as { expression: object };
  const values = flow.values(expression);
  const inner = unwrap(expression);
  return values.length === 0 && inner.type !== "BinaryExpression" && inner.type !== "UpdateExpression";
}

function noteAssignment(node: SyntaxNode, facts: Facts, flow: Flow): void {
  const { left, right } = node as unknown as { left: object; right: object };
  const target = unwrap(left) as unknown as Member;
  if (target.type === "Identifier") {
    const name = bindingOf(target);
    let value = unwrap(right) as unknown as SyntaxNode & { left?: object };
    // `current = current[key] ??= {}`
    while (value.left && /^(?:Assignment|Binary)Expression$/.test(value.type))
      value = unwrap(value.left) as typeof value;
    if (name !== undefined && isDynamicMember(value, flow) && bindingOf(unwrap(value.object)) === name)
      facts.descents.add(name);
  } else if (isDynamicMember(target, flow)) {
    const object = bindingOf(unwrap(target.object));
    if (object !== undefined) facts.writes.push({ node, target: object, key: target.property });
  }
}
