import { MAX_VALUES, text, type Value, type Values } from "./value.ts";

/** Longest string that is followed, UTF-16 code units. */
export const MAX_TEXT_LENGTH = 4096;
/** Longest list that is followed. */
export const MAX_LIST_LENGTH = 256;

type Plain = string | number | undefined;

type TextMethod = (value: string, a: Plain, b: Plain) => string | undefined;

const TEXT_METHODS: Record<string, TextMethod> = {
  at: (value, index) => value.at(Number(index ?? 0)),
  charAt: (value, index) => value.charAt(Number(index ?? 0)),
  concat: (value, a = "", b = "") => value + a + b,
  normalize: (value: string) => value.normalize(),
  padEnd: (value, length, fill) => value.padEnd(bounded(length), fill as string | undefined),
  padStart: (value, length, fill) => value.padStart(bounded(length), fill as string | undefined),
  repeat: (value, count) => value.repeat(Math.min(bounded(count), MAX_TEXT_LENGTH / (value.length || 1))),
  replace: (value, from, to) => replaced(value, from, to, "replace"),
  replaceAll: (value, from, to) => replaced(value, from, to, "replaceAll"),
  slice: (value, start, end) => value.slice(start as number | undefined, end as number | undefined),
  substr: (value, start, length) => value.substr(Number(start ?? 0), length as number | undefined),
  substring: (value, start, end) => value.substring(Number(start ?? 0), end as number | undefined),
  toLowerCase: (value: string) => value.toLowerCase(),
  toString: (value: string) => value,
  toUpperCase: (value) => value.toUpperCase(),
  trim: (value) => value.trim(),
  trimEnd: (value) => value.trimEnd(),
  trimStart: (value) => value.trimStart(),
  valueOf: (value: string) => value,
};

const bounded = (length: Plain) => Math.max(0, Math.min(Number(length ?? 0) || 0, MAX_TEXT_LENGTH));

function replaced(
  value: string,
  from: Plain,
  to: Plain,
  method: "replace" | "replaceAll",
): string | undefined {
  return typeof from === "string" && typeof to === "string" ? value[method](from, () => to) : undefined;
}

/** `"cba".…()`; undefined for methods that are not followed. */
export function callTextMethod(
  value: string,
  name: string,
  args: readonly Values[],
  pattern?: RegExp,
): Value | undefined {
  const changed = pattern && changeByPattern(value, name, pattern, args);
  if (changed) return changed;
  if (name === "split" || name === "charCodeAt" || name === "codePointAt") {
    const [first] = args.map(plain);
    if (name === "split") return splitText(value, first);
    return { kind: "number", number: value.charCodeAt(Number(first ?? 0)) };
  }
  const method = Object.hasOwn(TEXT_METHODS, name) ? TEXT_METHODS[name] : undefined;
  // An argument that is given but not known makes the result unknown.
  if (!method || args.some((arg) => plain(arg) === undefined)) return undefined;
  const result = method(value, plain(args[0]), plain(args[1]));
  return result === undefined || result.length > MAX_TEXT_LENGTH ? undefined : text(result);
}

function changeByPattern(
  value: string,
  name: string,
  pattern: RegExp,
  args: readonly Values[],
): Value | undefined {
  const to = plain(args[1]);
  if (name === "split") return listOf(value.split(pattern));
  if ((name !== "replace" && name !== "replaceAll") || typeof to !== "string") return undefined;
  return name === "replaceAll" && !pattern.global ? undefined : text(value.replace(pattern, () => to));
}

function splitText(value: string, separator: Plain): Value | undefined {
  if (separator !== undefined && typeof separator !== "string") return undefined;
  return listOf(value.split(separator as string));
}

/** A list of strings, if it is short enough. */
export function listOf(items: readonly string[]): Value | undefined {
  return items.length > MAX_LIST_LENGTH
    ? undefined
    : { kind: "list", items: items.map((item) => [text(item)]) };
}

function plain(values: Values | undefined): Plain {
  const [value] = values ?? [];
  if (value?.kind === "text") return value.text;
  return value?.kind === "number" ? value.number : undefined;
}

type Items = readonly Values[];

const LIST_METHODS: Record<string, (items: Items, args: readonly Values[]) => Values> = {
  at: (items, [index]) => items.at(Number(plain(index) ?? 0)) ?? [],
  concat: (items, more) => [
    { kind: "list", items: [...items, ...more.flatMap((values) => itemsOf(values) ?? [values])] },
  ],
  filter: (items) => [{ kind: "list", items }],
  flat: (items) => [{ kind: "list", items: items.flatMap((values) => itemsOf(values) ?? [values]) }],
  join: (items, [separator]) => joined(items, String(plain(separator) ?? ",")),
  next: (items) => [{ kind: "record", entries: new Map([["value", items[0] ?? []]]) }],
  pop: (items) => items.at(-1) ?? [],
  reverse: (items) => [{ kind: "list", items: [...items].reverse() }],
  shift: (items) => items[0] ?? [],
  slice: (items, [start, end]) => [
    { kind: "list", items: items.slice(plain(start) as number, plain(end) as number) },
  ],
  sort: (items) => [{ kind: "list", items: [...items].sort() }],
  toReversed: (items) => [{ kind: "list", items: [...items].reverse() }],
  values: (items) => [{ kind: "list", items }],
};

const itemsOf = (values: Values): Items | undefined =>
  values[0]?.kind === "list" ? values[0].items : undefined;

function joined(items: Items, separator: string): Values {
  const parts = items.map(plain);
  if (parts.includes(undefined)) return [];
  const result = parts.join(separator);
  return result.length > MAX_TEXT_LENGTH ? [] : [text(result)];
}

/** `["a", "b"].…()` without a callback. */
export function callListMethod(items: Items, name: string, args: readonly Values[]): Values {
  const method = Object.hasOwn(LIST_METHODS, name) ? LIST_METHODS[name] : undefined;
  return method?.(items, args) ?? [];
}

/** Functions of texts alone, by the path of the reference. */
export const TEXT_FUNCTIONS: Record<string, (args: readonly string[]) => string | undefined> = {
  String: ([value = ""]) => value,
  atob: ([value = ""]) => atob(value),
  btoa: ([value = ""]) => btoa(value),
  decodeURI: ([value = ""]) => decodeURI(value),
  decodeURIComponent: ([value = ""]) => decodeURIComponent(value),
  encodeURI: ([value = ""]) => encodeURI(value),
  encodeURIComponent: ([value = ""]) => encodeURIComponent(value),
  unescape: ([value = ""]) => unescape(value),
  "Buffer.from": ([value = "", encoding = "utf8"]) =>
    Buffer.isEncoding(encoding) ? Buffer.from(value, encoding).toString() : undefined,
};

/** As {@link TEXT_FUNCTIONS}; undefined for input that the function refuses. */
export function callTextFunction(path: string, args: readonly string[]): string | undefined {
  const call = Object.hasOwn(TEXT_FUNCTIONS, path) ? TEXT_FUNCTIONS[path] : undefined;
  try {
    return call?.(args);
  } catch {
    return undefined;
  }
}

/** Methods that hand the items of a list, or what a promise holds, to a function. */
export const LIST_CALLBACKS = new Set("map flatMap forEach filter find findLast some every then".split(" "));

/** What such a function is given. */
export const eachItem = (value: Value): Values => (value.kind === "list" ? value.items.flat() : [value]);

export const concatenated = (left: readonly string[], right: readonly string[]): Value[] =>
  left
    .flatMap((before) => right.map((after) => before + after))
    .filter(({ length }) => length <= MAX_TEXT_LENGTH)
    .slice(0, MAX_VALUES)
    .map(text);

const ARITHMETIC: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": (a, b) => a ^ b,
  "|": (a, b) => a | b,
  "&": (a, b) => a & b,
  "<<": (a, b) => a << b,
  ">>": (a, b) => a >> b,
};

export function arithmetic(operator: string, a: number, b: number): Values {
  const result = ARITHMETIC[operator]?.(a, b);
  return result === undefined ? [] : [{ kind: "number", number: result }];
}
