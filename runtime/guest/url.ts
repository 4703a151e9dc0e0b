import { apply, defineProperty } from "./primordials.ts";

const NativeParams = globalThis.URLSearchParams;
const NativeURL = globalThis.URL;

const { iterator } = Symbol;
type Iterated = Record<symbol, unknown>;
const nativeIterator = (NativeParams.prototype as unknown as Iterated)[iterator];

/** The extension's class reads only strings, and takes away all question marks; this adds the other forms of the constructor's argument. */
function toQuery(init: unknown): string {
  if (init === undefined) return "";
  if ((typeof init !== "object" && typeof init !== "function") || init === null) {
    const text = `${init as string}`;
    return text.startsWith("??") ? `?%3F${text.slice(2)}` : text;
  }
  if (init instanceof NativeParams && (init as unknown as Iterated)[iterator] === nativeIterator)
    return `${init}`;
  const params = new NativeParams("");
  if (iterator in init) {
    for (const given of init as Iterable<Iterable<string>>) {
      const pair = [...given];
      if (pair.length !== 2) throw new TypeError("Each pair must be a name and a value");
      params.append(`${pair[0]}`, `${pair[1]}`);
    }
  } else {
    const names = new Map<string, string>();
    for (const key of Object.keys(init))
      names.set(key.toWellFormed(), `${(init as Record<string, unknown>)[key]}`);
    for (const [name, value] of names) params.append(name, value);
  }
  return params.toString();
}

/** What a form sends as its body: https://url.spec.whatwg.org/#urlencoded-parsing. */
export const parseUrlencoded = (text: string): Iterable<[string, string]> =>
  new NativeParams(text.startsWith("?") ? `%3F${text.slice(1)}` : text);

export class URLSearchParams extends NativeParams {
  constructor(init?: unknown) {
    super(toQuery(init));
  }
}

const setterOf = (name: string) => Object.getOwnPropertyDescriptor(NativeURL.prototype, name)!.set!;
const setSearch = setterOf("search");

/** `url.searchParams`: a change of either side is seen on the other. */
class LinkedParams extends URLSearchParams {
  readonly #url: URL;

  constructor(url: URL) {
    super(url.search);
    this.#url = url;
  }
  refresh(): void {
    for (const key of [...this.keys()]) super.delete(key);
    for (const [key, value] of new URLSearchParams(this.#url.search)) super.append(key, value);
  }
  #update(): void {
    apply(setSearch, this.#url, [this.toString()]);
  }
  override append(name: string, value: string): void {
    super.append(name, value);
    this.#update();
  }
  override delete(...args: [name: string, value?: string]): void {
    super.delete(...args);
    this.#update();
  }
  override set(name: string, value: string): void {
    super.set(name, value);
    this.#update();
  }
  override sort(): void {
    super.sort();
    this.#update();
  }
}
Object.defineProperty(LinkedParams.prototype, "constructor", { value: URLSearchParams });

const linked = new WeakMap<URL, LinkedParams>();
const { get, set } = WeakMap.prototype;

export function extendUrl(): void {
  defineProperty(NativeURL.prototype, "searchParams", {
    get(this: URL) {
      const known = apply(get, linked, [this]) as LinkedParams | undefined;
      if (known) return known;
      const params = new LinkedParams(this);
      apply(set, linked, [this, params]);
      return params;
    },
    configurable: true,
    enumerable: true,
  });
  for (const name of ["search", "href"]) {
    const native = setterOf(name);
    defineProperty(NativeURL.prototype, name, {
      set(this: URL, value: string) {
        apply(native, this, [value]);
        (apply(get, linked, [this]) as LinkedParams | undefined)?.refresh();
      },
    });
  }
  defineProperty(NativeURL, "parse", {
    value: (url: string, base?: string) => {
      try {
        return base === undefined ? new NativeURL(url) : new NativeURL(url, base);
      } catch {
        return null;
      }
    },
    writable: true,
    configurable: true,
  });
}
