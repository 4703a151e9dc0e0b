import type { Inspection, Stylize } from "./inspection-options.ts";

/** What is never written as it is: control characters, the backslash and halves of surrogate pairs. */
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x1f\x5c\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const named: Record<string, string> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
  "\\": "\\\\",
};

/** Nothing in it needs an escape. */
const harmless = /^[ -[\]-~]*$/;

export const escaped = (text: string): string =>
  harmless.test(text)
    ? text
    : text.replace(hidden, (character) => {
        const code = character.charCodeAt(0);
        const short = named[character];
        if (short !== undefined) return short;
        return code < 256
          ? `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`
          : `\\u${code.toString(16)}`;
      });

/** In the quotation marks that need the fewest escapes. */
export function quote(text: string): string {
  const shown = escaped(text);
  if (!text.includes("'")) return `'${shown}'`;
  if (!text.includes('"')) return `"${shown}"`;
  if (!text.includes("`") && !text.includes("${")) return `\`${shown}\``;
  return `'${shown.replaceAll("'", "\\'")}'`;
}

const thousands = (digits: string): string => digits.replace(/\B(?=(?:\d{3})+$)/g, "_");

export function formatNumber(stylize: Stylize, number: number, separated: boolean): string {
  let text = Object.is(number, -0) ? "-0" : `${number}`;
  if (separated && Number.isFinite(number) && !text.includes("e")) {
    const [whole, fraction] = text.split(".") as [string, string?];
    text = thousands(whole);
    if (fraction !== undefined) text += `.${fraction.replace(/\d{3}(?=\d)/g, "$&_")}`;
  }
  return stylize(text, "number");
}

export const formatBigInt = (stylize: Stylize, value: bigint, separated: boolean): string =>
  stylize(`${separated ? thousands(`${value}`) : value}n`, "bigint");

/** Shorter strings stay on one line. */
const minLineLength = 16;

export function formatPrimitive(
  inspection: Inspection,
  value: unknown,
  stylize = inspection.stylize,
): string {
  switch (typeof value) {
    case "string":
      return formatString(inspection, value, stylize);
    case "number":
      return formatNumber(stylize, value, inspection.numericSeparator);
    case "bigint":
      return formatBigInt(stylize, value, inspection.numericSeparator);
    case "symbol":
      return stylize(Symbol.prototype.toString.call(value), "symbol");
    default:
      return stylize(`${value}`, value === null ? "null" : typeof value);
  }
}

function formatString(inspection: Inspection, value: string, stylize: Stylize): string {
  const { maxStringLength, compact, breakLength, indentation } = inspection;
  const text = value.slice(0, Math.min(maxStringLength, value.length));
  const left = value.length - text.length;
  const trailer = left > 0 ? `... ${left} more character${left > 1 ? "s" : ""}` : "";
  const lines =
    compact !== true && text.length > minLineLength && text.length > breakLength - indentation - 4
      ? text.split(/(?<=\n)/)
      : [text];
  const shown = lines.map((line) => stylize(quote(line), "string"));
  return shown.join(` +\n${" ".repeat(indentation + 2)}`) + trailer;
}

/** Items that were left out. */
export const more = (count: number): string => `... ${count} more item${count > 1 ? "s" : ""}`;
