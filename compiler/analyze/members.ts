import { isClass, keyOfOwner } from "./bindings.ts";
import type { Flow, Frame } from "./flow.ts";
import { propertyName, type SyntaxNode } from "./tree.ts";
import {
  globalReference,
  isGlobalObject,
  memberOf,
  type Reference,
  text,
  type Value,
  type Values,
} from "./value.ts";

const NOTHING: Values = [];
const FUNCTION_CONSTRUCTOR = globalReference("Function");

/** Globals that are no functions. */
const NAMESPACES = new Set(
  "Math JSON Reflect Atomics Intl WebAssembly console crypto process performance navigator Deno Bun".split(
    " ",
  ),
);

interface ObjectMember extends SyntaxNode {
  key?: object;
  value?: object;
  arguments?: object;
}

interface ClassMember extends SyntaxNode {
  key?: object;
  isStatic?: boolean;
  value?: object;
  function?: object;
  kind?: string;
}

/** What an object literal says, by name. */
interface Shape {
  named: Map<string, ObjectMember[]>;
  spreads: object[];
  known: Map<string, Values>;
}

/** Reading a member of a value. */
export class Members {
  readonly #flow: Flow;
  readonly #shapes = new Map<object, Shape>();

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  of(value: Value, name: string, frame: Frame | undefined): Values {
    if (name === "__proto__") return [{ kind: "prototype", of: value }];
    const found = this.#own(value, name, frame);
    return found.length > 0 ? found : inherited(value, name);
  }

  #own(value: Value, name: string, frame: Frame | undefined): Values {
    switch (value.kind) {
      case "reference":
        return this.#ofReference(value, name);
      case "text": {
        if (name === "length") return [{ kind: "number", number: value.text.length }];
        const character = /^\d+$/.test(name) ? value.text[Number(name)] : undefined;
        return character === undefined ? NOTHING : [text(character)];
      }
      case "list":
        if (name === "length") return [{ kind: "number", number: value.items.length }];
        return value.items[Number(name)] ?? NOTHING;
      case "function":
        return this.#ofFunction(value.node, name, frame);
      case "instance":
        if (name === "constructor") return [{ kind: "function", node: value.of }];
        return [
          ...(this.#ofClass(value.of, name, false, frame) ?? NOTHING),
          ...this.#flow.bindings
            .writesTo(keyOfOwner(value.of), name)
            .flatMap((source) => this.#flow.source(source, frame)),
        ];
      case "object":
        return this.#ofObject(value.node, name, frame);
      case "proxy":
        return [
          ...this.#flow.apply(value.get, [value.target, [text(name)]], frame),
          ...value.target.flatMap((target) => this.#own(target, name, frame)),
        ];
      case "record":
        return value.entries.get(name) ?? NOTHING;
      case "prototype":
        if (value.of) return this.of(value.of, name, frame);
        return name === "constructor" ? [{ kind: "constructor", ofPrototype: true }] : NOTHING;
      case "descriptor":
        return name === "value" || name === "get" ? [value.of] : NOTHING;
      case "descriptors":
        return this.of(value.of, name, frame).map((of) => ({ kind: "descriptor", of }));
      default:
        return NOTHING;
    }
  }

  #ofReference(reference: Reference, name: string): Values {
    const { module, names, path } = reference;
    if (path === "import.meta") {
      if (name === "dirname" || name === "filename") return this.#flow.global(`__${name}`);
      if (name === "url")
        return this.#flow
          .global("__filename")
          .map((file) => text(`file://${encodeURI((file as { text: string }).text)}`));
    }
    if (module === undefined && name === "constructor" && names[0] !== "module") {
      if (names.at(-1) === "prototype") return [globalReference(...names.slice(0, -1))];
      const isObject = isGlobalObject(reference) || (names.length === 1 && NAMESPACES.has(names[0]!));
      return [isObject ? globalReference("Object") : FUNCTION_CONSTRUCTOR];
    }
    const member = memberOf(reference, name);
    return member ? [member] : NOTHING;
  }

  #ofFunction(node: object, name: string, frame: Frame | undefined): Values {
    const own = isClass(node) ? this.#ofClass(node, name, true, frame) : undefined;
    if (own) return own;
    if (name === "name") return nameOf(node).map(text);
    return name === "prototype" ? [{ kind: "prototype", of: { kind: "instance", of: node } }] : NOTHING;
  }

  #ofClass(node: object, name: string, isStatic: boolean, frame: Frame | undefined): Values | undefined {
    const { body } = node as { body?: ClassMember[] };
    if (!Array.isArray(body)) return undefined;
    const member = body.find(
      (candidate) =>
        candidate.key &&
        candidate.type !== "Constructor" &&
        (candidate.isStatic ?? false) === isStatic &&
        propertyName(candidate.key) === name,
    );
    if (!member) return undefined;
    if (!member.function) return member.value ? this.#flow.values(member.value, frame) : NOTHING;
    return member.kind === "getter"
      ? this.#flow.returns(member, frame)
      : [{ kind: "function", node: member }];
  }

  #ofObject(node: object, name: string, frame: Frame | undefined): Values {
    const shape = this.#shapeOf(node);
    const known = frame ? undefined : shape.known.get(name);
    if (known) return known;
    const members = shape.named.get(name);
    if (!members && shape.spreads.length === 0) return NOTHING;
    const keep = (values: Values) => {
      if (!frame) shape.known.set(name, values);
    };
    return this.#flow.once(`${name} of ${(node as SyntaxNode).span.start}`, frame, keep, () => [
      ...(members ?? []).flatMap((member) => this.#valueOf(member, frame)),
      ...shape.spreads.flatMap((spread) =>
        this.#flow.values(spread, frame).flatMap((value) => this.#own(value, name, frame)),
      ),
    ]);
  }

  #shapeOf(node: object): Shape {
    const known = this.#shapes.get(node);
    if (known) return known;
    const shape: Shape = { named: new Map(), spreads: [], known: new Map() };
    this.#shapes.set(node, shape);
    for (const property of (node as { properties: ObjectMember[] }).properties) {
      if (property.type === "SpreadElement") shape.spreads.push(property.arguments!);
      const names =
        property.type === "Identifier"
          ? [property.value as unknown as string]
          : property.key
            ? this.#flow.names(property.key)
            : [];
      for (const name of names) {
        // What an object inherits counts as what is spread into it.
        if (name === "__proto__" && property.type === "KeyValueProperty") shape.spreads.push(property.value!);
        const others = shape.named.get(name);
        if (others) others.push(property);
        else shape.named.set(name, [property]);
      }
    }
    return shape;
  }

  #valueOf(member: ObjectMember, frame: Frame | undefined): Values {
    switch (member.type) {
      case "Identifier":
        return this.#flow.values(member, frame);
      case "KeyValueProperty":
        return this.#flow.values(member.value!, frame);
      case "GetterProperty":
        return this.#flow.returns(member, frame);
      case "MethodProperty":
        return [{ kind: "function", node: member }];
      default:
        return NOTHING;
    }
  }

  /** The members that an object is known to have; undefined for too many. */
  entries(value: Value, frame: Frame | undefined): [name: string, values: Values][] | undefined {
    if (value.kind === "record") return [...value.entries];
    if (value.kind !== "object") return undefined;
    const { named } = this.#shapeOf(value.node);
    if (named.size > MAX_MEMBERS) return undefined;
    return [...named].map(([name, members]) => [
      name,
      members.flatMap((member) => this.#valueOf(member, frame)),
    ]);
  }
}

const MAX_MEMBERS = 256;

/** The name of a function, where it is written at it. */
function nameOf(node: object): string[] {
  const { identifier, key } = node as { identifier?: { value: string } | null; key?: object };
  const name = identifier?.value ?? (key && propertyName(key));
  return name === undefined ? [] : [name];
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
export function unknownMember(name: string): Values {
  if (name === "constructor") return [{ kind: "constructor", ofPrototype: false }];
  return name === "__proto__" ? [{ kind: "prototype", of: undefined }] : NOTHING;
}
