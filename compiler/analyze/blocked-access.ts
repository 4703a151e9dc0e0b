import type { CallExpression, MemberExpression, ObjectExpression } from "@swc/core";
import {
  importedDanger,
  loadedDanger,
  mayReachDanger,
  memberDanger,
  moduleDanger,
  mustNotBe,
} from "./forbidden.ts";
import type { Check, FileContext } from "./rule.ts";
import { constantString, propertyName, type SyntaxNode, unwrap } from "./tree.ts";
import { type Reference, referencesOf, textsOf, type Value } from "./value.ts";

interface Specifier {
  type: string;
  isTypeOnly?: boolean;
  local?: { value: string };
  orig?: { value: string };
  imported?: { value: string } | null;
}

/** Processes, sockets, threads, native code and `eval`: by import, by loading, by reading a member of what has them. */
export const blockedAccess: Check = (context) => {
  const { flow } = context;
  const asked = new Set<object>();
  for (const { of, name, node } of flow.bindings.patternReads) {
    for (const key of flow.names(name))
      if (mayReachDanger(key)) checkMember(node, flow.source(of), key, context);
  }
  return {
    // `typeof eval` asks and gets nothing.
    UnaryExpression(node) {
      const { operator, argument } = node as unknown as { operator: string; argument: object };
      if (operator === "typeof") asked.add(unwrap(argument));
    },
    ImportDeclaration: (node) => checkImport(node, context),
    ExportNamedDeclaration: (node) => checkImport(node, context),
    ExportAllDeclaration: (node) => checkImport(node, context),
    TsExternalModuleReference(node) {
      const { expression } = node as unknown as { expression: object };
      checkSpecifier(expression, constantString(expression), context);
    },
    Identifier(node) {
      if (asked.has(node)) return;
      const { value } = node as unknown as { value: string };
      if (flow.isGlobal(node, value))
        for (const found of referencesOf(flow.values(node))) reportMember(node, found, context);
    },
    MemberExpression(node) {
      if (asked.has(node)) return;
      const { object, property } = node as unknown as MemberExpression;
      for (const name of flow.names(property))
        if (mayReachDanger(name)) checkMember(node, flow.values(object), name, context);
    },
    CallExpression: (node) => checkCall(node as unknown as CallExpression, context),
    NewExpression: (node) => checkCall(node as unknown as CallExpression, context),
  };
};

function checkImport(node: SyntaxNode, context: FileContext): void {
  const {
    source,
    specifiers = [],
    typeOnly,
  } = node as unknown as {
    source?: { value: string } | null;
    typeOnly?: boolean;
    specifiers?: (Specifier & SyntaxNode)[];
  };
  const running = specifiers.filter(({ isTypeOnly }) => !isTypeOnly);
  if (!source || typeOnly || (specifiers.length > 0 && running.length === 0)) return;
  if (checkSpecifier(source, source.value, context)) return;
  for (const specifier of running) {
    if (specifier.type !== "ImportSpecifier" && specifier.type !== "ExportSpecifier") continue;
    const name = specifier.imported?.value ?? specifier.orig?.value ?? specifier.local?.value ?? "";
    const danger = importedDanger(source.value, name);
    if (danger)
      context.report(danger, specifier, mustNotBe(`${name} of "${source.value}"`, "imported", danger));
  }
}

function checkSpecifier(node: object, specifier: string | undefined, context: FileContext): boolean {
  const danger = specifier === undefined ? undefined : moduleDanger(specifier);
  if (danger) context.report(danger, node, mustNotBe(`The module "${specifier}"`, "imported", danger));
  return danger !== undefined;
}

/** `import(x)`, `require(x)` and their like, and `Reflect.get(Deno, "run")`. */
function checkCall(call: CallExpression, context: FileContext): void {
  const { flow } = context;
  for (const { callee, args } of flow.invocations(call)) {
    if (callee.kind !== "reference") continue;
    if (callee.path === "Reflect.get") {
      const [object, name] = args;
      for (const key of textsOf(flow.operand(name))) checkMember(call, flow.operand(object), key, context);
    } else if (flow.loads(callee)) {
      const argument = args[0] && "expression" in args[0] ? args[0].expression : call;
      for (const specifier of textsOf(flow.operand(args[0]))) {
        const danger = loadedDanger(specifier);
        if (!danger) continue;
        context.report(danger, argument, mustNotBe(`The module "${specifier}"`, "imported", danger));
        break;
      }
    }
  }
}

const REACHED_FROM = new Set<Value["kind"]>(["reference", "descriptor", "prototype", "proxy", "object"]);

/** Whether an object literal names a member, which it has not from `{ ...Deno }` then. */
const writesDown = (node: object, name: string) =>
  (node as ObjectExpression).properties.some((property) =>
    property.type === "Identifier"
      ? property.value === name
      : "key" in property && propertyName(property.key) === name,
  );

/** Only the step that reaches the member counts: what hands it on has been reported where it was reached. */
function checkMember(node: object, values: readonly Value[], name: string, context: FileContext): void {
  for (const value of values) {
    if (!REACHED_FROM.has(value.kind) || (value.kind === "object" && writesDown(value.node, name))) continue;
    for (const found of referencesOf(context.flow.member(value, name))) {
      if (reportMember(node, found, context)) return;
    }
  }
}

function reportMember(node: object, found: Reference, context: FileContext): boolean {
  const danger = memberDanger(found);
  if (danger) context.report(danger, node, mustNotBe(found.path.replace("#", "."), "used", danger));
  return danger !== undefined;
}
