import { posix } from "node:path";
import { callTextFunction, listOf, MAX_LIST_LENGTH } from "./constant-methods.ts";
import {
  FOLDER,
  globalReference,
  pathOfUrl,
  stringsOf,
  text,
  textsOf,
  type Value,
  type Values,
} from "./value.ts";

const NOTHING: Values = [];

/** Functions that give back what they are given, or something that has all of its members. */
const SAME_OBJECT = new Set(
  `Object Object.create Object.freeze Object.seal Object.preventExtensions Promise.resolve
   Promise.all structuredClone WeakRef Set Uint8Array Uint8Array.from Uint16Array Array.of`.split(/\s+/),
);

type Known = (args: readonly Values[]) => Values;

/** Functions of the language and the platform whose result follows from their arguments alone, by path. */
const KNOWN: Record<string, Known> = {
  "Array.from": ([first = NOTHING]) => first.flatMap(itemList),
  Error: ([message = NOTHING]) => [{ kind: "record", entries: new Map([["message", message]]) }],
  CustomEvent: ([, init = NOTHING]) => init,
  "JSON.parse": ([first = NOTHING]) => textsOf(first).flatMap(parsed),
  "JSON.stringify": ([first = NOTHING]) => textsOf(first).map((value) => text(JSON.stringify(value))),
  Map: ([first = NOTHING]) => first.flatMap(recordOf),
  Number: ([first = NOTHING]) => numberOf(Number(stringsOf(first)[0])),
  "Object.assign": (args) => args.flat(),
  "Object.fromEntries": ([first = NOTHING]) => first.flatMap(recordOf),
  "Object.getOwnPropertyDescriptors": ([first = NOTHING]) => first.map((of) => ({ kind: "descriptors", of })),
  "Object.getPrototypeOf": prototypesOf,
  "Object.setPrototypeOf": (args) => args.flat(),
  "Reflect.getPrototypeOf": prototypesOf,
  "String.fromCharCode": fromCodes,
  "String.fromCodePoint": fromCodes,
  Symbol: ([description = NOTHING]) => [{ kind: "record", entries: new Map([["description", description]]) }],
  "TextDecoder.prototype.decode": ([first]) => fromCodes(first?.[0]?.kind === "list" ? first[0].items : []),
  URL: ([urls = NOTHING, bases = NOTHING]) => resolvedUrl(textsOf(urls), textsOf(bases)[0]),
  URLSearchParams: ([first = NOTHING]) => textsOf(first).map(searchParams),
  parseInt: ([first = NOTHING, radix = NOTHING]) =>
    numberOf(Number.parseInt(stringsOf(first)[0] ?? "", Number(stringsOf(radix)[0] ?? 10))),
  "process.cwd": () => [text(FOLDER)],
  "module#createRequire": () => [globalReference("require")],
  "module#createRequireFromPath": () => [globalReference("require")],
  "path#join": (args) => pathOf(args, (parts) => posix.join(...parts)),
  "path#resolve": (args) => pathOf(args, (parts) => posix.resolve(FOLDER, ...parts)),
  "path#normalize": (args) => pathOf(args, ([path = ""]) => posix.normalize(path)),
  "path#dirname": (args) => pathOf(args, ([path = ""]) => posix.dirname(path)),
  "path#basename": (args) => pathOf(args, ([path = ""]) => posix.basename(path)),
  "url#fileURLToPath": ([first = NOTHING]) => textsOf(first).map((url) => text(pathOfUrl(url))),
};

/** What a function of the language or the platform gives back, if that is followed. */
export function callKnown(path: string, args: readonly Values[]): Values {
  if (SAME_OBJECT.has(path)) return args[0] ?? NOTHING;
  const known = Object.hasOwn(KNOWN, path) ? KNOWN[path] : undefined;
  if (known) return known(args);
  const [first = NOTHING, second = NOTHING] = args;
  const encoding = textsOf(second)[0];
  return textsOf(first).flatMap((value) => {
    const result = callTextFunction(path, encoding === undefined ? [value] : [value, encoding]);
    return result === undefined ? [] : [text(result)];
  });
}

function prototypesOf([first = NOTHING]: readonly Values[]): Values {
  return first.length === 0
    ? [{ kind: "prototype", of: undefined }]
    : first.map((of) => ({ kind: "prototype" as const, of }));
}

const numberOf = (number: number): Values => (Number.isNaN(number) ? NOTHING : [{ kind: "number", number }]);

function itemList(value: Value): Values {
  if (value.kind === "list") return [value];
  const list = value.kind === "text" ? listOf([...value.text]) : undefined;
  return list ? [list] : NOTHING;
}

/** Of a list of pairs. */
function recordOf(value: Value): Values {
  if (value.kind !== "list") return NOTHING;
  const entries = new Map<string, Values>();
  for (const [pair] of value.items) {
    if (pair?.kind !== "list") continue;
    for (const key of stringsOf(pair.items[0] ?? NOTHING)) entries.set(key, pair.items[1] ?? NOTHING);
  }
  return [{ kind: "record", entries }];
}

const searchParams = (query: string): Value => ({
  kind: "record",
  entries: new Map(
    [...new URLSearchParams(query)].slice(0, MAX_LIST_LENGTH).map(([key, value]) => [key, [text(value)]]),
  ),
});

function parsed(source: string): Values {
  try {
    return fromJson(JSON.parse(source));
  } catch {
    return NOTHING;
  }
}

function fromJson(value: unknown): Values {
  if (typeof value === "string") return [text(value)];
  if (typeof value === "number") return [{ kind: "number", number: value }];
  if (Array.isArray(value)) return [{ kind: "list", items: value.slice(0, MAX_LIST_LENGTH).map(fromJson) }];
  if (typeof value !== "object" || value === null) return NOTHING;
  const entries = Object.entries(value).slice(0, MAX_LIST_LENGTH);
  return [{ kind: "record", entries: new Map(entries.map(([key, member]) => [key, fromJson(member)])) }];
}

function fromCodes(args: readonly Values[]): Values {
  const codes = args.map(([value]) => (value?.kind === "number" ? value.number : Number.NaN));
  if (codes.some((code) => !(code >= 0 && code <= 0x10ffff && Number.isInteger(code)))) return NOTHING;
  return [text(String.fromCodePoint(...codes))];
}

const resolvedUrl = (urls: readonly string[], base: string | undefined): Values =>
  urls.flatMap((url) => (URL.canParse(url, base) ? [text(new URL(url, base).href)] : []));

function pathOf(args: readonly Values[], make: (parts: string[]) => string): Values {
  const parts = args.map((arg) => textsOf(arg)[0]);
  return parts.includes(undefined) ? NOTHING : [text(make(parts as string[]))];
}
