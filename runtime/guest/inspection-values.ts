import { boxedBase, functionBase } from "./inspection-bases.ts";
import { formatError } from "./inspection-errors.ts";
import { type Content, widthOf, wrap } from "./inspection-layout.ts";
import { classOf, isBuiltIn, prefixOf, tagOf } from "./inspection-names.ts";
import {
  type Inspection,
  type InspectOptions,
  isTooDeep,
  optionsFor,
  startInspection,
} from "./inspection-options.ts";
import { escaped, formatBigInt, formatNumber, formatPrimitive, more, quote } from "./inspection-text.ts";
import { webFields, webPairs } from "./inspection-web.ts";
import * as types from "./node/util-types.ts";

/** Node's: objects say themselves how they look. */
export const customInspect = Symbol.for("nodejs.util.inspect.custom");

/** A readable picture of any value, as Node's `util.inspect` draws it. */
export function inspect(
  value: unknown,
  options?: InspectOptions | boolean,
  depth?: number | null,
  colors?: boolean,
): string {
  const given = typeof options === "boolean" ? { showHidden: options } : options;
  const legacy = { ...(depth === undefined ? {} : { depth }), ...(colors === undefined ? {} : { colors }) };
  // biome-ignore lint/suspicious/noExplicitAny: options of objects that show themselves are passed on as they are
  const all: any = depth === undefined && colors === undefined ? given : { ...legacy, ...given };
  return formatValue(startInspection(all), value, 0);
}

/** What is between the braces, and what is before them. */
interface Picture {
  base: string;
  braces: [string, string];
  content: Content;
  keys: PropertyKey[];
  entries: (level: number) => string[];
  /** Getters that are shown as properties. */
  extra: readonly string[];
}

export function formatValue(
  inspection: Inspection,
  value: unknown,
  level: number,
  inTypedArray = false,
): string {
  if ((typeof value !== "object" && typeof value !== "function") || value === null)
    return formatPrimitive(inspection, value);
  const own = shownByItself(inspection, value, level);
  if (own !== null) return own;
  if (inspection.seen.includes(value)) {
    inspection.circular ??= new Map();
    const { circular } = inspection;
    if (!circular.has(value)) circular.set(value, circular.size + 1);
    return inspection.stylize(`[Circular *${circular.get(value)}]`, "special");
  }
  return formatObject(inspection, value, level, inTypedArray);
}

function shownByItself(inspection: Inspection, value: object, level: number): string | null {
  if (!inspection.customInspect) return null;
  const show = (value as Record<symbol, unknown>)[customInspect];
  if (typeof show !== "function" || show === inspect) return null;
  const made = Object.getOwnPropertyDescriptor(value, "constructor")?.value as
    | { prototype?: unknown }
    | undefined;
  if (made?.prototype === value) return null;
  const depth = inspection.depth === null ? null : inspection.depth - level;
  const shown: unknown = Reflect.apply(show, value, [depth, optionsFor(inspection), inspect]);
  if (shown === value) return null;
  if (typeof shown !== "string") return formatValue(inspection, shown, level);
  return shown.replaceAll("\n", `\n${" ".repeat(inspection.indentation)}`);
}

function formatObject(inspection: Inspection, value: object, level: number, inTypedArray: boolean): string {
  const inherited: string[] = [];
  const name = classOf(value, (prototype) => {
    if (inspection.showHidden && !isTooDeep(inspection, level))
      inherited.push(...prototypeProperties(inspection, value, prototype, level));
  });
  const tag = tagOf(value, inspection);
  const picture = pictureOf(inspection, value, name, tag, level, inTypedArray);
  if (typeof picture === "string" && inherited.length === 0) return picture;
  const {
    base: ownBase,
    braces,
    content,
    keys,
    entries,
    extra,
  } = typeof picture === "string" ? { ...plainPicture([]), base: picture } : picture;
  if (isTooDeep(inspection, level)) {
    const shown = labelOf(value, name, tag).slice(0, -1);
    return inspection.stylize(name === null ? shown : `[${shown}]`, "special");
  }
  const inner = level + 1;
  inspection.seen.push(value);
  inspection.currentDepth = inner;
  const { indentation } = inspection;
  let output: string[];
  try {
    output = entries(inner);
    for (const key of extra) output.push(extraProperty(inspection, value, key, inner));
    for (const key of keys) output.push(formatProperty(inspection, value, key, inner, content));
    output.push(...inherited);
  } catch (error) {
    if (!(error instanceof RangeError && /stack/.test(error.message))) throw error;
    inspection.seen.pop();
    inspection.indentation = indentation;
    const shown = labelOf(value, name, tag).slice(0, -1);
    return inspection.stylize(
      `[${shown}: Inspection interrupted prematurely. Maximum call stack size exceeded.]`,
      "special",
    );
  }
  let base = ownBase;
  const number = inspection.circular?.get(value);
  if (number !== undefined) {
    const reference = inspection.stylize(`<ref *${number}>`, "special");
    if (inspection.compact === true) braces[0] = `${reference} ${braces[0]}`;
    else base = base === "" ? reference : `${reference} ${base}`;
  }
  inspection.seen.pop();
  if (inspection.sorted) {
    const comparator = inspection.sorted === true ? undefined : inspection.sorted;
    const from = content === "object" ? 0 : output.length - keys.length;
    output = [...output.slice(0, from), ...output.slice(from).sort(comparator)];
  }
  return wrap(inspection, output, base, braces, content, inner, value);
}

const labelOf = (value: object, name: string | null, tag: string): string => {
  const fallback = name === null && tag !== "Object" ? "Object" : "";
  return Array.isArray(value) && name === null
    ? prefixOf(null, tag, "Array")
    : prefixOf(name, tag, fallback || "Object");
};

const isPlain = (value: object): boolean =>
  Object.prototype.toString.call(value) === "[object Object]" && !(value instanceof URL);

const plainPicture = (keys: PropertyKey[]): Picture => ({
  base: "",
  braces: ["{", "}"],
  content: "object",
  keys,
  entries: () => [],
  extra: [],
});

/** How an object of this kind looks; a string where there is nothing to put between braces. */
function pictureOf(
  inspection: Inspection,
  value: object,
  name: string | null,
  tag: string,
  level: number,
  inTypedArray: boolean,
): Picture | string {
  // most objects are no more than their properties: all classes below have a tag or a name of their own in this
  if (name !== null && tag === "" && typeof value === "object" && isPlain(value))
    return objectPicture(value, name, tag, plainPicture(keysOf(value, inspection.showHidden)));
  const list = listPicture(inspection, value, name, tag);
  if (list !== null) return list;
  const keys = keysOf(value, inspection.showHidden);
  const picture = plainPicture(keys);
  const labelled = (fallback: string, entries = picture.entries, extra: readonly string[] = []): Picture => ({
    ...picture,
    braces: [`${prefixOf(name, tag, fallback)}{`, "}"],
    entries,
    extra,
  });
  const based = (base: string, style?: string): Picture | string => {
    const shown = style === undefined ? base : inspection.stylize(base, style);
    return keys.length === 0 ? shown : { ...picture, base: shown };
  };
  const special = (text: string) => [inspection.stylize(text, "special")];

  if (typeof value === "function") {
    const base = functionBase(value, name, tag);
    return keys.length === 0 ? inspection.stylize(base, "special") : { ...picture, base };
  }
  if (types.isArgumentsObject(value)) return { ...picture, braces: ["[Arguments] {", "}"] };
  if (types.isRegExp(value)) {
    const prefix = prefixOf(name, tag, "RegExp");
    return based(`${prefix === "RegExp " ? "" : prefix}${RegExp.prototype.toString.call(value)}`, "regexp");
  }
  if (types.isDate(value)) {
    const prefix = prefixOf(name, tag, "Date");
    const text = Number.isNaN(Date.prototype.getTime.call(value))
      ? Date.prototype.toString.call(value)
      : Date.prototype.toISOString.call(value);
    const base = prefix === "Date " ? text : prefix + text;
    return keys.length === 0 ? inspection.stylize(base, "date") : { ...picture, base };
  }
  if (types.isNativeError(value)) {
    const show = (stack: unknown): string => {
      inspection.seen.push(value);
      inspection.indentation += 4;
      const text = formatValue(inspection, stack, 0);
      inspection.indentation -= 4;
      inspection.seen.pop();
      return text;
    };
    return based(formatError(value as Error, name, tag, inspection, keys, show));
  }
  if (types.isAnyArrayBuffer(value)) {
    const buffer = value as ArrayBuffer;
    if (inTypedArray && keys.length === 0)
      return `${prefixOf(name, tag, "ArrayBuffer")}{ [byteLength]: ${formatNumber(inspection.stylize, buffer.byteLength, false)} }`;
    return labelled("ArrayBuffer", () => (inTypedArray ? [] : bufferContents(inspection, buffer)), [
      "byteLength",
    ]);
  }
  if (types.isDataView(value)) return labelled("DataView", undefined, ["byteLength", "byteOffset", "buffer"]);
  // the engine does not tell of these what is in them
  if (types.isPromise(value)) return labelled("Promise", () => special("<state unknown>"));
  if (types.isWeakSet(value)) return labelled("WeakSet", () => special("<items unknown>"));
  if (types.isWeakMap(value)) return labelled("WeakMap", () => special("<items unknown>"));
  if (types.isBoxedPrimitive(value)) {
    if (types.isStringObject(value)) keys.splice(0, (value as unknown as string).length);
    const { base, style } = boxedBase(inspection, value, name, tag);
    return keys.length === 0 ? inspection.stylize(base, style) : { ...picture, base };
  }
  return webPicture(inspection, value, name, level, picture) ?? objectPicture(value, name, tag, picture);
}

function objectPicture(value: object, name: string | null, tag: string, picture: Picture): Picture | string {
  const prefix = name === "Object" && tag === "" ? "" : labelOf(value, name, tag);
  return picture.keys.length === 0 ? `${prefix}{}` : { ...picture, braces: [`${prefix}{`, "}"] };
}

function webPicture(
  inspection: Inspection,
  value: object,
  name: string | null,
  level: number,
  picture: Picture,
): Picture | string | null {
  if (name === null || isTooDeep(inspection, level)) return null;
  const braces: [string, string] = [`${name} {`, "}"];
  const list = webPairs(value, name);
  if (list !== null) {
    if (list.pairs.length === 0) return `${name} {}`;
    const label = (key: string) =>
      list.sign === ":" ? nameOf(inspection, key) : inspection.stylize(quote(key), "string");
    const entries = (inner: number) =>
      indented(inspection, () =>
        list.pairs.map(([key, item]) => `${label(key)}${list.sign} ${formatValue(inspection, item, inner)}`),
      );
    return { ...picture, braces, entries };
  }
  const fields = webFields(value, name);
  if (fields === null) return null;
  const entries = (inner: number) =>
    Object.keys(fields).map((key) => formatProperty(inspection, fields, key, inner, "object"));
  return { ...picture, braces, entries };
}

/** Arrays, sets, maps and what is like them. */
function listPicture(
  inspection: Inspection,
  value: object,
  name: string | null,
  tag: string,
): Picture | string | null {
  const { showHidden } = inspection;
  const sized = (kind: string, size: number, entries: Picture["entries"]): Picture | string => {
    const prefix = prefixOf(name, tag, kind, `(${size})`);
    const keys = keysOf(value, showHidden);
    if (size === 0 && keys.length === 0) return `${prefix}{}`;
    return { ...plainPicture(keys), braces: [`${prefix}{`, "}"], entries };
  };
  if (Array.isArray(value)) {
    const prefix = name !== "Array" || tag !== "" ? prefixOf(name, tag, "Array", `(${value.length})`) : "";
    const keys = afterIndices(keysOf(value, showHidden));
    if (value.length === 0 && keys.length === 0) return `${prefix}[]`;
    const entries = arrayEntries(inspection, value);
    return { ...plainPicture(keys), braces: [`${prefix}[`, "]"], content: "array", entries };
  }
  if (types.isSet(value)) {
    const set = value as Set<unknown>;
    const items = () => Set.prototype.values.call(set) as Iterable<unknown>;
    return sized("Set", sizeOf(Set.prototype, set), (level) =>
      listed(inspection, items(), sizeOf(Set.prototype, set), (item) => formatValue(inspection, item, level)),
    );
  }
  if (types.isMap(value)) {
    const map = value as Map<unknown, unknown>;
    const pairs = () => Map.prototype.entries.call(map) as Iterable<[unknown, unknown]>;
    return sized("Map", sizeOf(Map.prototype, map), (level) =>
      listed(
        inspection,
        pairs(),
        sizeOf(Map.prototype, map),
        ([key, item]) => `${formatValue(inspection, key, level)} => ${formatValue(inspection, item, level)}`,
      ),
    );
  }
  if (types.isTypedArray(value)) {
    const array = value as Uint8Array;
    const kind = name === null ? Object.prototype.toString.call(array).slice(8, -1) : "";
    const prefix = prefixOf(name, tag, kind, `(${array.length})`);
    const keys = afterIndices(keysOf(value, showHidden));
    if (array.length === 0 && keys.length === 0 && !showHidden) return `${prefix}[]`;
    const extra = showHidden ? ["BYTES_PER_ELEMENT", "length", "byteLength", "byteOffset", "buffer"] : [];
    const entries = () => typedEntries(inspection, array);
    return { ...plainPicture(keys), braces: [`${prefix}[`, "]"], content: "array", entries, extra };
  }
  for (const kind of ["Map", "Set"]) {
    if (!(kind === "Map" ? types.isMapIterator : types.isSetIterator)(value)) continue;
    const entries = () => [inspection.stylize("<items unknown>", "special")];
    return {
      ...plainPicture(keysOf(value, showHidden)),
      braces: [`[${tag || `${kind} Iterator`}] {`, "}"],
      entries,
    };
  }
  return null;
}

const sizeOf = (prototype: object, value: object): number =>
  Reflect.apply(Object.getOwnPropertyDescriptor(prototype, "size")!.get!, value, []) as number;

const isIndex = (key: PropertyKey): boolean =>
  typeof key === "string" && /^(?:0|[1-9]\d*)$/.test(key) && Number(key) < 2 ** 32 - 1;

/** Indices come first. */
const afterIndices = (keys: PropertyKey[]): PropertyKey[] => keys.slice(keys.findLastIndex(isIndex) + 1);

function keysOf(value: object, showHidden: boolean): PropertyKey[] {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length === 0 && !showHidden) return Object.keys(value);
  if (showHidden) return [...Object.getOwnPropertyNames(value), ...symbols];
  const isEnumerable = Object.prototype.propertyIsEnumerable;
  return [...Object.keys(value), ...symbols.filter((symbol) => isEnumerable.call(value, symbol))];
}

function indented<T>(inspection: Inspection, work: () => T): T {
  inspection.indentation += 2;
  const result = work();
  inspection.indentation -= 2;
  return result;
}

function listed<T>(
  inspection: Inspection,
  items: Iterable<T>,
  size: number,
  show: (item: T) => string,
): string[] {
  const shown = Math.min(Math.max(0, inspection.maxArrayLength), size);
  const output: string[] = [];
  indented(inspection, () => {
    for (const item of items) {
      if (output.length >= shown) break;
      output.push(show(item));
    }
  });
  if (size > shown) output.push(more(size - shown));
  return output;
}

/** Elements and gaps. */
const arrayEntries = (inspection: Inspection, array: unknown[]) => (level: number) => {
  const shown = Math.min(Math.max(0, inspection.maxArrayLength), array.length);
  const output: string[] = [];
  const element = (at: number) =>
    output.push(formatProperty(inspection, array, String(at), level, "element"));
  let index = 0;
  while (index < shown && Object.hasOwn(array, index)) element(index++);
  if (index < shown) {
    const gap = (length: number) =>
      output.push(inspection.stylize(`<${length} empty item${length > 1 ? "s" : ""}>`, "undefined"));
    for (const key of Object.keys(array)) {
      const at = Number(key);
      if (at < index) continue;
      if (output.length >= shown || !isIndex(key)) break;
      if (at > index) gap(at - index);
      index = at;
      if (output.length >= shown) break;
      element(index++);
    }
    if (array.length > index && output.length < shown) {
      gap(array.length - index);
      index = array.length;
    }
  }
  if (array.length > index) output.push(more(array.length - index));
  return output;
};

function typedEntries(
  { maxArrayLength, stylize, numericSeparator }: Inspection,
  array: Uint8Array,
): string[] {
  const shown = Math.min(Math.max(0, maxArrayLength), array.length);
  const output = Array.from(array.subarray(0, shown), (item: number | bigint) =>
    typeof item === "bigint"
      ? formatBigInt(stylize, item, numericSeparator)
      : formatNumber(stylize, item, numericSeparator),
  );
  if (array.length > shown) output.push(more(array.length - shown));
  return output;
}

function bufferContents({ stylize, maxArrayLength }: Inspection, buffer: ArrayBuffer): string[] {
  if (buffer.detached) return [stylize("(detached)", "special")];
  const shown = new Uint8Array(buffer, 0, Math.min(Math.max(0, maxArrayLength), buffer.byteLength));
  const left = buffer.byteLength - shown.length;
  const text = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const rest = left > 0 ? ` ... ${left} more byte${left > 1 ? "s" : ""}` : "";
  return [`${stylize("[Uint8Contents]", "special")}: <${text}${rest}>`];
}

function extraProperty(inspection: Inspection, value: object, key: string, level: number): string {
  const item = (value as Record<string, unknown>)[key];
  const shown = indented(inspection, () => formatValue(inspection, item, level, types.isTypedArray(value)));
  return `${inspection.stylize(`[${key}]`, "string")}: ${shown}`;
}

/** What the user's own prototypes hold besides methods, three levels up. */
function prototypeProperties(inspection: Inspection, value: object, found: object, level: number): string[] {
  const output: string[] = [];
  const known = new Set<PropertyKey>(["constructor"]);
  const isMine = (prototype: object): boolean => {
    const made = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value as
      | { name: string }
      | undefined;
    return !(typeof made === "function" && isBuiltIn(made.name));
  };
  if (found === value) return output;
  let at = Object.getPrototypeOf(value) as object | null;
  inspection.seen.push(value);
  for (let depth = 0; at !== null && isMine(at) && depth < 3; depth++) {
    for (const key of Reflect.ownKeys(at)) {
      const property = Object.getOwnPropertyDescriptor(at, key)!;
      if (known.has(key) || Object.hasOwn(value, key) || typeof property.value === "function") continue;
      known.add(key);
      const text = formatProperty(inspection, at, key, level, "object", value);
      output.push(inspection.colors ? `\u001b[2m${text}\u001b[22m` : text);
    }
    at = Object.getPrototypeOf(at) as object | null;
  }
  inspection.seen.pop();
  return output;
}

function nameOf({ stylize }: Inspection, key: PropertyKey): string {
  if (typeof key === "symbol") return stylize(escaped(key.toString()).replaceAll("'", "\\'"), "symbol");
  const text = String(key);
  if (text === "__proto__") return "['__proto__']";
  return /^[a-zA-Z_][a-zA-Z_0-9]*$/.test(text) ? stylize(text, "name") : stylize(quote(text), "string");
}

function formatProperty(
  inspection: Inspection,
  holder: object,
  key: PropertyKey,
  level: number,
  kind: Content | "element",
  receiver = holder,
): string {
  const property = Object.getOwnPropertyDescriptor(holder, key) ?? {
    value: (holder as Record<PropertyKey, unknown>)[key],
    enumerable: true,
  };
  const { stylize, compact, breakLength } = inspection;
  let gap = " ";
  let text: string;
  if (property.value !== undefined) {
    const by = compact !== true || kind !== "object" ? 2 : 3;
    inspection.indentation += by;
    text = formatValue(inspection, property.value, level);
    if (by === 3 && breakLength < widthOf(text, inspection)) gap = `\n${" ".repeat(inspection.indentation)}`;
    inspection.indentation -= by;
  } else if (property.get) text = formatGetter(inspection, property, receiver, level);
  else text = property.set ? stylize("[Setter]", "special") : stylize("undefined", "undefined");
  if (kind === "element") return text;
  const name = nameOf(inspection, key);
  return `${property.enumerable ? name : `[${name}]`}:${gap}${text}`;
}

function formatGetter(
  inspection: Inspection,
  { get, set }: PropertyDescriptor,
  receiver: object,
  level: number,
): string {
  const { stylize, getters } = inspection;
  const label = set ? "Getter/Setter" : "Getter";
  const isCalled =
    getters === true || (getters === "get" && !set) || (getters === "set" && set !== undefined);
  if (!isCalled) return stylize(`[${label}]`, "special");
  const around = (text: string) => `${stylize(`[${label}:`, "special")} ${text}${stylize("]", "special")}`;
  return indented(inspection, () => {
    let value: unknown;
    try {
      value = Reflect.apply(get!, receiver, []);
    } catch (error) {
      return around(`<Inspection threw (${formatValue(inspection, error, level)})>`);
    }
    if (value === null || (typeof value !== "object" && typeof value !== "function"))
      return around(formatPrimitive(inspection, value));
    return `${stylize(`[${label}]`, "special")} ${formatValue(inspection, value, level)}`;
  });
}
