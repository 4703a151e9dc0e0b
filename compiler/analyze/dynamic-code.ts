import type { CallExpression, MemberExpression } from "@swc/core";
import { isClass } from "./bindings.ts";
import type { Invocation } from "./calls.ts";
import type { Check, FileContext } from "./rule.ts";
import { type SyntaxNode, unwrap } from "./tree.ts";
import { textsOf, type Value } from "./value.ts";

/** Code from strings by `Function` and its like, under their names and by the detours through constructors; string timers. */
export const dynamicCode: Check = (context) => {
  const { flow } = context;
  const check = (node: SyntaxNode) => checkCall(node as unknown as CallExpression, context);
  for (const { of, name, node } of flow.bindings.patternReads) {
    if (!context.isBundle && flow.names(name).includes("constructor") && flow.source(of).some(isFunctionLike))
      report(node, context);
  }
  return {
    CallExpression: check,
    NewExpression: check,
    MemberExpression(node) {
      if (readsConstructor(node, context)) report(node, context);
    },
    TaggedTemplateExpression: check,
    ClassDeclaration: (node) => checkClass(node, context),
    ClassExpression: (node) => checkClass(node, context),
  };
};

const FUNCTION = "Function compiles code from a string";

const compiles = (value: Value) => value.kind === "reference" && value.path === "Function";

/**
 * `(async () => {}).constructor`: it is the only way to AsyncFunction and its like, and hardly anybody needs it but to compile. Packages
 * do, to ask `instanceof`, so that in a bundle only a call of it counts.
 */
function readsConstructor(node: object, context: FileContext): boolean {
  const { object, property } = node as MemberExpression;
  return (
    !context.isBundle &&
    context.flow.names(property).includes("constructor") &&
    context.flow.values(object).some(isFunctionLike)
  );
}

function isFunctionLike(value: Value): boolean {
  if (value.kind === "prototype") return value.of !== undefined && isFunctionLike(value.of);
  return value.kind === "function" && !isClass(value.node);
}

function checkCall(call: CallExpression, context: FileContext): void {
  const callee = unwrap(call.callee ?? call);
  if (callee.type === "MemberExpression" && readsConstructor(callee, context)) return;
  for (const invocation of context.flow.invocations(call)) {
    const message = messageFor(invocation, call, context);
    if (message === undefined) continue;
    context.report("dynamic-code", call, message);
    return;
  }
}

function messageFor({ callee, args }: Invocation, call: object, { flow }: FileContext): string | undefined {
  if (compiles(callee)) return FUNCTION;
  if (callee.kind === "constructor" && callee.ofPrototype && args.length > 0 && isCall(call))
    return "The constructor behind a prototype may compile code from a string";
  const [first] = args;
  if (!first || callee.kind !== "reference" || !/^set(?:Timeout|Interval|Immediate)$/.test(callee.path))
    return undefined;
  const isString =
    textsOf(flow.operand(first)).length > 0 || ("expression" in first && isText(first.expression));
  return isString ? `${callee.path} with a string runs code from a string` : undefined;
}

const isCall = (node: object) => (node as SyntaxNode).type === "CallExpression";

/** Whether an expression makes a string, whatever is in it. */
function isText(expression: object): boolean {
  const node = unwrap(expression) as unknown as {
    type: string;
    operator?: string;
    left: object;
    right: object;
  };
  if (node.type === "TemplateLiteral" || node.type === "StringLiteral") return true;
  return (
    node.type === "BinaryExpression" && node.operator === "+" && (isText(node.left) || isText(node.right))
  );
}

function checkClass(node: SyntaxNode, context: FileContext): void {
  const { superClass } = node as unknown as { superClass?: object | null };
  if (superClass && context.flow.values(superClass).some(compiles))
    context.report("dynamic-code", node, FUNCTION);
}

function report(node: object, context: FileContext): void {
  context.report("dynamic-code", node, "The constructor of a function compiles code from a string");
}
