import type { HeaderList } from "../protocol.ts";
import { apply } from "./primordials.ts";

/** The engine's own class, which does the work; this one adds what the standard says of arguments and of immutable headers. */
const Native = globalThis.Headers;
const { append, set, delete: remove } = Native.prototype;

const immutable = new WeakSet<object>();
const { has, add } = WeakSet.prototype;

function checkMutable(headers: object): void {
  if (apply(has, immutable, [headers])) throw new TypeError("These headers are immutable");
}

const beyondLatin1 = /[^\0-\xff]/;

/** A byte string, as Web IDL has it: no character beyond Latin-1. */
function byteString(value: unknown): string {
  const text = `${value as string}`;
  if (beyondLatin1.test(text)) throw new TypeError("A header's name and value are of Latin-1 characters");
  return text;
}

function checkCount(given: number, wanted: number): void {
  if (given < wanted) throw new TypeError(`${wanted} arguments are needed, ${given} were given`);
}

function toPairs(init: unknown): HeaderList {
  if ((typeof init !== "object" && typeof init !== "function") || init === null)
    throw new TypeError("Headers are made of a list of pairs or of an object");
  const pairs: HeaderList = [];
  const iterate = (init as Iterable<unknown>)[Symbol.iterator];
  if (iterate !== undefined && iterate !== null) {
    for (const pair of init as Iterable<Iterable<unknown>>) {
      if (typeof pair !== "object" || pair === null)
        throw new TypeError("A header is a pair of name and value");
      const [name, value, ...rest] = [...pair];
      if (value === undefined || rest.length > 0) throw new TypeError("A header is a pair of name and value");
      pairs.push([byteString(name), byteString(value)]);
    }
    return pairs;
  }
  for (const key of Reflect.ownKeys(init)) {
    if (!Reflect.getOwnPropertyDescriptor(init, key)?.enumerable) continue;
    if (typeof key === "symbol") throw new TypeError("A header's name cannot be a symbol");
    pairs.push([byteString(key), byteString((init as Record<string, unknown>)[key])]);
  }
  return pairs;
}

export class Headers extends Native {
  constructor(init?: unknown) {
    super(init === undefined ? undefined : toPairs(init));
  }
  override append(...args: [name: string, value: string]): void {
    checkCount(args.length, 2);
    const [name, value] = [byteString(args[0]), byteString(args[1])];
    checkMutable(this);
    apply(append, this, [name, value]);
  }
  override set(...args: [name: string, value: string]): void {
    checkCount(args.length, 2);
    const [name, value] = [byteString(args[0]), byteString(args[1])];
    checkMutable(this);
    apply(set, this, [name, value]);
  }
  override delete(...args: [name: string]): void {
    checkCount(args.length, 1);
    const name = byteString(args[0]);
    checkMutable(this);
    apply(remove, this, [name]);
  }
}

/** Headers from a list that is known to be one, without the standard's conversions. */
export const headersOf = (list: HeaderList): Headers => Reflect.construct(Native, [list], Headers) as Headers;

/** Nobody may change them from now on. */
export function freezeHeaders(headers: Headers): Headers {
  apply(add, immutable, [headers]);
  return headers;
}
