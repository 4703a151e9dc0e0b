import { apply, defineProperty } from "./primordials.ts";

const NativeParams = globalThis.URLSearchParams;
const NativeURL = globalThis.URL;

/** The extension's class reads only strings; this adds the other forms of the constructor's argument. */
function toQuery(init: unknown): string {
  if (init === undefined) return "";
  if (typeof init !== "object" || init === null || init instanceof NativeParams) return `${init}`;
  const params = new NativeParams("");
  if (Symbol.iterator in init) {
    for (const pair of init as Iterable<[string, string]>) params.append(`${pair[0]}`, `${pair[1]}`);
  } else {
    for (const key of Object.keys(init)) params.append(key, `${(init as Record<string, unknown>)[key]}`);
  }
  return params.toString();
}

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
    for (const [key, value] of new NativeParams(this.#url.search)) super.append(key, value);
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
