import type { CallExpression, Expression, ImportDeclaration } from "@swc/core";
import type { Rule, RuleContext } from "./rule.ts";
import { constantString, isNode, patternEntries, type SyntaxNode } from "./tree.ts";

const HINTS = {
  process: "A function cannot start processes; call a service over HTTP with fetch instead.",
  socket: 'A function has no raw sockets; use fetch, or import { sql } from "thimble:db" for the database.',
  thread: "A function runs in one thread; handle more work in more invocations.",
  code: "A function cannot make code at run time; import what it needs, so that it is bundled.",
  native: "A function cannot load native code; use a JavaScript or WebAssembly package instead.",
} as const;
type Danger = keyof typeof HINTS;

const MODULES = new Map<string, Danger>([
  ["child_process", "process"],
  ["cluster", "process"],
  ["net", "socket"],
  ["dgram", "socket"],
  ["tls", "socket"],
  ["worker_threads", "thread"],
  ["vm", "code"],
  ["v8", "code"],
  ["inspector", "code"],
  ["repl", "code"],
  ["ffi", "native"],
  ["bun:ffi", "native"],
]);

/** Members of globals and named exports of "bun". */
const MEMBERS = new Map<string, Danger>([
  ["process.binding", "native"],
  ["process._linkedBinding", "native"],
  ["process.dlopen", "native"],
  ["Deno.Command", "process"],
  ["Deno.run", "process"],
  ["Deno.dlopen", "native"],
  ["Bun.spawn", "process"],
  ["Bun.spawnSync", "process"],
  ["Bun.$", "process"],
  ["Bun.dlopen", "native"],
  ["Bun.ffi", "native"],
  ["Bun.FFI", "native"],
]);

/** Processes, sockets, threads, code generation and native code, by import or by member of a global. */
export const dangerousImport: Rule = {
  name: "dangerous-import",
  create: (context) => (node) => {
    switch (node.type) {
      case "ImportDeclaration":
        return checkImport(node as unknown as ImportDeclaration, context);
      case "ExportNamedDeclaration":
      case "ExportAllDeclaration":
        if ((node as unknown as ImportDeclaration).typeOnly) return;
        return checkSource((node as unknown as { source?: SyntaxNode }).source, context);
      case "TsExternalModuleReference":
        return checkSource((node as unknown as { expression: SyntaxNode }).expression, context);
      case "CallExpression":
        return checkCall(node as unknown as CallExpression, context);
      case "MemberExpression":
        return checkMember(node, context.scope.globalPath(node), context);
      case "VariableDeclarator":
        return checkPattern(node, "id", "init", context);
      case "AssignmentExpression":
        return checkPattern(node, "left", "right", context);
    }
  },
};

function checkImport(node: ImportDeclaration, context: RuleContext): void {
  const specifiers = node.specifiers;
  const typesOnly = (specifier: (typeof specifiers)[number]) =>
    specifier.type === "ImportSpecifier" && specifier.isTypeOnly;
  if (node.typeOnly || (specifiers.length > 0 && specifiers.every(typesOnly))) return;
  if (node.source.value !== "bun") {
    checkSource(node.source, context);
    return;
  }
  for (const specifier of specifiers) {
    if (specifier.type !== "ImportSpecifier") continue;
    checkMember(specifier, ["Bun", (specifier.imported ?? specifier.local).value], context);
  }
}

function checkSource(source: object | null | undefined, context: RuleContext): void {
  const specifier = source ? constantString(source) : undefined;
  const danger = specifier === undefined ? undefined : moduleDanger(specifier);
  if (danger) context.report(source!, `The module "${specifier}" must not be imported`, HINTS[danger]);
}

function moduleDanger(specifier: string): Danger | undefined {
  return MODULES.get(specifier) ?? MODULES.get(specifier.replace(/^node:/, "").split("/")[0]!);
}

function checkCall(node: CallExpression, context: RuleContext): void {
  const first = node.arguments[0]?.expression;
  if (first && loadsModule(node, context)) checkSource(first, context);
}

/** `import(x)`, `require(x)`, `process.getBuiltinModule(x)`. */
export function loadsModule(node: CallExpression, context: RuleContext): boolean {
  if (node.callee.type === "Import") return true;
  const path = context.scope.globalPath(node.callee as Expression)?.join(".");
  return path === "require" || path === "module.require" || path === "process.getBuiltinModule";
}

function checkMember(node: object, path: string[] | undefined, context: RuleContext): void {
  const name = path?.join(".");
  const danger = name === undefined ? undefined : MEMBERS.get(name);
  if (danger) context.report(node, `${name} must not be used`, HINTS[danger]);
}

/** `const { Command } = Deno`. */
function checkPattern(node: SyntaxNode, target: string, value: string, context: RuleContext): void {
  const parts = node as unknown as Record<string, object | undefined>;
  const entries = patternEntries(parts[target] ?? {});
  if (entries.length === 0 || !isNode(parts[value])) return;
  const path = context.scope.globalPath(parts[value]);
  if (!path) return;
  for (const entry of entries) checkMember(entry.node, [...path, entry.name], context);
}
