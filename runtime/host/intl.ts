import { GuestMessageError } from "../guest-message.ts";
import { localeGetters, localeMethods } from "../locale-fields.ts";

/**
 * The host's own `Intl`, complete in languages, for guests whose engine has none. Locale and time zone that are not given are en-US and UTC,
 * wherever the host stands.
 */
const classes = {
  Collator: Intl.Collator,
  DateTimeFormat: Intl.DateTimeFormat,
  DisplayNames: Intl.DisplayNames,
  DurationFormat: (Intl as unknown as { DurationFormat?: new (...args: unknown[]) => object }).DurationFormat,
  ListFormat: Intl.ListFormat,
  Locale: Intl.Locale,
  NumberFormat: Intl.NumberFormat,
  PluralRules: Intl.PluralRules,
  RelativeTimeFormat: Intl.RelativeTimeFormat,
  Segmenter: Intl.Segmenter,
} as unknown as Record<
  string,
  (new (...args: unknown[]) => Record<string, (...args: unknown[]) => unknown>) | undefined
>;

const methods = new Set([
  "compare",
  "format",
  "formatRange",
  "formatRangeToParts",
  "formatToParts",
  "of",
  "resolvedOptions",
  "segment",
  "select",
  "selectRange",
]);

/** Objects that are kept: making one takes much longer than using it. */
const maxKept = 256;
const kept = new Map<string, Record<string, (...args: unknown[]) => unknown>>();

/** Characters of a text that is segmented, digits of a bigint: both happen on the thread that serves requests. */
const maxSegmentedLength = 32 * 1024;
const maxDigits = 4096;
/** Characters of locales and options, or of a code that is to be named: a locale takes the host ten microseconds and more. */
const maxTagsLength = 4096;

const encoder = new TextEncoder();

/**
 * `["use", class, locales, options, method, ...arguments]`, `["supportedLocalesOf", class, locales, options]`, `["getCanonicalLocales", locales]`,
 * `["supportedValuesOf", key]`, `["case", "upper" | "lower", text, locales]`, `["locale", tag, options]`. The result is JSON; dates are numbers, and bigints
 * `{ $bigint }`.
 */
export function callIntl([step, ...args]: unknown[]): Uint8Array {
  return encoder.encode(JSON.stringify(run(String(step), args)) ?? "null");
}

function run(step: string, args: unknown[]): unknown {
  const [first, second, third, method, ...values] = args;
  switch (step) {
    case "use":
      checkTags([second, third, first === "DisplayNames" ? values : null]);
      return use(instance(String(first), second, third), String(method), values.map(decode));
    case "supportedLocalesOf": {
      checkTags([second, third]);
      const Class = classOf(String(first)) as unknown as { supportedLocalesOf(...args: unknown[]): unknown };
      return Class.supportedLocalesOf(second ?? undefined, third ?? undefined);
    }
    case "getCanonicalLocales":
      checkTags(first);
      return Intl.getCanonicalLocales(first as string[]);
    case "supportedValuesOf":
      return Intl.supportedValuesOf(String(first) as "calendar");
    case "case": {
      checkTags(third);
      const text = String(second);
      const locales = (third ?? undefined) as string[] | undefined;
      return first === "upper"
        ? text.toLocaleUpperCase(locales ?? "en-US")
        : text.toLocaleLowerCase(locales ?? "en-US");
    }
    case "locale":
      checkTags([first, second]);
      return localeFields(new Intl.Locale(String(first), (second ?? undefined) as object));
    default:
      throw new GuestMessageError("call");
  }
}

function checkTags(tags: unknown): void {
  if ((JSON.stringify(tags) ?? "").length > maxTagsLength)
    throw new RangeError(`locales and options of more than ${maxTagsLength} characters can't be used`);
}

function classOf(name: string) {
  const Class = Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (!Class) throw new TypeError(`Intl.${name} is not supported by the host`);
  return Class;
}

function instance(name: string, locales: unknown, options: unknown) {
  const key = JSON.stringify([name, locales, options]);
  const known = kept.get(key);
  if (known) {
    kept.delete(key);
    kept.set(key, known);
    return known;
  }
  const given = (options ?? {}) as Record<string, unknown>;
  const withDefaults = name === "DateTimeFormat" ? { timeZone: "UTC", ...given } : given;
  const none = locales === null || locales === undefined || (Array.isArray(locales) && locales.length === 0);
  const made = new (classOf(name))(none ? "en-US" : locales, withDefaults);
  kept.set(key, made);
  if (kept.size > maxKept) kept.delete(kept.keys().next().value!);
  return made;
}

function use(
  object: Record<string, (...args: unknown[]) => unknown>,
  method: string,
  args: unknown[],
): unknown {
  if (!methods.has(method)) throw new GuestMessageError("call");
  if (typeof object[method] !== "function") throw new TypeError(`${method} is not supported by the host`);
  if (method === "segment" && String(args[0]).length > maxSegmentedLength)
    throw new RangeError(`a text of more than ${maxSegmentedLength} characters can't be segmented at once`);
  if (method === "segment")
    return [...(object.segment!(...args) as Iterable<Intl.SegmentData>)].map(
      ({ segment, index, isWordLike }) => [segment, index, isWordLike],
    );
  return object[method]!(...args);
}

function decode(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { $bigint, $number } = value as { $bigint?: string; $number?: string };
  if (typeof $bigint === "string") {
    if ($bigint.length > maxDigits)
      throw new RangeError(`a bigint of more than ${maxDigits} digits can't be formatted`);
    return BigInt($bigint);
  }
  if (typeof $number === "string") return Number($number);
  return value;
}

function localeFields(locale: Intl.Locale): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    tag: locale.toString(),
    maximize: locale.maximize().toString(),
    minimize: locale.minimize().toString(),
  };
  const source = locale as unknown as Record<string, unknown>;
  for (const name of localeGetters) fields[name] = source[name];
  for (const name of localeMethods) {
    const get = source[name];
    if (typeof get === "function") fields[name] = get.call(locale);
  }
  return fields;
}
