import type { HeaderList } from "../protocol.ts";
import { Resource, type World } from "./world.ts";

/** Bytes of all names and values of one set of headers. */
const maxHeaderBytes = 64 * 1024;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const decoder = new TextDecoder("latin1");
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in a value
const breaking = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/** `fields` of `wasi:http/types`: headers, by names without case. */
export class Fields extends Resource {
  #list: HeaderList;
  #bytes = 0;
  readonly #mutable: boolean;

  constructor(world: World, list: HeaderList = [], mutable = true) {
    super(world);
    this.#list = list;
    this.#mutable = mutable;
  }

  /** The list as it is now. */
  list(): HeaderList {
    return this.#list;
  }

  get(name: string): Uint8Array[] {
    return this.#of(name).map(([, value]) => Buffer.from(value, "latin1"));
  }

  has(name: string): boolean {
    return this.#of(name).length > 0;
  }

  set(name: string, values: Uint8Array[]): void {
    this.delete(name);
    for (const value of values) this.append(name, value);
  }

  delete(name: string): void {
    this.#mayChange(name);
    const wanted = name.toLowerCase();
    this.#list = this.#list.filter(([known]) => known.toLowerCase() !== wanted);
  }

  append(name: string, value: Uint8Array): void {
    this.#mayChange(name);
    const text = decoder.decode(value);
    if (breaking.test(text)) throw { tag: "invalid-syntax" };
    this.#bytes += name.length + text.length;
    if (this.#bytes > maxHeaderBytes) this.world.refuse("the headers are larger than 64 KiB");
    this.world.hold(name.length + text.length);
    this.#list = [...this.#list, [name, text]];
  }

  entries(): [string, Uint8Array][] {
    return this.#list.map(([name, value]) => [name, Buffer.from(value, "latin1")]);
  }

  copy(): HeaderList {
    return [...this.#list];
  }

  #of(name: string): HeaderList {
    const wanted = name.toLowerCase();
    return this.#list.filter(([known]) => known.toLowerCase() === wanted);
  }

  #mayChange(name: string): void {
    if (!this.#mutable) throw { tag: "immutable" };
    if (!token.test(name)) throw { tag: "invalid-syntax" };
  }
}
