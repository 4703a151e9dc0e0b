import { posix } from "node:path";
import type { CallExpression, MemberExpression } from "@swc/core";
import { isClass } from "./bindings.ts";
import {
  callListMethod,
  callTextFunction,
  callTextMethod,
  eachItem,
  LIST_CALLBACKS,
  listOf,
} from "./constant-methods.ts";
import type { Flow, Frame } from "./flow.ts";
import { unwrap } from "./tree.ts";
import {
  FOLDER,
  globalReference,
  moduleReference,
  type Operand,
  pathOfUrl,
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

/** Functions that give back what they are given, or something that has all of its members. */
const SAME_OBJECT = new Set(
  `Object Object.create Object.freeze Object.seal Object.preventExtensions Object.setPrototypeOf Promise.resolve
   Promise.all Proxy structuredClone`.split(/\s+/),
);

/** A call as it happens, whatever it is written as: `f.call(x, a)` and `Reflect.apply(f, x, [a])` call `f` with `a`. */
export interface Invocation {
  callee: Value;
  args: readonly Operand[];
}

/** What calls come to: which function is called with what, and what it gives back. */
export class Calls {
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  invocations(call: CallExpression, frame: Frame | undefined): Invocation[] {
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
        else found.push(...this.#direct(value, bound, frame));
      }
    } else if (name !== undefined && LIST_CALLBACKS.has(name) && args[0]) {
      const items = this.#flow.values(callee.object, frame).flatMap(eachItem);
      for (const value of this.#flow.operand(args[0], frame))
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

  values(call: CallExpression, frame: Frame | undefined): Values {
    const callee = unwrap(call.callee);
    const values: Value[] = [];
    if (callee.type === "MemberExpression") values.push(...this.#method(callee, call, frame));
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
    return this.#flow.values(callee.object, frame).flatMap((value): Values => {
      if (name === "bind") return [{ kind: "bound", target: value, args: operands.slice(1) }];
      if (value.kind !== "text" && value.kind !== "list") return NOTHING;
      const args = operands.map((operand) => this.#flow.operand(operand, frame));
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
            this.#flow.apply(fn.node, [item, [{ kind: "number", number: index }]], frame),
          ),
        },
      ];
    if (name !== "reduce" && name !== "reduceRight") return callListMethod(items, name, args);
    const ordered = name === "reduce" ? items : [...items].reverse();
    const [first = NOTHING, ...rest] = args.length > 1 ? [args[1]!, ...ordered] : ordered;
    return rest.reduce((before, item) => this.#flow.apply(fn.node, [before, item], frame), first);
  }

  #result({ callee, args }: Invocation, isNew: boolean, frame: Frame | undefined): Values {
    if (callee.kind === "function") {
      if (isNew || isClass(callee.node)) return [{ kind: "instance", of: callee.node }];
      const known = args.map((operand) => this.#flow.operand(operand, frame));
      return this.#flow.apply(callee.node, known, frame);
    }
    if (callee.kind !== "reference") return NOTHING;
    return this.#resultOfReference(
      callee,
      args.map((operand) => this.#flow.operand(operand, frame)),
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
          stringsOf(second).flatMap((name) => this.#flow.member(value, name, frame)),
        );
      case "Object.getOwnPropertyDescriptor":
      case "Reflect.getOwnPropertyDescriptor":
        return first.flatMap((value) =>
          stringsOf(second).flatMap((name) =>
            this.#flow.member(value, name, frame).map((of) => ({ kind: "descriptor" as const, of })),
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
        return first.flatMap((value) => this.#flow.membersOf(value, frame));
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
}

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
