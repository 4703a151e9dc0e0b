import { isBuiltIn } from "./inspection-names.ts";
import { defaultOptions, type InspectOptions, plain } from "./inspection-options.ts";
import { formatBigInt, formatNumber } from "./inspection-text.ts";
import { inspect } from "./inspection-values.ts";

/** A line of text from values, by the directives of the first: https://console.spec.whatwg.org/#formatter, as Node has them. */
export function formatWithOptions(options: InspectOptions | undefined, ...values: unknown[]): string {
  const show = (value: unknown) => (typeof value === "string" ? value : inspect(value, options));
  const [template] = values;
  if (typeof template !== "string" || values.length === 1) return values.map(show).join(" ");
  let used = 1;
  const text = template.replace(/%[sdifjoOc%]/g, (mark) => {
    if (mark === "%%") return "%";
    return used < values.length ? directive(mark, values[used++], options) : mark;
  });
  return [text, ...values.slice(used).map(show)].join(" ");
}

export const format = (...values: unknown[]): string => formatWithOptions(undefined, ...values);

function directive(mark: string, value: unknown, options: InspectOptions | undefined): string {
  switch (mark) {
    case "%s":
      if (typeof value === "number" || typeof value === "bigint") return asNumber(value, options);
      if (typeof value !== "object" || value === null || !hasBuiltInToString(value)) return String(value);
      return inspect(value, { ...options, compact: 3, colors: false, depth: 0 });
    case "%d":
      return asNumber(typeof value === "bigint" ? value : Number(numeric(value)), options);
    case "%i":
      return asNumber(typeof value === "bigint" ? value : Number.parseInt(numeric(value), 10), options);
    case "%f":
      return asNumber(Number.parseFloat(numeric(value)), options, false);
    case "%j":
      return asJson(value);
    case "%o":
      return inspect(value, { ...options, showHidden: true, showProxy: true, depth: 4 });
    case "%O":
      return inspect(value, options);
    default:
      return "";
  }
}

const numeric = (value: unknown): string => (typeof value === "symbol" ? "NaN" : (value as string));

function asNumber(value: number | bigint, options: InspectOptions | undefined, always?: boolean): string {
  const separated = always ?? options?.numericSeparator ?? defaultOptions.numericSeparator;
  return typeof value === "bigint"
    ? formatBigInt(plain, value, separated)
    : formatNumber(plain, value, separated);
}

function asJson(value: unknown): string {
  try {
    return `${JSON.stringify(value)}`;
  } catch (error) {
    if (error instanceof TypeError && /circular/i.test(error.message)) return "[Circular]";
    throw error;
  }
}

/** Whether `String(value)` would say no more than its class. */
function hasBuiltInToString(value: object): boolean {
  const names = (["toString", Symbol.toPrimitive] as const).filter(
    (name) => typeof (value as Record<PropertyKey, unknown>)[name] === "function",
  );
  if (names.length === 0) return true;
  for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const holder = at;
    if (!names.some((name) => Object.hasOwn(holder, name))) continue;
    if (at === value) return false;
    const made = Object.getOwnPropertyDescriptor(at, "constructor")?.value as { name: string } | undefined;
    return typeof made === "function" && isBuiltIn(made.name);
  }
  return true;
}
