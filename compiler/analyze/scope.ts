import { type Expression, type Identifier, type Module, parseSync, type Script } from "@swc/core";
import { patternEntries, propertyName, type SyntaxNode, unwrap, walk } from "./tree.ts";

const GLOBAL_OBJECTS = new Set(["globalThis", "self", "window", "global"]);
/** Longer member chains name nothing that a rule knows. */
const MAX_PATH = 8;

/** swc resolves scopes while it parses: names that nothing declares all carry one number, which this reads once. */
const globalContext = (parseSync("probe;").body[0] as unknown as { expression: { ctxt: number } }).expression
  .ctxt;

/** Tells globals from names of the file's own. */
export class Scope {
  /** Declared for the type checker only, so the global of that name is meant. */
  readonly #ambient = new Set<string>();
  /** `name:ctxt` of a local binding → the global that it is. */
  readonly #aliases = new Map<string, string>();

  constructor(program: Module | Script) {
    for (const item of program.body) this.#collectAmbient(item);
    walk(program, (node) => this.#collectAlias(node));
  }

  isGlobal(node: object, name: string): boolean {
    const identifier = node as Identifier;
    if (identifier.type !== "Identifier") return false;
    return this.#globalName(identifier) === name;
  }

  /**
   * The path of a global that an expression reads, `globalThis` and its other names left out: `["Deno", "Command"]` for
   * `Deno.Command`, `Deno["Command"]`, `globalThis.Deno?.Command`. Undefined for anything of the file's own.
   */
  globalPath(expression: object): string[] | undefined {
    const path: string[] = [];
    let current = unwrap(expression);
    while (current.type === "MemberExpression") {
      const name = propertyName(current.property);
      if (name === undefined || path.length > MAX_PATH) return undefined;
      path.unshift(name);
      current = unwrap(current.object as Expression);
    }
    const root = current.type === "Identifier" ? this.#globalName(current) : undefined;
    if (root === undefined) return undefined;
    path.unshift(root);
    while (path.length > 1 && GLOBAL_OBJECTS.has(path[0]!)) path.shift();
    return path;
  }

  #globalName(identifier: Identifier): string | undefined {
    const context = contextOf(identifier);
    const alias = this.#aliases.get(`${identifier.value}:${context}`);
    if (alias !== undefined) return alias;
    if (context === undefined) return undefined;
    if (context === globalContext || this.#ambient.has(identifier.value)) return identifier.value;
    return undefined;
  }

  #collectAmbient(item: object): void {
    const node = item as SyntaxNode & {
      declaration?: object;
      declare?: boolean;
      typeOnly?: boolean;
      identifier?: Identifier;
      declarations?: { id: Identifier }[];
      specifiers?: { local: Identifier; isTypeOnly?: boolean }[];
    };
    if (node.type === "ExportDeclaration" && node.declaration) this.#collectAmbient(node.declaration);
    if (node.type === "ImportDeclaration") {
      for (const { local, isTypeOnly } of node.specifiers ?? []) {
        if (node.typeOnly || isTypeOnly) this.#ambient.add(local.value);
      }
    }
    if (node.declare !== true) return;
    if (node.identifier) this.#ambient.add(node.identifier.value);
    for (const { id } of node.declarations ?? []) if (id.type === "Identifier") this.#ambient.add(id.value);
  }

  /** `import process from "node:process"`, `const require = createRequire(…)` and `const d = globalThis` are globals by another name. */
  #collectAlias(node: SyntaxNode): void {
    if (node.type === "ImportDeclaration") {
      const { source, specifiers } = node as unknown as {
        source: { value: string };
        specifiers: { type: string; local: Identifier }[];
      };
      if (source.value !== "node:process" && source.value !== "process") return;
      for (const specifier of specifiers) {
        if (specifier.type !== "ImportSpecifier") this.#alias(specifier.local, "process");
      }
    }
    if (node.type !== "VariableDeclarator") return;
    const { id, init } = node as unknown as { id: Identifier; init?: Expression };
    if (!init) return;
    const value = unwrap(init);
    if ((id.type as string) === "ObjectPattern") {
      const path = this.globalPath(value);
      if (path?.length !== 1 || !GLOBAL_OBJECTS.has(path[0]!)) return;
      for (const { name, local } of patternEntries(id)) if (local) this.#alias(local, name);
    }
    if (id.type !== "Identifier") return;
    if (
      value.type === "CallExpression" &&
      value.callee.type === "Identifier" &&
      value.callee.value === "createRequire"
    ) {
      this.#alias(id, "require");
    }
    const path =
      value.type === "Identifier" || value.type === "MemberExpression" ? this.globalPath(value) : undefined;
    if (path?.length === 1) this.#alias(id, path[0]!);
  }

  #alias(identifier: Identifier, name: string): void {
    this.#aliases.set(`${identifier.value}:${contextOf(identifier)}`, name);
  }
}

function contextOf(identifier: Identifier): number | undefined {
  return (identifier as unknown as { ctxt?: number }).ctxt;
}
