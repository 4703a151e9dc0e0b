import { type CallExpression, type Module, parseSync, type Script } from "@swc/core";
import {
  bindingOf,
  constantString,
  eachChild,
  isTypeOnly,
  propertyName,
  type SyntaxNode,
  unwrap,
} from "./tree.ts";

/** swc numbers the scopes; names that nothing declares all carry one number, which this reads once. */
const globalContext = (parseSync("probe;").body[0] as unknown as { expression: { ctxt: number } }).expression
  .ctxt;

/** Where a variable's value comes from. */
export type Source =
  | { kind: "expression"; node: object }
  /** `+=` */
  | { kind: "append"; node: object }
  /** `const { name } = …`; the name is a property key, which may be computed. */
  | { kind: "member"; of: Source; name: SyntaxNode }
  | { kind: "element"; of: Source; index: number }
  /** `[, ...rest]`; of an object all of it */
  | { kind: "rest"; of: Source; index: number }
  | { kind: "each"; of: Source }
  | { kind: "import"; specifier: string; name: string | undefined }
  | { kind: "parameter"; of: object; index: number };

/** A pattern takes a member out of something: `{ Command }` out of `Deno`. */
export interface PatternRead {
  of: Source;
  name: SyntaxNode;
  /** What the reader sees: the name, or the default value beside it. */
  node: SyntaxNode;
}

interface Parts {
  body?: SyntaxNode | null;
  params?: SyntaxNode[];
  function?: Parts;
}

const FUNCTIONS = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
  "MethodProperty",
  "GetterProperty",
  "SetterProperty",
  "ClassMethod",
  "PrivateMethod",
  "Constructor",
]);

/** Names what `this.name = …` within a class or object writes to. */
export const keyOfOwner = (owner: object) => `this@${(owner as SyntaxNode).span.start}`;

export const isFunction = (node: object) => FUNCTIONS.has((node as SyntaxNode).type);
export const isClass = (node: object) => /^Class(?:Declaration|Expression)$/.test((node as SyntaxNode).type);

/**
 * One walk over a file that notes what data flow needs: for each variable where its values come from, for each function what it
 * returns and how it is called. Nothing is evaluated here.
 */
export class Bindings {
  /** Every node that runs and has a type in `wanted`, in source order; of identifiers those that name globals. */
  readonly nodes: SyntaxNode[] = [];
  readonly patternReads: PatternRead[] = [];
  readonly #sources = new Map<string, Source[]>();
  readonly #writes = new Map<string, Source[]>();
  readonly #calls = new Map<string, CallExpression[]>();
  readonly #directCalls = new Map<object, CallExpression>();
  readonly #callbacks = new Map<object, { call: CallExpression; index: number }>();
  readonly #names = new Map<object, string>();
  readonly #returns = new Map<object, object[]>();
  readonly #yields = new Map<object, object[]>();
  readonly #firstParameters = new Map<object, string>();
  readonly #owners = new Map<object, object>();
  readonly #arguments = new Map<object, object>();
  readonly #ambient = new Set<string>();
  readonly #wanted: ReadonlySet<string>;

  constructor(program: Module | Script, wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
    for (const item of program.body) this.#noteAmbient(item);
    this.#visit(program as unknown as SyntaxNode, undefined, undefined);
  }

  sourcesOf(binding: string): readonly Source[] {
    return this.#sources.get(binding) ?? [];
  }

  /** What is assigned to `variable.name`. */
  writesTo(binding: string, name: string): readonly Source[] {
    return this.#writes.get(`${binding}.${name}`) ?? [];
  }

  returnsOf(fn: object): readonly object[] {
    return this.#returns.get(fn) ?? [];
  }

  /** What a generator yields. */
  yieldsOf(fn: object): readonly object[] | undefined {
    return this.#yields.get(fn);
  }

  /** What a function gives to the first of its parameters by calling it: `new Promise((resolve) => resolve(value))`. */
  givenToFirst(fn: object): readonly object[] {
    const calls = this.#calls.get(this.#firstParameters.get(fn) ?? "") ?? [];
    return calls.flatMap(({ arguments: [first] }) => (first ? [first.expression] : []));
  }

  /** The calls of a function by its name, or where it stands. */
  callsOf(fn: object): readonly CallExpression[] {
    const direct = this.#directCalls.get(fn);
    if (direct) return [direct];
    const name = this.#names.get(fn);
    return name === undefined ? [] : (this.#calls.get(name) ?? []);
  }

  /** The call that takes a function as an argument. */
  callbackOf(fn: object): { call: CallExpression; index: number } | undefined {
    return this.#callbacks.get(fn);
  }

  /** The function whose `arguments` an identifier is. */
  functionOfArguments(identifier: object): object | undefined {
    return this.#arguments.get(identifier);
  }

  /** The object literal or class whose member a `this` stands in. */
  ownerOf(thisExpression: object): object | undefined {
    return this.#owners.get(thisExpression);
  }

  /** Whether an identifier names a global: nothing declares it, or only for the type checker. */
  isGlobalName(identifier: object): boolean {
    const { value, ctxt } = identifier as { value: string; ctxt?: number };
    return ctxt !== undefined && (ctxt === globalContext || this.#ambient.has(value));
  }

  #visit(node: SyntaxNode, fn: object | undefined, owner: object | undefined): void {
    if (isTypeOnly(node)) return;
    if (this.#wanted.has(node.type) && (node.type !== "Identifier" || this.isGlobalName(node)))
      this.nodes.push(node);
    let within = owner;
    let inner = fn;
    if (isFunction(node)) {
      inner = node;
      this.#noteFunction(node);
      if (node.type === "FunctionDeclaration" || node.type === "FunctionExpression") within = undefined;
    } else if (isClass(node) || node.type === "ObjectExpression") within = node;
    this.#note(node, fn, owner);
    eachChild(node, (child) => this.#visit(child, inner, within));
  }

  #note(node: SyntaxNode, fn: object | undefined, owner: object | undefined): void {
    const parts = node as unknown as Record<string, SyntaxNode>;
    switch (node.type) {
      case "VariableDeclarator":
        if (parts.init) this.#assign(parts.id!, { kind: "expression", node: parts.init });
        break;
      case "ForOfStatement":
        this.#assign(loopTarget(parts.left!), {
          kind: "each",
          of: { kind: "expression", node: parts.right! },
        });
        break;
      case "FunctionDeclaration":
      case "ClassDeclaration":
        this.#assign(parts.identifier!, { kind: "expression", node });
        break;
      case "ClassExpression":
      case "FunctionExpression":
        if (parts.identifier) this.#assign(parts.identifier, { kind: "expression", node });
        break;
      case "AssignmentExpression": {
        const kind = (node as unknown as { operator: string }).operator === "+=" ? "append" : "expression";
        this.#assign(parts.left!, { kind, node: parts.right! }, owner);
        break;
      }
      case "ImportDeclaration":
        this.#noteImport(node);
        break;
      case "CallExpression":
      case "NewExpression":
        this.#noteCall(node as unknown as CallExpression);
        break;
      case "ReturnStatement":
        if (fn && parts.argument) add(this.#returns, fn, parts.argument);
        break;
      case "YieldExpression":
        if (fn && parts.argument) add(this.#yields, fn, parts.argument);
        break;
      case "Identifier":
        if (fn && (node as unknown as { value: string }).value === "arguments") this.#arguments.set(node, fn);
        break;
      case "ThisExpression":
        if (owner) this.#owners.set(node, owner);
        break;
    }
  }

  #noteFunction(node: SyntaxNode): void {
    const holder = node as unknown as Parts;
    const { params, body } = holder.function ?? holder;
    for (const [index, param] of (params ?? []).entries()) {
      const { pat, param: property } = param as unknown as { pat?: SyntaxNode; param?: SyntaxNode };
      const target = pat ?? property ?? param;
      this.#assign(target, { kind: "parameter", of: node, index });
      const name = index === 0 ? bindingOf(target) : undefined;
      if (name !== undefined) this.#firstParameters.set(node, name);
    }
    if (body && !/^(?:BlockStatement|FunctionBody)$/.test(body.type)) add(this.#returns, node, body);
  }

  #noteCall(call: CallExpression): void {
    this.#noteDefinition(call);
    const callee = unwrap(call.callee);
    if (callee.type === "Identifier") {
      const key = bindingOf(callee);
      if (key !== undefined) add(this.#calls, key, call);
    } else if (isFunction(callee)) this.#directCalls.set(callee, call);
    for (const [index, { expression }] of (call.arguments ?? []).entries()) {
      const value = unwrap(expression);
      if (isFunction(value)) this.#callbacks.set(value, { call, index });
    }
  }

  /** `Object.defineProperty(variable, "name", { value })` writes to it. */
  #noteDefinition({ callee, arguments: args }: CallExpression): void {
    const [target, name, descriptor] = args ?? [];
    if (!target || !name || !descriptor) return;
    const { property } = unwrap(callee) as { property?: object };
    const object = bindingOf(unwrap(target.expression));
    const key = constantString(name.expression);
    if (!property || propertyName(property) !== "defineProperty" || object === undefined || key === undefined)
      return;
    const value = { type: "Identifier", value: "value" } as unknown as SyntaxNode;
    const of: Source = { kind: "expression", node: descriptor.expression };
    add(this.#writes, `${object}.${key}`, { kind: "member", of, name: value });
  }

  #writtenObject(object: object, owner: object | undefined): string | undefined {
    const { type } = object as SyntaxNode;
    if (type === "ThisExpression") return owner && keyOfOwner(owner);
    return type === "Identifier" ? bindingOf(object) : undefined;
  }

  #assign(target: SyntaxNode, source: Source, owner?: object): void {
    const parts = target as unknown as Record<string, SyntaxNode>;
    switch (target.type) {
      case "Identifier": {
        const key = bindingOf(target);
        if (key === undefined) return;
        add(this.#sources, key, source);
        const value = "node" in source ? unwrap(source.node) : undefined;
        if (value && (isFunction(value) || isClass(value))) this.#names.set(value, key);
        return;
      }
      case "ParenthesisExpression":
        this.#assign(unwrap(target) as SyntaxNode, source);
        return;
      case "AssignmentPattern":
        this.#assign(parts.left!, source);
        this.#assign(parts.left!, { kind: "expression", node: parts.right! });
        return;
      case "RestElement":
        this.#assign(parts.argument!, source);
        return;
      case "ArrayPattern":
        for (const [index, element] of (parts.elements as unknown as SyntaxNode[]).entries())
          if (element)
            this.#assign(element, {
              kind: element.type === "RestElement" ? "rest" : "element",
              of: source,
              index,
            });
        return;
      case "ObjectPattern":
        for (const property of parts.properties as unknown as SyntaxNode[]) this.#take(property, source);
        return;
      case "MemberExpression": {
        const key = this.#writtenObject(unwrap(parts.object!), owner);
        const name = propertyName(parts.property!);
        if (key !== undefined && name !== undefined) add(this.#writes, `${key}.${name}`, source);
      }
    }
  }

  /** `{ name }`, `{ name = 1 }`, `{ name: target }`, `{ ...rest }` */
  #take(property: SyntaxNode, of: Source): void {
    const { key, value } = property as unknown as { key?: SyntaxNode; value?: SyntaxNode | null };
    if (!key) {
      this.#assign(property, of);
      return;
    }
    const source: Source = { kind: "member", of, name: key };
    this.patternReads.push({ of, name: key, node: key });
    const isRenamed = property.type === "KeyValuePatternProperty";
    this.#assign(isRenamed ? value! : key, source);
    if (value && !isRenamed) this.#assign(key, { kind: "expression", node: value });
  }

  #noteImport(node: SyntaxNode): void {
    const { source, specifiers, typeOnly } = node as unknown as {
      source: { value: string };
      typeOnly: boolean;
      specifiers: { type: string; isTypeOnly?: boolean; local: SyntaxNode; imported?: { value: string } }[];
    };
    for (const { type, local, imported, isTypeOnly } of specifiers) {
      if (typeOnly || isTypeOnly) continue;
      const written = imported?.value ?? (local as unknown as { value: string }).value;
      const name =
        type === "ImportSpecifier" ? written : type === "ImportDefaultSpecifier" ? "default" : undefined;
      this.#assign(local, { kind: "import", specifier: source.value, name });
    }
  }

  #noteAmbient(item: object): void {
    const node = item as SyntaxNode & {
      declaration?: object;
      declare?: boolean;
      typeOnly?: boolean;
      identifier?: { value: string };
      declarations?: { id: { type: string; value: string } }[];
      specifiers?: { local: { value: string }; isTypeOnly?: boolean }[];
    };
    if (node.type === "ExportDeclaration" && node.declaration) this.#noteAmbient(node.declaration);
    if (node.type === "ImportDeclaration") {
      for (const { local, isTypeOnly } of node.specifiers ?? [])
        if (node.typeOnly || isTypeOnly) this.#ambient.add(local.value);
    }
    if (node.declare !== true) return;
    if (node.identifier) this.#ambient.add(node.identifier.value);
    for (const { id } of node.declarations ?? []) if (id.type === "Identifier") this.#ambient.add(id.value);
  }
}

/** The variable of `for (const x of …)` and `for (x of …)`. */
function loopTarget(left: SyntaxNode): SyntaxNode {
  const declarations = (left as unknown as { declarations?: { id: SyntaxNode }[] }).declarations;
  return declarations?.[0]?.id ?? left;
}

function add<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}
