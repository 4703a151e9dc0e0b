import { localeGetters, localeMethods } from "../locale-fields.ts";
import type { HostCall } from "../protocol.ts";
import { localize } from "./intl-prototypes.ts";

/**
 * `Intl` by the host's own, which has all languages: each use is a call that the guest waits for. A part of the library, loaded when it is first used.
 */
type Options = Record<string, unknown> | undefined;
type CallHost = (what: string, call: HostCall) => Uint8Array;
type Modules = Record<symbol, { "thimble:node": { callHost: CallHost } }>;

const { callHost } = (globalThis as unknown as Modules)[Symbol.for("thimble.modules")]!["thimble:node"];
const decoder = new TextDecoder();

export function ask(what: string, ...call: unknown[]): unknown {
  return JSON.parse(decoder.decode(callHost(what, ["intl", ...call.map(encode)])));
}

/** What JSON has no form for. */
function encode(value: unknown): unknown {
  if (typeof value === "bigint") return { $bigint: `${value}` };
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: `${value}` };
  return Object.is(value, -0) ? { $number: "-0" } : value;
}

function toLocales(locales: unknown): string[] | null {
  if (locales === undefined) return null;
  if (locales === null) throw new TypeError("null is no locale");
  const list =
    typeof locales === "string" || locales instanceof Locale
      ? [locales]
      : [...(locales as Iterable<unknown>)];
  return list.map((locale) => {
    if (typeof locale !== "string" && (typeof locale !== "object" || locale === null))
      throw new TypeError("A locale is a string or an object");
    return `${locale}`;
  });
}

function toOptions(options: unknown): Options {
  if (options === undefined) return undefined;
  const copy: Record<string, unknown> = {};
  // options may be inherited
  for (const name in Object(options)) copy[name] = (options as Record<string, unknown>)[name];
  return copy;
}

/** An object of the host that is known by what it is made of. */
abstract class Service {
  readonly #name: string;
  readonly #locales: string[] | null;
  readonly #options: Options;
  readonly #resolved: Record<string, unknown>;

  constructor(name: string, locales?: unknown, options?: unknown) {
    this.#name = name;
    this.#locales = toLocales(locales);
    this.#options = toOptions(options);
    this.#resolved = this.use("resolvedOptions") as Record<string, unknown>;
  }
  protected use(method: string, ...args: unknown[]): unknown {
    return ask(
      `Intl.${this.#name}`,
      "use",
      this.#name,
      this.#locales,
      this.#options ?? null,
      method,
      ...args,
    );
  }
  resolvedOptions(): Record<string, unknown> {
    return { ...this.#resolved };
  }
}

const toTime = (date: unknown): number => {
  const time = date === undefined ? Date.now() : Number(date);
  if (!Number.isFinite(time)) throw new RangeError("Invalid time value");
  return time;
};
const toNumber = (value: unknown): unknown =>
  typeof value === "bigint" || typeof value === "string" ? value : Number(value);

class DateTimeFormat extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("DateTimeFormat", locales, options);
  }
  get format() {
    return (date?: unknown) => this.use("format", toTime(date)) as string;
  }
  formatToParts(date?: unknown): unknown {
    return this.use("formatToParts", toTime(date));
  }
  formatRange(from: unknown, to: unknown): unknown {
    return this.use("formatRange", toTime(from), toTime(to));
  }
  formatRangeToParts(from: unknown, to: unknown): unknown {
    return this.use("formatRangeToParts", toTime(from), toTime(to));
  }
}

class NumberFormat extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("NumberFormat", locales, options);
  }
  get format() {
    return (value?: unknown) => this.use("format", toNumber(value)) as string;
  }
  formatToParts(value?: unknown): unknown {
    return this.use("formatToParts", toNumber(value));
  }
  formatRange(from: unknown, to: unknown): unknown {
    return this.use("formatRange", toNumber(from), toNumber(to));
  }
  formatRangeToParts(from: unknown, to: unknown): unknown {
    return this.use("formatRangeToParts", toNumber(from), toNumber(to));
  }
}

class Collator extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("Collator", locales, options);
  }
  get compare() {
    return (a: unknown, b: unknown) => this.use("compare", `${a}`, `${b}`) as number;
  }
}

class PluralRules extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("PluralRules", locales, options);
  }
  select(value: unknown): unknown {
    return this.use("select", Number(value));
  }
  selectRange(from: unknown, to: unknown): unknown {
    return this.use("selectRange", Number(from), Number(to));
  }
}

class RelativeTimeFormat extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("RelativeTimeFormat", locales, options);
  }
  format(value: unknown, unit: unknown): unknown {
    return this.use("format", Number(value), `${unit}`);
  }
  formatToParts(value: unknown, unit: unknown): unknown {
    return this.use("formatToParts", Number(value), `${unit}`);
  }
}

class ListFormat extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("ListFormat", locales, options);
  }
  format(list: Iterable<string>): unknown {
    return this.use("format", [...list]);
  }
  formatToParts(list: Iterable<string>): unknown {
    return this.use("formatToParts", [...list]);
  }
}

class DisplayNames extends Service {
  constructor(locales: unknown, options: unknown) {
    super("DisplayNames", locales, options);
  }
  of(code: unknown): unknown {
    return this.use("of", `${code}`) ?? undefined;
  }
}

class DurationFormat extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("DurationFormat", locales, options);
  }
  format(duration: unknown): unknown {
    return this.use("format", toOptions(duration));
  }
  formatToParts(duration: unknown): unknown {
    return this.use("formatToParts", toOptions(duration));
  }
}

type Segment = [segment: string, index: number, isWordLike?: boolean];

class Segments {
  readonly #input: string;
  readonly #segments: Segment[];
  constructor(input: string, segments: Segment[]) {
    this.#input = input;
    this.#segments = segments;
  }
  containing(index = 0) {
    const found = this.#segments.find(([segment, start]) => index >= start && index < start + segment.length);
    return found && this.#data(found);
  }
  *[Symbol.iterator]() {
    for (const each of this.#segments) yield this.#data(each);
  }
  #data([segment, index, isWordLike]: Segment) {
    return { segment, index, input: this.#input, ...(typeof isWordLike === "boolean" ? { isWordLike } : {}) };
  }
}

class Segmenter extends Service {
  constructor(locales?: unknown, options?: unknown) {
    super("Segmenter", locales, options);
  }
  segment(input: unknown): Segments {
    const text = `${input}`;
    return new Segments(text, this.use("segment", text) as Segment[]);
  }
}

class Locale {
  readonly #fields: Record<string, unknown>;
  constructor(tag: unknown, options?: unknown) {
    if (typeof tag !== "string" && (typeof tag !== "object" || tag === null))
      throw new TypeError("A locale is made of a string or a locale");
    this.#fields = ask("Intl.Locale", "locale", `${tag}`, toOptions(options) ?? null) as Record<
      string,
      unknown
    >;
  }
  static {
    for (const name of localeGetters)
      Object.defineProperty(Locale.prototype, name, {
        get(this: Locale) {
          return this.#fields[name];
        },
        configurable: true,
      });
    for (const name of localeMethods)
      Object.defineProperty(Locale.prototype, name, {
        value(this: Locale) {
          return this.#fields[name];
        },
        writable: true,
        configurable: true,
      });
  }
  toString(): string {
    return this.#fields.tag as string;
  }
  maximize(): Locale {
    return new Locale(this.#fields.maximize);
  }
  minimize(): Locale {
    return new Locale(this.#fields.minimize);
  }
}

const services = {
  Collator,
  DateTimeFormat,
  DisplayNames,
  DurationFormat,
  ListFormat,
  NumberFormat,
  PluralRules,
  RelativeTimeFormat,
  Segmenter,
};
/** These make an object without `new` as well. */
const callable = new Set(["Collator", "DateTimeFormat", "NumberFormat"]);

const intl: Record<PropertyKey, unknown> = {
  getCanonicalLocales: (locales?: unknown) =>
    ask("Intl.getCanonicalLocales", "getCanonicalLocales", toLocales(locales) ?? []),
  supportedValuesOf: (key: unknown) => ask("Intl.supportedValuesOf", "supportedValuesOf", `${key}`),
  Locale,
};
for (const [name, Class] of Object.entries({ ...services, Locale })) {
  Object.defineProperty(Class, "name", { value: name, configurable: true });
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  if (name === "Locale") continue;
  Object.defineProperty(Class, "supportedLocalesOf", {
    value: (locales: unknown, options?: unknown) =>
      ask(`Intl.${name}`, "supportedLocalesOf", name, toLocales(locales) ?? [], toOptions(options) ?? null),
    writable: true,
    configurable: true,
  });
  intl[name] = callable.has(name)
    ? new Proxy(Class, { apply: (target, _self, args) => Reflect.construct(target, args) })
    : Class;
}
for (const name of Object.keys(intl)) Object.defineProperty(intl, name, { enumerable: false });
Object.defineProperty(intl, Symbol.toStringTag, { value: "Intl", configurable: true });

localize({ Collator, DateTimeFormat, NumberFormat, toLocales, ask });

export { intl as Intl };
