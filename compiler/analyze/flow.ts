import { posix } from "node:path";
import type { CallExpression, Expression, MemberExpression, TaggedTemplateExpression } from "@swc/core";
import { type Bindings, isClass, isFunction, type Source } from "./bindings.ts";
import { Calls, type Invocation, LOADERS } from "./calls.ts";
import {
  arithmetic,
  concatenated,
  eachItem,
  LIST_CALLBACKS,
  MAX_LIST_LENGTH,
  MAX_TEXT_LENGTH,
} from "./constant-methods.ts";
import { Members, unknownMember } from "./members.ts";
import { bindingOf, propertyName, unwrap } from "./tree.ts";
import {
  FOLDER,
  globalReference,
  limited,
  MAX_VALUES,
  moduleReference,
  type Operand,
  type Reference,
  stringsOf,
  text,
  type Value,
  type Values,
} from "./value.ts";

/** Evaluations within one file, so that hostile code stays cheap: about a second. Beyond, everything is unknown. */
const MAX_STEPS = 3_000_000;
/** Evaluations of functions with given arguments: for one question, and in all. */
const MAX_CALL_STEPS = 4_000;
const MAX_ALL_CALL_STEPS = 400_000;
const MAX_CALL_DEPTH = 8;
/** Returns of a function, calls of it, and assignments to a variable that are looked at. */
const MAX_BRANCHES = 64;
const MAX_DEPTH = 250;

/** Variables of functions that are being called with known arguments. */
export interface Frame {
  parameters: ReadonlyMap<object, readonly Values[]>;
  depth: number;
  known: Map<object, Values>;
}

const NOTHING: Values = [];

/**
 * Cheap data flow: what an expression may be when it runs, as far as constants, aliases, destructuring, members, calls of local
 * functions and the usual ways to read a member lead. Values are a set (each of them may be), order and conditions
 * of statements are ignored, and what is not followed is unknown. Bounded in steps, so that any file costs bounded time.
 */
export class Flow {
  readonly bindings: Bindings;
  readonly #members: Members;
  readonly #calls: Calls;
  /** The path of the file within the function's folder, where `import.meta.dirname` leads; unknown in bundles. */
  readonly #file: string | undefined;
  readonly #known = new Map<object, Values>();
  /** What is known within one question, cut short by a cycle or limit. It may be known better when it is asked for on its own. */
  readonly #provisional = new Map<object, Values>();
  readonly #invocations = new Map<object, readonly Invocation[]>();
  readonly #gathering = new Map<string, Values>();
  readonly #underway = new Set<unknown>();
  #steps = MAX_STEPS;
  #callSteps = MAX_CALL_STEPS;
  #allCallSteps = MAX_ALL_CALL_STEPS;
  #depth = 0;
  #cut = false;

  constructor(bindings: Bindings, file: string | undefined) {
    this.bindings = bindings;
    this.#file = file;
    this.#members = new Members(this);
    this.#calls = new Calls(this);
  }

  /** What an expression may be; empty when nothing is known. */
  values(expression: object, frame?: Frame): Values {
    const node = unwrap(expression);
    const known = frame ? frame.known.get(node) : (this.#known.get(node) ?? this.#provisional.get(node));
    if (known) return known;
    return this.once(
      node,
      frame,
      (values) => (frame ? frame.known : this.#cut ? this.#provisional : this.#known).set(node, values),
      () => this.#evaluate(node, frame),
    );
  }

  /**
   * Evaluates, unless it is underway already or a limit is reached: then nothing is known.
   * @param key what is evaluated
   * @param keep remembers the result
   */
  once(
    key: unknown,
    frame: Frame | undefined,
    keep: (values: Values) => void,
    evaluate: () => Values,
  ): Values {
    if (this.#depth === 0) this.#beginQuestion();
    if (this.#depth > MAX_DEPTH || this.#underway.has(key) || !this.#mayStep(frame)) {
      this.#cut = true;
      return NOTHING;
    }
    const outer = this.#cut;
    this.#cut = false;
    this.#underway.add(key);
    this.#depth++;
    const values = limited(evaluate());
    this.#depth--;
    this.#underway.delete(key);
    keep(values);
    this.#cut ||= outer;
    return values;
  }

  #beginQuestion(): void {
    this.#provisional.clear();
    this.#callSteps = MAX_CALL_STEPS;
    this.#cut = false;
  }

  #mayStep(frame: Frame | undefined): boolean {
    if (frame && (this.#callSteps-- < 0 || this.#allCallSteps-- < 0)) return false;
    return this.#steps-- > 0;
  }

  operand(operand: Operand | undefined, frame?: Frame): Values {
    if (operand === undefined) return NOTHING;
    return "expression" in operand ? this.values(operand.expression, frame) : operand;
  }

  /** The names that a property key or computed member may have. */
  names(property: object, frame?: Frame): string[] {
    const written = propertyName(property);
    if (written !== undefined) return [written];
    const { type, expression } = property as { type: string; expression: object };
    return type === "Computed" ? this.#keys(this.values(expression, frame), frame) : [];
  }

  /** What values come to as keys: an object by its `toString`. */
  #keys(values: Values, frame: Frame | undefined): string[] {
    const made = values.flatMap((value) =>
      value.kind === "object" || value.kind === "instance"
        ? this.member(value, "toString", frame).flatMap((method) =>
            method.kind === "function" ? stringsOf(this.returns(method.node, frame)) : [],
          )
        : [],
    );
    return [...stringsOf(values), ...made];
  }

  member(value: Value, name: string, frame?: Frame): Values {
    return this.#members.of(value, name, frame);
  }

  /** The members that an object is known to have. */
  entries(value: Value, frame: Frame | undefined): [name: string, values: Values][] | undefined {
    return this.#members.entries(value, frame);
  }

  /** What a call comes to, however it is written. */
  invocations(call: object): readonly Invocation[] {
    let found = this.#invocations.get(call);
    if (!found) {
      found = this.#calls.invocations(call as CallExpression, undefined);
      this.#invocations.set(call, found);
    }
    return found;
  }

  /** What a function returns when it is called with these arguments. */
  apply(fn: object, args: readonly Values[], frame: Frame | undefined): Values {
    const depth = (frame?.depth ?? 0) + 1;
    if (depth > MAX_CALL_DEPTH || this.#callSteps < 0 || this.#allCallSteps < 0) return NOTHING;
    const parameters = new Map(frame?.parameters).set(fn, args);
    return limited(this.returns(fn, { parameters, depth, known: new Map() }));
  }

  /** What a function returns; of a generator the list of what it yields. */
  returns(fn: object, frame: Frame | undefined): Values {
    const yields = this.bindings.yieldsOf(fn);
    if (yields)
      return [
        { kind: "list", items: yields.slice(0, MAX_BRANCHES).map((value) => this.values(value, frame)) },
      ];
    return this.bindings
      .returnsOf(fn)
      .slice(0, MAX_BRANCHES)
      .flatMap((value) => this.values(value, frame));
  }

  /** Whether a function loads modules by their name. */
  loads({ path }: Reference): boolean {
    return LOADERS.has(path);
  }

  isGlobal(identifier: object, name: string): boolean {
    const { type, value } = identifier as { type: string; value: string };
    return type === "Identifier" && value === name && this.bindings.isGlobalName(identifier);
  }

  /** The path of the global or module member that an expression is: `Deno.Command`. */
  path(expression: object): string | undefined {
    const [value] = this.values(expression);
    return value?.kind === "reference" ? value.path : undefined;
  }

  /** What a variable gets from one of its sources. */
  source(source: Source, frame?: Frame): Values {
    switch (source.kind) {
      case "expression":
      case "append":
        return this.values(source.node, frame);
      case "import":
        return source.name === undefined
          ? [moduleReference(source.specifier)]
          : [moduleReference(source.specifier, source.name)];
      case "parameter":
        return this.#parameter(source.of, source.index, frame);
      case "member": {
        const names = this.names(source.name, frame);
        return this.source(source.of, frame).flatMap((value) =>
          names.flatMap((name) => this.member(value, name, frame)),
        );
      }
      case "rest":
        return this.source(source.of, frame).map(
          (value): Value =>
            value.kind === "list" ? { kind: "list", items: value.items.slice(source.index) } : value,
        );
      case "element":
        return this.source(source.of, frame).flatMap((value) =>
          this.member(value, String(source.index), frame),
        );
      case "each":
        return this.source(source.of, frame).flatMap((value) =>
          value.kind === "list" ? value.items.flat() : NOTHING,
        );
    }
  }

  /** What the name of a global is. */
  global(name: string): Values {
    if (name === "undefined") return NOTHING;
    if (name !== "__dirname" && name !== "__filename") return [globalReference(name)];
    if (this.#file === undefined) return NOTHING;
    const path = posix.join(FOLDER, this.#file);
    return [text(name === "__dirname" ? posix.dirname(path) : path)];
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
        return this.values((node as unknown as { right: object }).right, frame);
      case "AwaitExpression":
      case "YieldExpression": {
        const { argument } = node as { argument?: object };
        return argument ? this.values(argument, frame) : NOTHING;
      }
      case "ConditionalExpression": {
        const { consequent, alternate } = node as unknown as { consequent: object; alternate: object };
        return [...this.values(consequent, frame), ...this.values(alternate, frame)];
      }
      case "ArrayExpression":
        return this.#array(node, frame);
      case "ObjectExpression":
        return [{ kind: "object", node }];
      case "CallExpression":
      case "NewExpression":
        return this.#calls.values(node as CallExpression, frame);
      default:
        return isFunction(node) || isClass(node) ? [{ kind: "function", node }] : NOTHING;
    }
  }

  #template(node: object, frame: Frame | undefined): Values {
    const { quasis, expressions } = node as { quasis: { cooked?: string }[]; expressions: object[] };
    let texts = [quasis[0]?.cooked ?? ""];
    for (const [index, expression] of expressions.entries()) {
      const parts = stringsOf(this.values(expression, frame));
      const after = quasis[index + 1]?.cooked ?? "";
      texts = texts.flatMap((before) => parts.map((part) => before + part + after)).slice(0, MAX_VALUES);
    }
    return texts.filter((value) => value.length <= MAX_TEXT_LENGTH).map(text);
  }

  #tagged(node: object, frame: Frame | undefined): Values {
    const { tag, template } = node as { tag: object; template: object };
    const isRaw = this.values(tag, frame).some(
      (value) => value.kind === "reference" && value.path === "String.raw",
    );
    return isRaw
      ? this.#template(template, frame)
      : this.#calls.values(node as unknown as TaggedTemplateExpression, frame);
  }

  #binary(node: object, frame: Frame | undefined): Values {
    const { operator, left, right } = node as { operator: string; left: object; right: object };
    if (operator === "||" || operator === "??" || operator === "&&")
      return [...this.values(left, frame), ...this.values(right, frame)];
    const [a, b] = [this.values(left, frame), this.values(right, frame)];
    const [x, y] = [a[0], b[0]];
    if (x?.kind === "number" && y?.kind === "number") return arithmetic(operator, x.number, y.number);
    return operator === "+" ? concatenated(stringsOf(a), stringsOf(b)) : NOTHING;
  }

  #identifier(node: object, frame: Frame | undefined): Values {
    const fn = this.bindings.functionOfArguments(node);
    if (fn) return [{ kind: "list", items: [0, 1, 2, 3].map((index) => this.#parameter(fn, index, frame)) }];
    if (this.bindings.isGlobalName(node)) return this.global((node as { value: string }).value);
    const key = bindingOf(node);
    if (key === undefined) return NOTHING;
    // `name = name + "al"`: the variable is what has been gathered so far.
    const gathered = this.#gathering.get(key);
    if (gathered) return gathered;
    const values: Value[] = [];
    this.#gathering.set(key, values);
    this.once(
      key,
      frame,
      () => {},
      () => this.#gather(this.bindings.sourcesOf(key), values, frame),
    );
    this.#gathering.delete(key);
    return limited(values);
  }

  /** All that is assigned, and what comes of it by `+=`. */
  #gather(all: readonly Source[], values: Value[], frame: Frame | undefined): Values {
    const sources = all.slice(0, MAX_BRANCHES);
    for (const source of sources) if (source.kind !== "append") values.push(...this.source(source, frame));
    for (const source of sources) {
      if (source.kind !== "append" || values.length >= MAX_VALUES) continue;
      values.push(...concatenated(stringsOf(values), stringsOf(this.source(source, frame))));
    }
    return values;
  }

  #parameter(fn: object, index: number, frame: Frame | undefined): Values {
    const given = frame?.parameters.get(fn);
    if (given) return given[index] ?? NOTHING;
    const calls = this.bindings.callsOf(fn).slice(0, MAX_BRANCHES);
    const values = calls.flatMap((call) => {
      const argument = call.arguments?.[index];
      return argument && !argument.spread ? this.values(argument.expression, frame) : NOTHING;
    });
    const callback = this.bindings.callbackOf(fn);
    if (callback?.index !== 0 || index !== 0) return values;
    const callee = unwrap(callback.call.callee);
    if (callee.type !== "MemberExpression" || !LIST_CALLBACKS.has(propertyName(callee.property) ?? ""))
      return values;
    return [...values, ...this.values(callee.object, frame).flatMap(eachItem)];
  }

  #array(node: object, frame: Frame | undefined): Values {
    const { elements } = node as { elements: ({ spread?: object; expression: object } | null)[] };
    if (elements.length > MAX_LIST_LENGTH) return NOTHING;
    const items = elements.flatMap((element): Values[] => {
      if (!element) return [NOTHING];
      const values = this.values(element.expression, frame);
      if (!element.spread) return [values];
      return values.flatMap((value) =>
        value.kind === "list" ? value.items : [...stringsOf([value]).join("")].map((item) => [text(item)]),
      );
    });
    return [{ kind: "list", items }];
  }

  #readMember(node: MemberExpression, frame: Frame | undefined): Values {
    const names = this.names(node.property, frame);
    const objects = this.values(node.object, frame);
    const found = names.flatMap((name) =>
      objects.length === 0
        ? unknownMember(name)
        : objects.flatMap((value) => this.member(value, name, frame)),
    );
    const object = unwrap(node.object);
    const key = object.type === "Identifier" ? bindingOf(object) : undefined;
    if (key === undefined) return found;
    return this.#gather(
      names.flatMap((name) => this.bindings.writesTo(key, name)),
      [...found],
      frame,
    );
  }
}
