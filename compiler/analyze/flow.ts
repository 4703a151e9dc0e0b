import { posix } from "node:path";
import { type CallExpression, type Expression, type MemberExpression, parseSync } from "@swc/core";
import { type Bindings, isClass, isFunction, type Source } from "./bindings.ts";
import {
  callListMethod,
  callTextFunction,
  callTextMethod,
  listOf,
  MAX_LIST_LENGTH,
  MAX_TEXT_LENGTH,
} from "./constant-methods.ts";
import { bindingOf, propertyName, type SyntaxNode, unwrap } from "./tree.ts";
import {
  FOLDER,
  globalReference,
  isGlobalObject,
  memberOf,
  moduleReference,
  pathOfUrl,
  type Operand,
  type Reference,
  text,
  textsOf,
  type Value,
  type Values,
} from "./value.ts";

/** Values of one expression that are followed. */
const MAX_VALUES = 8;
/** Evaluations within one file, so that hostile code stays cheap: about a second. Beyond, everything is unknown. */
const MAX_STEPS = 3_000_000;
/** Evaluations of functions with given arguments, which are not remembered. */
const MAX_CALL_STEPS = 300_000;
const MAX_CALL_DEPTH = 8;
const MAX_DEPTH = 300;

/** swc numbers the scopes; names that nothing declares all carry one number, which this reads once. */
const globalContext = (parseSync("probe;").body[0] as unknown as { expression: { ctxt: number } }).expression
  .ctxt;

/** Variables of a function that is called with known arguments. */
interface Frame {
  parameters: ReadonlyMap<object, readonly Values[]>;
  depth: number;
}

/** A call as it happens, whatever it is written as: `f.call(x, a)` and `Reflect.apply(f, x, [a])` call `f` with `a`. */
export interface Invocation {
  callee: Value;
  args: readonly Operand[];
}

const NOTHING: Values = [];
const FUNCTION_CONSTRUCTOR = globalReference("Function");

/** Functions that load a module by its name. */
const LOADERS = new Set(["require", "process.getBuiltinModule", "module#_load"]);
const SAME_OBJECT = new Set([
  "Object",
  "Object.create",
  "Object.freeze",
  "Object.seal",
  "Object.preventExtensions",
  "Object.setPrototypeOf",
  "Promise.resolve",
  "Promise.all",
  "structuredClone",
]);
const LIST_CALLBACKS = new Set([
  "map",
  "flatMap",
  "forEach",
  "filter",
  "find",
  "findLast",
  "some",
  "every",
  "then",
]);
const NAMESPACES = new Set([
  "Math",
  "JSON",
  "Reflect",
  "Atomics",
  "Intl",
  "console",
  "crypto",
  "process",
  "Deno",
  "Bun",
  "performance",
  "globalThis",
  "self",
  "window",
  "global",
]);

/**
 * Cheap data flow: what an expression may be when it runs, as far as constants, aliases, destructuring, members, calls of local
 * functions and the usual ways to read a member lead. Values are a set (each of them may be), order and conditions
 * of statements are ignored, and what is not followed is unknown. Bounded in steps, so linear in the size of the file.
 */
export class Flow {
  readonly bindings: Bindings;
  /** The path of the file within the function's folder, where `import.meta.dirname` leads; unknown in bundles. */
  readonly #file: string | undefined;
  readonly #known = new Map<object, Values>();
  readonly #underway = new Set<unknown>();
  #steps = MAX_STEPS;
  #callSteps = MAX_CALL_STEPS;
  #depth = 0;
  #cut = false;

  constructor(bindings: Bindings, file: string | undefined) {
    this.bindings = bindings;
    this.#file = file;
  }

  /** What an expression may be; empty when nothing is known. */
  values(expression: object): Values {
    return this.#values(expression, undefined);
  }

  operand(operand: Operand | undefined): Values {
    return operand === undefined ? NOTHING : this.#operand(operand, undefined);
  }

  /** What a member of `source` may be. */
  source(source: Source): Values {
    return this.#source(source, undefined);
  }

  /** The names that a property key or computed member may have. */
  names(property: object): string[] {
    return this.#names(property, undefined);
  }

  member(value: Value, name: string): Values {
    return this.#member(value, name, undefined);
  }

  invocations(call: object): Invocation[] {
    return this.#invocations(call as CallExpression, undefined);
  }

  /** Whether a function loads modules by their name. */
  loads({ path }: Reference): boolean {
    return LOADERS.has(path);
  }

  isGlobal(identifier: object, name: string): boolean {
    const { type, value } = identifier as { type: string; value: string };
    return type === "Identifier" && value === name && this.#isGlobalName(identifier);
  }

  /** The path of the one global or module member that an expression is: `Deno.Command`. */
  path(expression: object): string | undefined {
    const [value] = this.values(expression);
    return value?.kind === "reference" ? value.path : undefined;
  }

  #values(expression: object, frame: Frame | undefined): Values {
    const node = unwrap(expression);
    if (!frame) {
      const known = this.#known.get(node);
      if (known) return known;
    }
    if (this.#underway.has(node) || this.#depth > MAX_DEPTH || this.#steps-- < 0) return this.#giveUp();
    if (frame && this.#callSteps-- < 0) return this.#giveUp();
    const outer = this.#cut;
    this.#cut = false;
    if (!frame) this.#underway.add(node);
    this.#depth++;
    const values = limited(this.#evaluate(node, frame));
    this.#depth--;
    if (!frame) this.#underway.delete(node);
    // What was cut short by a cycle or a limit may be known better when it is asked for on its own.
    if (!frame && !this.#cut) this.#known.set(node, values);
    this.#cut ||= outer;
    return values;
  }

  #giveUp(): Values {
    this.#cut = true;
    return NOTHING;
  }

  #evaluate(node: Expression, frame: Frame | undefined): Values {
    switch (node.type as string) {
      case "StringLiteral":
        return [text((node as { value: string }).value)];
      case "NumericLiteral":
        return [{ kind: "number", number: (node as unknown as { value: number }).value }];
      case "TemplateLiteral":
        return this.#template(node, frame);
      case "TaggedTemplateExpression":
        return this.#tagged(node, frame);
      case "BinaryExpression":
        return this.#binary(node, frame);
      case "Identifier":
        return this.#identifier(node, frame);
      case "ThisExpression": {
        const owner = this.bindings.ownerOf(node);
        return owner
          ? [isClass(owner) ? { kind: "instance", of: owner } : { kind: "object", node: owner }]
          : NOTHING;
      }
      case "MetaProperty":
        return (node as unknown as { kind: string }).kind === "import.meta"
          ? [globalReference("import.meta")]
          : NOTHING;
      case "MemberExpression":
        return this.#readMember(node as MemberExpression, frame);
      case "AssignmentExpression":
        return this.#values((node as unknown as { right: object }).right, frame);
      case "AwaitExpression":
      case "YieldExpression": {
        const { argument } = node as { argument?: object };
        return argument ? this.#values(argument, frame) : NOTHING;
      }
      case "ConditionalExpression": {
        const { consequent, alternate } = node as unknown as { consequent: object; alternate: object };
        return [...this.#values(consequent, frame), ...this.#values(alternate, frame)];
      }
      case "ArrayExpression":
        return this.#array(node, frame);
      case "ObjectExpression":
        return [{ kind: "object", node }];
      case "CallExpression":
      case "NewExpression":
        return this.#call(node as CallExpression, frame);
      default:
        return isFunction(node) || isClass(node) ? [{ kind: "function", node }] : NOTHING;
    }
  }

  #template(node: object, frame: Frame | undefined): Values {
    const { quasis, expressions } = node as { quasis: { cooked?: string }[]; expressions: object[] };
    let texts = [quasis[0]?.cooked ?? ""];
    for (const [index, expression] of expressions.entries()) {
      const parts = stringsOf(this.#values(expression, frame));
      const after = quasis[index + 1]?.cooked ?? "";
      texts = texts.flatMap((before) => parts.map((part) => before + part + after)).slice(0, MAX_VALUES);
    }
    return texts.filter((value) => value.length <= MAX_TEXT_LENGTH).map(text);
  }

  #tagged(node: object, frame: Frame | undefined): Values {
    const { tag, template } = node as { tag: object; template: object };
    const isRaw = this.#values(tag, frame).some(
      (value) => value.kind === "reference" && value.path === "String.raw",
    );
    return isRaw ? this.#template(template, frame) : NOTHING;
  }

  #binary(node: object, frame: Frame | undefined): Values {
    const { operator, left, right } = node as { operator: string; left: object; right: object };
    if (operator === "||" || operator === "??" || operator === "&&")
      return [...this.#values(left, frame), ...this.#values(right, frame)];
    const [a, b] = [this.#values(left, frame), this.#values(right, frame)];
    const [x, y] = [a[0], b[0]];
    if (x?.kind === "number" && y?.kind === "number") return arithmetic(operator, x.number, y.number);
    return operator === "+" ? concatenated(stringsOf(a), stringsOf(b)) : NOTHING;
  }

  #identifier(node: object, frame: Frame | undefined): Values {
    if (this.#isGlobalName(node)) return this.#globalName((node as { value: string }).value);
    const key = bindingOf(node);
    if (key === undefined) return NOTHING;
    if (this.#underway.has(key)) return this.#giveUp();
    this.#underway.add(key);
    let values: Value[] = [];
    const sources = this.bindings.sourcesOf(key);
    for (const source of sources) if (source.kind !== "append") values.push(...this.#source(source, frame));
    for (const source of sources) {
      if (source.kind !== "append") continue;
      values = limited([
        ...values,
        ...concatenated(stringsOf(values), stringsOf(this.#values(source.node, frame))),
      ]);
    }
    this.#underway.delete(key);
    return values;
  }

  #isGlobalName(identifier: object): boolean {
    const { value, ctxt } = identifier as { value: string; ctxt?: number };
    return ctxt !== undefined && (ctxt === globalContext || this.bindings.isAmbient(value));
  }

  #globalName(name: string): Values {
    if (name === "undefined") return NOTHING;
    if (name === "__dirname") return this.#folder();
    if (name === "__filename") return this.#file === undefined ? NOTHING : [text(`${FOLDER}/${this.#file}`)];
    return [globalReference(name)];
  }

  #folder(): Values {
    return this.#file === undefined ? NOTHING : [text(posix.join(FOLDER, posix.dirname(this.#file)))];
  }

  #source(source: Source, frame: Frame | undefined): Values {
    switch (source.kind) {
      case "expression":
      case "append":
        return this.#values(source.node, frame);
      case "import":
        return source.name === undefined
          ? [moduleReference(source.specifier)]
          : [moduleReference(source.specifier, source.name)];
      case "parameter":
        return this.#parameter(source.of, source.index, frame);
      case "member": {
        const names = this.#names(source.name, frame);
        return this.#source(source.of, frame).flatMap((value) =>
          names.flatMap((name) => this.#member(value, name, frame)),
        );
      }
      case "element":
        return this.#source(source.of, frame).flatMap((value) =>
          this.#member(value, String(source.index), frame),
        );
      case "each":
        return this.#source(source.of, frame).flatMap((value) =>
          value.kind === "list" ? value.items.flat() : NOTHING,
        );
    }
  }

  #parameter(fn: object, index: number, frame: Frame | undefined): Values {
    const given = frame?.parameters.get(fn);
    if (given) return given[index] ?? NOTHING;
    const calls = this.bindings.callsOf(fn);
    const values = calls.flatMap((call) => {
      const argument = call.arguments?.[index];
      return argument && !argument.spread ? this.#values(argument.expression, frame) : NOTHING;
    });
    const callback = this.bindings.callbackOf(fn);
    if (callback?.index !== 0 || index !== 0) return values;
    const callee = unwrap(callback.call.callee);
    if (callee.type !== "MemberExpression" || !LIST_CALLBACKS.has(propertyName(callee.property) ?? ""))
      return values;
    return [...values, ...this.#values(callee.object, frame).flatMap(eachItem)];
  }

  #array(node: object, frame: Frame | undefined): Values {
    const { elements } = node as { elements: ({ spread?: object; expression: object } | null)[] };
    if (elements.length > MAX_LIST_LENGTH) return NOTHING;
    const items = elements.flatMap((element): Values[] => {
      if (!element) return [NOTHING];
      const values = this.#values(element.expression, frame);
      if (!element.spread) return [values];
      return values.flatMap((value) => (value.kind === "list" ? value.items : textItems(value)));
    });
    return [{ kind: "list", items }];
  }

  #names(property: object, frame: Frame | undefined): string[] {
    const written = propertyName(property);
    if (written !== undefined) return [written];
    const { type, expression } = property as { type: string; expression: object };
    return type === "Computed" ? stringsOf(this.#values(expression, frame)) : [];
  }

  #readMember(node: MemberExpression, frame: Frame | undefined): Values {
    const names = this.#names(node.property, frame);
    const objects = this.#values(node.object, frame);
    const found = names.flatMap((name) =>
      objects.length === 0
        ? unknownMember(name)
        : objects.flatMap((value) => this.#member(value, name, frame)),
    );
    const object = unwrap(node.object);
    const key = object.type === "Identifier" ? bindingOf(object) : undefined;
    if (key === undefined) return found;
    let values: Value[] = found;
    for (const source of names.flatMap((name) => this.bindings.writesTo(key, name))) {
      const written = this.#source(source, frame);
      values = limited([
        ...values,
        ...(source.kind === "append" ? concatenated(stringsOf(values), stringsOf(written)) : written),
      ]);
    }
    return values;
  }

  #member(value: Value, name: string, frame: Frame | undefined): Values {
    if (name === "__proto__") return [{ kind: "prototype", of: value }];
    if (this.#depth > MAX_DEPTH || this.#steps-- < 0) return this.#giveUp();
    this.#depth++;
    const found = this.#ownMember(value, name, frame);
    this.#depth--;
    return found.length > 0 ? limited(found) : inherited(value, name);
  }

  #ownMember(value: Value, name: string, frame: Frame | undefined): Values {
    switch (value.kind) {
      case "reference":
        return this.#memberOfReference(value, name);
      case "text":
        if (name === "length") return [{ kind: "number", number: value.text.length }];
        if (/^\d+$/.test(name))
          return value.text[Number(name)] === undefined ? NOTHING : [text(value.text[Number(name)]!)];
        return NOTHING;
      case "number":
        return NOTHING;
      case "list":
        if (name === "length") return [{ kind: "number", number: value.items.length }];
        return name === "constructor" ? [globalReference("Array")] : (value.items[Number(name)] ?? NOTHING);
      case "bound":
      case "constructor":
        return name === "constructor" ? [FUNCTION_CONSTRUCTOR] : NOTHING;
      case "function":
        return this.#memberOfFunction(value.node, name, frame);
      case "instance":
        return (
          this.#classMember(value.of, name, false, frame) ??
          (name === "constructor" ? [{ kind: "function", node: value.of }] : NOTHING)
        );
      case "object":
        return this.#property(value.node, name, frame) ?? NOTHING;
      case "prototype":
        return this.#memberOfPrototype(value.of, name, frame);
      case "descriptor":
        return name === "value" || name === "get" ? [value.of] : NOTHING;
      case "descriptors":
        return this.#member(value.of, name, frame).map((of) => ({ kind: "descriptor", of }));
    }
  }

  #memberOfReference(value: Reference, name: string): Values {
    const { module, names } = value;
    if (module === undefined && name === "constructor" && names[0] !== "module") {
      if (isGlobalObject(value)) return [globalReference("Object")];
      if (names.at(-1) === "prototype") return [globalReference(...names.slice(0, -1))];
      return names.length === 1 && NAMESPACES.has(names[0]!)
        ? [globalReference("Object")]
        : [FUNCTION_CONSTRUCTOR];
    }
    if (value.path === "import.meta" && (name === "dirname" || name === "filename")) {
      return this.#globalName(name === "dirname" ? "__dirname" : "__filename");
    }
    if (value.path === "import.meta" && name === "url" && this.#file !== undefined)
      return [text(`file://${FOLDER}/${encodeURI(this.#file)}`)];
    const member = memberOf(value, name);
    return member ? [member] : NOTHING;
  }

  #memberOfFunction(node: object, name: string, frame: Frame | undefined): Values {
    const own = isClass(node) ? this.#classMember(node, name, true, frame) : undefined;
    if (own) return own;
    if (name === "prototype") return [{ kind: "prototype", of: { kind: "instance", of: node } }];
    return NOTHING;
  }

  #memberOfPrototype(of: Value | undefined, name: string, frame: Frame | undefined): Values {
    if (of) return this.#member(of, name, frame);
    return name === "constructor" ? [{ kind: "constructor", ofPrototype: true }] : NOTHING;
  }

  #classMember(node: object, name: string, isStatic: boolean, frame: Frame | undefined): Values | undefined {
    const { body } = node as { body?: ClassMember[] };
    if (!Array.isArray(body)) return undefined;
    for (const member of body) {
      if (!member.key || (member.isStatic ?? false) !== isStatic || propertyName(member.key) !== name)
        continue;
      if (member.type === "Constructor") continue;
      if (!member.function) return member.value ? this.#values(member.value, frame) : NOTHING;
      return member.kind === "getter" ? this.#returns(member, frame) : [{ kind: "function", node: member }];
    }
    return undefined;
  }

  #property(node: object, name: string, frame: Frame | undefined): Values | undefined {
    const { properties } = node as { properties: ObjectMember[] };
    if (properties.length > MAX_LIST_LENGTH * 4) return undefined;
    let found: Values | undefined;
    for (const property of properties) {
      if (property.type === "SpreadElement") {
        const spread = this.#values(property.arguments!, frame).flatMap((value) =>
          this.#member(value, name, frame),
        );
        if (spread.length > 0) found = spread;
      } else if (property.type === "Identifier") {
        if (property.value === (name as unknown)) found = this.#values(property, frame);
      } else if (property.key && this.#names(property.key, frame).includes(name)) {
        if (property.type === "KeyValueProperty") found = this.#values(property.value as object, frame);
        else if (property.type === "GetterProperty") found = this.#returns(property, frame);
        else if (property.type === "MethodProperty") found = [{ kind: "function", node: property }];
      }
    }
    return found;
  }

  #returns(fn: object, frame: Frame | undefined): Values {
    return this.bindings.returnsOf(fn).flatMap((value) => this.#values(value, frame));
  }

  #operand(operand: Operand, frame: Frame | undefined): Values {
    return "expression" in operand ? this.#values(operand.expression, frame) : operand;
  }

  #invocations(call: CallExpression, frame: Frame | undefined): Invocation[] {
    const args = this.#arguments(call, frame);
    const callee = unwrap(call.callee);
    if ((callee.type as string) === "Import") return [{ callee: globalReference("require"), args }];
    const found = this.#values(callee, frame).flatMap((value) => this.#direct(value, args, frame));
    if (callee.type !== "MemberExpression") return found;
    const [name] = this.#names(callee.property, frame);
    if (name === "call" || name === "apply" || name === "bind") {
      const bound = name === "apply" ? this.#spread(args[1], frame) : args.slice(1);
      for (const value of this.#values(callee.object, frame)) {
        const last = value.kind === "reference" ? value.names.at(-1) : undefined;
        // `Function.prototype.call.call(f, x, a)`
        if (last === "call")
          found.push(
            ...this.#operands(args[0], frame).map((target) => ({ callee: target, args: args.slice(2) })),
          );
        else if (last === "apply")
          found.push(
            ...this.#operands(args[0], frame).map((target) => ({
              callee: target,
              args: this.#spread(args[2], frame),
            })),
          );
        else found.push(...this.#direct(value, bound, frame));
      }
    } else if (name !== undefined && LIST_CALLBACKS.has(name) && args[0]) {
      const items = this.#values(callee.object, frame).flatMap(eachItem);
      for (const value of this.#operand(args[0], frame))
        if (value.kind === "reference") found.push({ callee: value, args: [items] });
    }
    return found;
  }

  /** A list that is spread counts as its items; one that is not known ends what is known. */
  #arguments(call: CallExpression, frame: Frame | undefined): Operand[] {
    const operands: Operand[] = [];
    for (const { spread, expression } of call.arguments ?? []) {
      if (!spread) operands.push({ expression });
      else {
        const [list] = this.#values(expression, frame);
        if (list?.kind !== "list") break;
        operands.push(...list.items);
      }
    }
    return operands;
  }

  #operands(operand: Operand | undefined, frame: Frame | undefined): Values {
    return operand ? this.#operand(operand, frame) : NOTHING;
  }

  #direct(callee: Value, args: readonly Operand[], frame: Frame | undefined): Invocation[] {
    if (callee.kind === "bound") return this.#direct(callee.target, [...callee.args, ...args], frame);
    const path = callee.kind === "reference" ? callee.path : "";
    if (path !== "Reflect.apply" && path !== "Reflect.construct") return [{ callee, args }];
    const inner = this.#spread(args[path === "Reflect.apply" ? 2 : 1], frame);
    return this.#operands(args[0], frame).map((target) => ({ callee: target, args: inner }));
  }

  #spread(operand: Operand | undefined, frame: Frame | undefined): readonly Operand[] {
    const [list] = this.#operands(operand, frame);
    return list?.kind === "list" ? list.items : [];
  }

  #call(call: CallExpression, frame: Frame | undefined): Values {
    const callee = unwrap(call.callee);
    const values: Value[] = [];
    if (callee.type === "MemberExpression") values.push(...this.#method(callee, call, frame));
    const isNew = (call.type as string) === "NewExpression";
    for (const invocation of this.#invocations(call, frame))
      values.push(...this.#result(invocation, isNew, frame));
    return values;
  }

  /** Methods of texts and lists, and `bind`. */
  #method(callee: MemberExpression, call: CallExpression, frame: Frame | undefined): Values {
    const [name] = this.#names(callee.property, frame);
    if (name === undefined) return NOTHING;
    const operands = this.#arguments(call, frame);
    return this.#values(callee.object, frame).flatMap((value): Values => {
      if (name === "bind") return [{ kind: "bound", target: value, args: operands.slice(1) }];
      if (value.kind !== "text" && value.kind !== "list") return NOTHING;
      const args = operands.map((operand) => this.#operand(operand, frame));
      if (value.kind === "list") return this.#listMethod(value.items, name, args, frame);
      const result = callTextMethod(value.text, name, args);
      return result ? [result] : NOTHING;
    });
  }

  #listMethod(
    items: readonly Values[],
    name: string,
    args: readonly Values[],
    frame: Frame | undefined,
  ): Values {
    const [fn] = args[0] ?? [];
    if (fn?.kind !== "function") return callListMethod(items, name, args);
    if (name === "map" || name === "flatMap")
      return [
        {
          kind: "list",
          items: items.map((item, index) =>
            this.#apply(fn.node, [item, [{ kind: "number", number: index }]], frame),
          ),
        },
      ];
    if (name !== "reduce" && name !== "reduceRight") return callListMethod(items, name, args);
    const ordered = name === "reduce" ? items : [...items].reverse();
    const [first = NOTHING, ...rest] = args.length > 1 ? [args[1]!, ...ordered] : ordered;
    return rest.reduce((before, item) => this.#apply(fn.node, [before, item], frame), first);
  }

  #apply(fn: object, args: readonly Values[], frame: Frame | undefined): Values {
    const depth = (frame?.depth ?? 0) + 1;
    if (depth > MAX_CALL_DEPTH) return NOTHING;
    const parameters = new Map(frame?.parameters).set(fn, args);
    return limited(this.#returns(fn, { parameters, depth }));
  }

  #result({ callee, args }: Invocation, isNew: boolean, frame: Frame | undefined): Values {
    if (callee.kind === "function") {
      if (isNew || isClass(callee.node)) return [{ kind: "instance", of: callee.node }];
      const known = args.map((operand) => this.#operand(operand, frame));
      return this.#apply(callee.node, known, frame);
    }
    if (callee.kind !== "reference") return NOTHING;
    return this.#resultOfReference(
      callee,
      args.map((operand) => this.#operand(operand, frame)),
      frame,
    );
  }

  #resultOfReference(
    { path, module, names }: Reference,
    args: readonly Values[],
    frame: Frame | undefined,
  ): Values {
    const [first = NOTHING, second = NOTHING] = args;
    if (LOADERS.has(path)) return textsOf(first).map((specifier) => moduleReference(specifier));
    if (SAME_OBJECT.has(path) || path === "Proxy") return first;
    switch (path) {
      case "module#createRequire":
      case "module#createRequireFromPath":
        return [globalReference("require")];
      case "Reflect.get":
        return first.flatMap((value) =>
          stringsOf(second).flatMap((name) => this.#member(value, name, frame)),
        );
      case "Object.getOwnPropertyDescriptor":
      case "Reflect.getOwnPropertyDescriptor":
        return first.flatMap((value) =>
          stringsOf(second).flatMap((name) =>
            this.#member(value, name, frame).map((of) => ({ kind: "descriptor" as const, of })),
          ),
        );
      case "Object.getOwnPropertyDescriptors":
        return first.map((of) => ({ kind: "descriptors" as const, of }));
      case "Object.getPrototypeOf":
      case "Reflect.getPrototypeOf":
        return first.length === 0
          ? [{ kind: "prototype", of: undefined }]
          : first.map((of) => ({ kind: "prototype" as const, of }));
      case "Object.assign":
        return args.flat();
      case "Object.values":
        return first.flatMap((value) => this.#valuesOfObject(value, frame));
      case "String.fromCharCode":
      case "String.fromCodePoint":
        return fromCodes(args);
      case "Array.from":
        return first.flatMap((value) => textItemList(value));
      case "process.cwd":
        return [text(FOLDER)];
      case "URL":
        return resolvedUrl(textsOf(first), textsOf(second));
      case "url#fileURLToPath":
        return textsOf(first).map((url) => text(pathOfUrl(url)));
    }
    if (module === "path") return joinedPath(names.at(-1), args.map(textsOf));
    const texts = textsOf(first);
    const encoding = textsOf(second)[0];
    return texts.flatMap((value) => {
      const result = callTextFunction(path, encoding === undefined ? [value] : [value, encoding]);
      return result === undefined ? [] : [text(result)];
    });
  }

  #valuesOfObject(value: Value, frame: Frame | undefined): Values {
    if (value.kind !== "object") return NOTHING;
    const { properties } = value.node as { properties: ObjectMember[] };
    if (properties.length > MAX_LIST_LENGTH) return NOTHING;
    const items = properties.flatMap((property) =>
      property.type === "KeyValueProperty" ? [this.#values(property.value as object, frame)] : [],
    );
    return [{ kind: "list", items }];
  }
}

interface ClassMember extends SyntaxNode {
  key?: object;
  isStatic?: boolean;
  value?: object;
  function?: object;
  kind?: string;
}

interface ObjectMember extends SyntaxNode {
  key?: object;
  value?: object;
  arguments?: object;
}

const limited = (values: Values): Value[] => values.slice(0, MAX_VALUES);

/** As strings: what `+`, templates and computed names make of them. */
const stringsOf = (values: Values): string[] =>
  values.flatMap((value) => {
    if (value.kind === "text") return [value.text];
    return value.kind === "number" ? [String(value.number)] : [];
  });

const concatenated = (left: readonly string[], right: readonly string[]): Value[] =>
  left
    .flatMap((before) => right.map((after) => before + after))
    .filter(({ length }) => length <= MAX_TEXT_LENGTH)
    .slice(0, MAX_VALUES)
    .map(text);

function arithmetic(operator: string, a: number, b: number): Values {
  const results: Record<string, number> = {
    "+": a + b,
    "-": a - b,
    "*": a * b,
    "/": a / b,
    "%": a % b,
    "^": a ^ b,
    "|": a | b,
    "&": a & b,
    "<<": a << b,
    ">>": a >> b,
  };
  const result = results[operator];
  return result === undefined ? NOTHING : [{ kind: "number", number: result }];
}

/** What a callback of a list or promise is given. */
const eachItem = (value: Value): Values => (value.kind === "list" ? value.items.flat() : [value]);

const textItems = (value: Value): Values[] =>
  value.kind === "text" ? [...value.text].map((item) => [text(item)]) : [];

function textItemList(value: Value): Values {
  if (value.kind === "list") return [value];
  const list = value.kind === "text" ? listOf([...value.text]) : undefined;
  return list ? [list] : NOTHING;
}

function fromCodes(args: readonly Values[]): Values {
  const codes = args.map(([value]) => (value?.kind === "number" ? value.number : Number.NaN));
  return codes.some((code) => !(code >= 0 && code <= 0x10ffff))
    ? NOTHING
    : [text(String.fromCodePoint(...codes))];
}

function resolvedUrl(urls: readonly string[], bases: readonly string[]): Values {
  return urls.flatMap((url) => (URL.canParse(url, bases[0]) ? [text(new URL(url, bases[0]).href)] : []));
}

function joinedPath(method: string | undefined, args: readonly (readonly string[])[]): Values {
  const parts = args.map(([part]) => part);
  if (parts.some((part) => part === undefined)) return NOTHING;
  if (method === "join") return [text(posix.join(...(parts as string[])))];
  if (method === "resolve") return [text(posix.resolve(FOLDER, ...(parts as string[])))];
  if (method === "normalize" || method === "dirname" || method === "basename")
    return [text(posix[method](parts[0] ?? ""))];
  return NOTHING;
}

const PROTOTYPES: Partial<Record<Value["kind"], [name: string, prototype: object]>> = {
  text: ["String", String.prototype],
  number: ["Number", Number.prototype],
  list: ["Array", Array.prototype],
  object: ["Object", Object.prototype],
  function: ["Function", Function.prototype],
  bound: ["Function", Function.prototype],
  constructor: ["Function", Function.prototype],
};

/** What every string, list, function … has. */
function inherited({ kind }: Value, name: string): Values {
  const [type, prototype] = PROTOTYPES[kind] ?? [];
  if (!type || !prototype || !Object.hasOwn(prototype, name)) return NOTHING;
  return [name === "constructor" ? globalReference(type) : globalReference(type, "prototype", name)];
}

/** Of something unknown: its constructor is a function all the same. */
function unknownMember(name: string): Values {
  if (name === "constructor") return [{ kind: "constructor", ofPrototype: false }];
  return name === "__proto__" ? [{ kind: "prototype", of: undefined }] : NOTHING;
}
