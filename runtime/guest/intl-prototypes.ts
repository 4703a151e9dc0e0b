type Formatter = { format(value: unknown): string };

interface Tools {
  Collator: new (locales: unknown, options: unknown) => { compare(a: string, b: string): number };
  DateTimeFormat: new (locales: unknown, options: unknown) => Formatter;
  NumberFormat: new (locales: unknown, options: unknown) => Formatter;
  toLocales: (locales: unknown) => string[] | null;
  ask: (what: string, ...call: unknown[]) => unknown;
}

const dateFields = ["weekday", "year", "month", "day", "dateStyle"];
const timeFields = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits", "timeStyle"];
const numeric = {
  date: { year: "numeric", month: "numeric", day: "numeric" },
  time: { hour: "numeric", minute: "numeric", second: "numeric" },
};

/** What `toLocaleString` and its like show when the options name nothing of it (ECMA-402, ToDateTimeOptions). */
function withDefaults(
  options: unknown,
  required: "date" | "time" | "any",
  defaults: "date" | "time" | "all",
): unknown {
  const given = { ...(options as Record<string, unknown> | undefined) };
  const fields = [...(required !== "time" ? dateFields : []), ...(required !== "date" ? timeFields : [])];
  if (fields.some((name) => given[name] !== undefined)) return given;
  return {
    ...given,
    ...(defaults !== "time" ? numeric.date : {}),
    ...(defaults !== "date" ? numeric.time : {}),
  };
}

function textOf(value: unknown): string {
  if (value === null || value === undefined)
    throw new TypeError("Cannot convert undefined or null to object");
  return `${value as string}`;
}

const plain = /^[0-9A-Za-z]*$/;

/** The order of ICU's root collation for letters and digits of ASCII: by letter, then lower case first. */
function comparePlain(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  if (x !== y) return x < y ? -1 : 1;
  if (a === b) return 0;
  let i = 0;
  while (a[i] === b[i]) i++;
  return a[i]! > b[i]! ? -1 : 1;
}

/** Gives the prototypes of the language the methods of ECMA-402. */
export function localize({ Collator, DateTimeFormat, NumberFormat, toLocales, ask }: Tools): void {
  const define = (prototype: object, name: string, value: (this: never, ...args: never[]) => unknown) => {
    const { length } = (prototype as Record<string, { length: number }>)[name]!;
    Object.defineProperty(value, "name", { value: name, configurable: true });
    Object.defineProperty(value, "length", { value: length, configurable: true });
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  };
  // making one asks the host; sorting compares often
  const kept = new Map<string, Formatter | { compare(a: string, b: string): number }>();
  const keep = <T extends Formatter | { compare(a: string, b: string): number }>(
    Class: new (locales: unknown, options: unknown) => T,
    locales: unknown,
    options: unknown,
  ): T => {
    const key = JSON.stringify([Class.name, toLocales(locales), options]);
    const known = kept.get(key) as T | undefined;
    if (known) return known;
    const made = new Class(locales, options);
    if (kept.size < 64) kept.set(key, made);
    return made;
  };
  const formatNumber = function (this: number | bigint, locales?: unknown, options?: unknown): string {
    return keep(NumberFormat, locales, options).format(this.valueOf());
  };
  define(Number.prototype, "toLocaleString", formatNumber as never);
  define(BigInt.prototype, "toLocaleString", formatNumber as never);
  const dates = [
    ["toLocaleString", "any", "all"],
    ["toLocaleDateString", "date", "date"],
    ["toLocaleTimeString", "time", "time"],
  ] as const;
  for (const [name, required, defaults] of dates) {
    define(Date.prototype, name, function (this: Date, locales?: unknown, options?: unknown) {
      if (Number.isNaN(this.getTime())) return "Invalid Date";
      return keep(DateTimeFormat, locales, withDefaults(options, required, defaults)).format(this);
    } as never);
  }
  define(String.prototype, "localeCompare", function (
    this: string,
    other: unknown,
    locales?: unknown,
    options?: unknown,
  ) {
    const [a, b] = [textOf(this), `${other}`];
    if (locales === undefined && options === undefined && plain.test(a) && plain.test(b))
      return comparePlain(a, b);
    return keep(Collator, locales, options).compare(a, b);
  } as never);
  for (const direction of ["Upper", "Lower"] as const) {
    define(String.prototype, `toLocale${direction}Case`, function (this: string, locales?: unknown) {
      const text = textOf(this);
      if (locales === undefined) return direction === "Upper" ? text.toUpperCase() : text.toLowerCase();
      return ask(`toLocale${direction}Case`, "case", direction.toLowerCase(), text, toLocales(locales));
    } as never);
  }
}
