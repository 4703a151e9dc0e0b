import type {
  Argument,
  CallExpression,
  Expression,
  Identifier,
  MemberExpression,
  NewExpression,
} from "@swc/core";
import type { Rule, RuleContext } from "./rule.ts";
import { constantString, propertyName, type SyntaxNode, unwrap } from "./tree.ts";

const HINT =
  "Write the code as a function; for data use JSON.parse, for templates a library that needs no eval.";
const CALLABLE = new Set(["FunctionExpression", "ArrowFunctionExpression"]);

/** Code from strings: eval and Function under their names and by the detours through constructors; string timers. */
export const dynamicCode: Rule = {
  name: "dynamic-code",
  create(context) {
    const asked = new Set<object>();
    return (node) => {
      switch (node.type) {
        case "UnaryExpression": {
          const { operator, argument } = node as unknown as { operator: string; argument: Expression };
          if (operator === "typeof") asked.add(argument);
          return;
        }
        case "Identifier":
          if (!asked.has(node) && isEval(node) && context.scope.isGlobal(node, "eval"))
            report(node, "eval runs", context);
          return;
        case "MemberExpression":
          return checkMember(node as unknown as MemberExpression, context);
        case "CallExpression":
        case "NewExpression":
          return checkCall(node, context);
      }
    };
  },
};

function checkMember(node: MemberExpression, context: RuleContext): void {
  const path = context.scope.globalPath(node);
  if (path?.length === 1 && path[0] === "eval") report(node, "eval runs", context);
  // `Object.getPrototypeOf(async function () {}).constructor`: the only way to AsyncFunction and its like.
  else if (isMember(node, "constructor") && functionBehind(node.object as Expression)) {
    report(node, "The constructor of a function compiles", context);
  }
}

function functionBehind(expression: Expression): boolean {
  const object = unwrap(expression);
  if (CALLABLE.has(object.type)) return true;
  if (isMember(object, "__proto__")) return CALLABLE.has(unwrap(object.object as Expression).type);
  return (
    isPrototypeLookup(object) && CALLABLE.has(unwrap(object.arguments[0]?.expression ?? object.callee).type)
  );
}

function isPrototypeLookup(expression: Expression): expression is CallExpression {
  if (expression.type !== "CallExpression") return false;
  const callee = unwrap(expression.callee as Expression);
  return isMember(callee, "getPrototypeOf");
}

function checkCall(node: SyntaxNode, context: RuleContext): void {
  const call = node as unknown as CallExpression | NewExpression;
  const callee = unwrap(call.callee as Expression);
  const path = context.scope.globalPath(callee)?.join(".");
  const first: Argument | undefined = call.arguments?.[0];
  if (path !== undefined && /^Function(\.(call|apply|bind))?$/.test(path)) {
    report(node, "Function compiles", context);
  } else if (path === "eval" && callee.type === "Identifier" && !isEval(callee)) {
    report(node, "eval runs", context);
  } else if (path === "Reflect.construct" || path === "Reflect.apply") {
    const target = first && context.scope.globalPath(first.expression)?.join(".");
    if (target === "Function") report(node, "Function compiles", context);
  } else if (path === "setTimeout" || path === "setInterval") {
    if (first && constantString(first.expression) !== undefined)
      report(node, `${path} with a string runs`, context);
  } else if (isMember(callee, "constructor")) {
    const object = unwrap(callee.object as Expression);
    if (functionBehind(object)) return;
    if (isMember(object, "constructor") || isPrototypeLookup(object)) {
      report(node, "The constructor of a constructor compiles", context);
    }
  }
}

const isEval = (identifier: object) => (identifier as Identifier).value === "eval";

function isMember(expression: Expression, name: string): expression is MemberExpression {
  return expression.type === "MemberExpression" && propertyName(expression.property) === name;
}

function report(node: object, subject: string, context: RuleContext): void {
  context.report(node, `${subject} code from a string`, HINT);
}
