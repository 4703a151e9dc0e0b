import type { HeaderList } from "../protocol.ts";
import { latin1 } from "./host.ts";
import { apply, isArray } from "./primordials.ts";

/** The engine's own class, which does the work; this one adds what the standard says of arguments and of immutable headers. */
const Native = globalThis.Headers;
const { append, set, delete: remove, entries, forEach } = Native.prototype;
const { values } = Array.prototype;
const { propertyIsEnumerable: isEnumerable } = Object.prototype;
const { ownKeys } = Reflect;

const immutable = new WeakSet<object>();
const { has, add } = WeakSet.prototype;

function checkMutable(headers: object): void {
  if (apply(has, immutable, [headers])) throw new TypeError("These headers are immutable");
}

/** A byte string, as Web IDL has it: no character beyond Latin-1. What is a name besides this the engine's class knows. */
function byteString(value: unknown): string {
  const text = typeof value === "string" ? value : `${value as string}`;
  if (!latin1(text)) throw new TypeError("A header's name and value are of Latin-1 characters");
  return text;
}

function checkCount(given: number, wanted: number): void {
  if (given < wanted) throw new TypeError(`${wanted} arguments are needed, ${given} were given`);
}

/** Whether iterating goes through its elements: nobody has changed how. */
const isPlainArray = (value: unknown): value is unknown[] =>
  isArray(value) && (value as Iterable<unknown>)[Symbol.iterator] === values;

/** What the engine's class takes, made of what the standard's takes. */
function toNative(init: unknown): HeadersInit {
  if ((typeof init !== "object" && typeof init !== "function") || init === null)
    throw new TypeError("Headers are made of a list of pairs or of an object");
  const iterate = (init as Iterable<unknown>)[Symbol.iterator];
  if (iterate === undefined || iterate === null) return pairsOf(init);
  if (iterate === (entries as unknown) && init instanceof Native) return init;
  const given: unknown[] = isPlainArray(init) ? init : [...(init as Iterable<unknown>)];
  const pairs: HeaderList = [];
  for (let i = 0; i < given.length; i++) {
    const item = given[i];
    if (typeof item !== "object" || item === null)
      throw new TypeError("A header is a pair of name and value");
    const pair: unknown[] = isPlainArray(item) ? item : [...(item as Iterable<unknown>)];
    if (pair.length !== 2) throw new TypeError("A header is a pair of name and value");
    pairs[i] = [`${pair[0] as string}`, byteString(pair[1])];
  }
  return pairs;
}

/** Of an object's own properties, in the order of steps that the standard says. */
function pairsOf(record: object): HeaderList {
  const pairs: HeaderList = [];
  const keys = ownKeys(record);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (!apply(isEnumerable, record, [key])) continue;
    if (typeof key === "symbol") throw new TypeError("A header's name cannot be a symbol");
    pairs[pairs.length] = [key, byteString((record as Record<string, unknown>)[key])];
  }
  return pairs;
}

export class Headers extends Native {
  constructor(init?: unknown) {
    super(init === undefined ? undefined : toNative(init));
  }
  override append(...args: [name: string, value: string]): void {
    checkCount(args.length, 2);
    args[1] = byteString(args[1]);
    checkMutable(this);
    apply(append, this, args);
  }
  override set(...args: [name: string, value: string]): void {
    checkCount(args.length, 2);
    args[1] = byteString(args[1]);
    checkMutable(this);
    apply(set, this, args);
  }
  override delete(...args: [name: string]): void {
    checkCount(args.length, 1);
    args[0] = byteString(args[0]);
    checkMutable(this);
    apply(remove, this, args);
  }
}

/** Headers from a list that is known to be one, without the standard's conversions. */
export const headersOf = (list: HeaderList): Headers => Reflect.construct(Native, [list], Headers) as Headers;

/** Calls `add` for each header in the standard's order. */
export function eachHeader(headers: Headers, add: (value: string, name: string) => void): void {
  apply(forEach, headers, [add]);
}

export function headerList(headers: Headers): HeaderList {
  const list: HeaderList = [];
  eachHeader(headers, (value, name) => {
    list[list.length] = [name, value];
  });
  return list;
}

/** Nobody may change them from now on. */
export function freezeHeaders(headers: Headers): Headers {
  apply(add, immutable, [headers]);
  return headers;
}
