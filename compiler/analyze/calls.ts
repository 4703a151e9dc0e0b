import type { CallExpression, MemberExpression, TaggedTemplateExpression } from "@swc/core";
import { isClass } from "./bindings.ts";
import { callListMethod, callTextMethod, eachItem, LIST_CALLBACKS } from "./constant-methods.ts";
import type { Flow, Frame } from "./flow.ts";
import { callKnown } from "./known-functions.ts";
import { unwrap } from "./tree.ts";
import {
  globalReference,
  memberOf,
  moduleReference,
  type Operand,
  type Reference,
  stringsOf,
  text,
  textsOf,
  type Value,
  type Values,
} from "./value.ts";

const NOTHING: Values = [];

/** Functions that load a module by its name. */
export const LOADERS: ReadonlySet<string> = new Set(["require", "process.getBuiltinModule", "module#_load"]);

/** A call as it happens, whatever it is written as: `f.call(x, a)` and `Reflect.apply(f, x, [a])` call `f` with `a`. */
export interface Invocation {
  callee: Value;
  args: readonly Operand[];
  /** `this`, where it is given apart. */
  self?: Operand | undefined;
}

/** What calls come to: which function is called with what, and what it gives back. */
export class Calls {
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  invocations(call: CallExpression | TaggedTemplateExpression, frame: Frame | undefined): Invocation[] {
    if (call.type === "TaggedTemplateExpression") return this.#tagged(call, frame);
    const args = this.#arguments(call, frame);
    const callee = unwrap(call.callee);
    if ((callee.type as string) === "Import") return [{ callee: globalReference("require"), args }];
    const found = this.#flow.values(callee, frame).flatMap((value) => this.#direct(value, args, frame));
    if (callee.type !== "MemberExpression") return found;
    const [name] = this.#flow.names(callee.property, frame);
    if (name === "call" || name === "apply" || name === "bind") {
      const bound = name === "apply" ? this.#spread(args[1], frame) : args.slice(1);
      for (const value of this.#flow.values(callee.object, frame)) {
        const last = value.kind === "reference" ? value.names.at(-1) : undefined;
        // `Function.prototype.call.call(f, x, a)`
        if (last === "call")
          found.push(
            ...this.#flow.operand(args[0], frame).map((target) => ({ callee: target, args: args.slice(2) })),
          );
        else if (last === "apply")
          found.push(
            ...this.#flow.operand(args[0], frame).map((target) => ({
              callee: target,
              args: this.#spread(args[2], frame),
            })),
          );
        else
          found.push(
            ...this.#direct(value, bound, frame).map((invocation) => ({ ...invocation, self: args[0] })),
          );
      }
    } else if (name !== undefined && LIST_CALLBACKS.has(name) && args[0]) {
      const items = this.#flow.values(callee.object, frame).flatMap(eachItem);
      for (const value of this.#flow.operand(args[0], frame))
        if (value.kind === "reference") found.push({ callee: value, args: [items] });
    }
    return found;
  }

  /** `` tag`a${b}` `` calls `tag` with the list of its texts, and the values. */
  #tagged({ tag, template }: TaggedTemplateExpression, frame: Frame | undefined): Invocation[] {
    const { quasis, expressions } = template as unknown as {
      quasis: { cooked?: string }[];
      expressions: object[];
    };
    const texts: Values = [{ kind: "list", items: quasis.map(({ cooked }) => [text(cooked ?? "")]) }];
    const args: Operand[] = [texts, ...expressions.map((expression) => ({ expression }))];
    return this.#flow.values(tag, frame).flatMap((value) => this.#direct(value, args, frame));
  }

  /** A list that is spread counts as its items; one that is not known ends what is known. */
  #arguments(call: CallExpression, frame: Frame | undefined): Operand[] {
    const operands: Operand[] = [];
    for (const { spread, expression } of call.arguments ?? []) {
      if (!spread) operands.push({ expression });
      else {
        const [list] = this.#flow.values(expression, frame);
        if (list?.kind !== "list") break;
        operands.push(...list.items);
      }
    }
    return operands;
  }

  #direct(callee: Value, args: readonly Operand[], frame: Frame | undefined): Invocation[] {
    if (callee.kind === "bound") return this.#direct(callee.target, [...callee.args, ...args], frame);
    const path = callee.kind === "reference" ? callee.path : "";
    if (path !== "Reflect.apply" && path !== "Reflect.construct") return [{ callee, args }];
    const inner = this.#spread(args[path === "Reflect.apply" ? 2 : 1], frame);
    return this.#flow.operand(args[0], frame).map((target) => ({ callee: target, args: inner }));
  }

  #spread(operand: Operand | undefined, frame: Frame | undefined): readonly Operand[] {
    const [list] = this.#flow.operand(operand, frame);
    return list?.kind === "list" ? list.items : [];
  }

  /** What a call gives back. */
  values(call: CallExpression | TaggedTemplateExpression, frame: Frame | undefined): Values {
    const values: Value[] = [];
    const callee = call.type === "CallExpression" ? unwrap(call.callee) : undefined;
    if (callee?.type === "MemberExpression")
      values.push(...this.#method(callee, call as CallExpression, frame));
    const isNew = (call.type as string) === "NewExpression";
    for (const invocation of this.invocations(call, frame))
      values.push(...this.#result(invocation, isNew, frame));
    return values;
  }

  /** Methods of texts and lists, and `bind`. */
  #method(callee: MemberExpression, call: CallExpression, frame: Frame | undefined): Values {
    const [name] = this.#flow.names(callee.property, frame);
    if (name === undefined) return NOTHING;
    const operands = this.#arguments(call, frame);
    const first = call.arguments[0]?.expression;
    const pattern = first && simplePattern(unwrap(first));
    return this.#flow
      .values(callee.object, frame)
      .flatMap((value) => this.#methodOf(value, name, operands, frame, pattern));
  }

  #methodOf(
    value: Value,
    name: string,
    operands: readonly Operand[],
    frame: Frame | undefined,
    pattern?: RegExp,
  ): Values {
    if (name === "bind") return [{ kind: "bound", target: value, args: operands.slice(1) }];
    if (name === "deref") return [value];
    const args = operands.map((operand) => this.#flow.operand(operand, frame));
    switch (value.kind) {
      case "list":
        return this.#listMethod(value.items, name, args, frame);
      case "record": {
        const keys = name === "get" ? stringsOf(args[0] ?? NOTHING) : [];
        return keys.flatMap((key) => value.entries.get(key) ?? NOTHING);
      }
      case "number":
        return name === "toString" ? numberText(value.number, args) : NOTHING;
      case "text": {
        const result = callTextMethod(value.text, name, args, pattern);
        return result ? [result] : NOTHING;
      }
      default:
        return NOTHING;
    }
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
            this.#flow.apply(fn.node, [item, [{ kind: "number", number: index }]], frame),
          ),
        },
      ];
    if (name !== "reduce" && name !== "reduceRight") return callListMethod(items, name, args);
    const ordered = name === "reduce" ? items : [...items].reverse();
    const [first = NOTHING, ...rest] = args.length > 1 ? [args[1]!, ...ordered] : ordered;
    return rest.reduce((before, item) => this.#flow.apply(fn.node, [before, item], frame), first);
  }

  #result({ callee, args, self }: Invocation, isNew: boolean, frame: Frame | undefined): Values {
    if (callee.kind === "function") {
      if (isNew || isClass(callee.node)) return [{ kind: "instance", of: callee.node }];
      const known = args.map((operand) => this.#flow.operand(operand, frame));
      return this.#flow.apply(callee.node, known, frame);
    }
    if (callee.kind !== "reference") return NOTHING;
    const [, method] = /^(?:Array|String)\.prototype\.(\w+)$/.exec(callee.path) ?? [];
    if (method !== undefined && self)
      return this.#flow.operand(self, frame).flatMap((value) => this.#methodOf(value, method, args, frame));
    return this.#resultOfReference(
      callee,
      args.map((operand) => this.#flow.operand(operand, frame)),
      isNew,
      frame,
    );
  }

  #resultOfReference(
    reference: Reference,
    args: readonly Values[],
    isNew: boolean,
    frame: Frame | undefined,
  ): Values {
    const { path } = reference;
    const [first = NOTHING, second = NOTHING] = args;
    if (LOADERS.has(path)) return textsOf(first).map((specifier) => moduleReference(specifier));
    const member = () =>
      first.flatMap((value) => stringsOf(second).flatMap((name) => this.#flow.member(value, name, frame)));
    switch (path) {
      case "Proxy":
        return this.#proxy(first, second, frame);
      case "Promise":
        return first.flatMap((executor) =>
          executor.kind === "function" ? this.#resolved(executor.node, frame) : NOTHING,
        );
      case "Reflect.get":
        return member();
      case "Object.getOwnPropertyDescriptor":
      case "Reflect.getOwnPropertyDescriptor":
        return member().map((of) => ({ kind: "descriptor", of }));
      case "Object.keys":
      case "Reflect.ownKeys":
      case "Object.getOwnPropertyNames":
        return this.#listEntries(first, ([name]) => [text(name)], frame);
      case "Object.values":
        return this.#listEntries(first, ([, values]) => values, frame);
      case "Object.entries":
        return this.#listEntries(
          first,
          ([name, values]) => [{ kind: "list", items: [[text(name)], values] }],
          frame,
        );
    }
    const known = callKnown(path, args);
    // An instance has what is on the prototype.
    const instance = known.length === 0 && isNew ? memberOf(reference, "prototype") : undefined;
    return instance ? [instance] : known;
  }

  #proxy(target: Values, handler: Values, frame: Frame | undefined): Values {
    const getters = handler.flatMap((value) => this.#flow.member(value, "get", frame));
    const proxies = getters.flatMap((get): Value[] =>
      get.kind === "function" ? [{ kind: "proxy", target, get: get.node }] : [],
    );
    return proxies.length > 0 ? proxies : target;
  }

  #resolved(executor: object, frame: Frame | undefined): Values {
    return this.#flow.bindings.givenToFirst(executor).flatMap((value) => this.#flow.values(value, frame));
  }

  #listEntries(
    values: Values,
    pick: (entry: [name: string, values: Values]) => Values,
    frame: Frame | undefined,
  ): Values {
    return values.flatMap((value): Values => {
      const entries = this.#flow.entries(value, frame);
      return entries ? [{ kind: "list", items: entries.map(pick) }] : NOTHING;
    });
  }
}

function numberText(number: number, [radix]: readonly Values[]): Values {
  const base = radix?.[0]?.kind === "number" ? radix[0].number : 10;
  return Number.isInteger(base) && base >= 2 && base <= 36 ? [text(number.toString(base))] : NOTHING;
}

/** A regular expression without repetition, so that no text can make it slow. */
function simplePattern(node: object): RegExp | undefined {
  const { type, pattern, flags } = node as { type: string; pattern: string; flags: string };
  if (type !== "RegExpLiteral" || pattern.length > 100 || /[*+{(?]/.test(pattern)) return undefined;
  try {
    return new RegExp(pattern, flags);
  } catch {
    return undefined;
  }
}
