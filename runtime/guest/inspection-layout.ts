import { type Inspection, withoutColors } from "./inspection-options.ts";

/** What braces hold: properties, or entries of an array with properties. */
export type Content = "object" | "array";

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const withoutWidth = /\p{Mn}|\p{Me}|\p{Cf}/u;

/** Columns that a text takes on a terminal. */
function columnsOf(text: string, colors: boolean): number {
  const shown = colors ? withoutColors(text) : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the printable characters of ASCII
  if (/^[\x00-\x7e]*$/.test(shown)) return shown.length;
  let columns = 0;
  for (const character of shown.normalize("NFC"))
    columns += wide.test(character) ? 2 : withoutWidth.test(character) ? 0 : 1;
  return columns;
}

/** Puts many short entries of an array side by side, in columns: as Node does, towards a square. */
function inColumns(inspection: Inspection, output: string[], value: unknown): string[] {
  const { maxArrayLength, breakLength, indentation, compact, colors } = inspection;
  const hasTrailer = maxArrayLength < output.length;
  const entries = hasTrailer ? output.slice(0, -1) : output;
  const separator = 2;
  const widths = entries.map((entry) => columnsOf(entry, colors));
  const total = widths.reduce((sum, width) => sum + width + separator, 0);
  const longest = Math.max(...widths);
  const widest = longest + separator;
  if (widest * 3 + indentation >= breakLength || (total / widest <= 5 && longest > 6)) return output;

  const bias = Math.sqrt(widest - total / output.length);
  const biased = Math.max(widest - 3 - bias, 1);
  const columns = Math.min(
    Math.round(Math.sqrt(2.5 * biased * entries.length) / biased),
    Math.floor((breakLength - indentation) / widest),
    (compact as number) * 4,
    15,
  );
  if (columns <= 1) return output;
  const columnWidths = Array.from({ length: columns }, (_, column) =>
    Math.max(0, ...widths.filter((_width, i) => i % columns === column)),
  );
  const list = value as ArrayLike<unknown> | undefined;
  const numeric =
    list !== undefined && output.every((_, i) => typeof list[i] === "number" || typeof list[i] === "bigint");
  const rows: string[] = [];
  for (let from = 0; from < entries.length; from += columns) {
    const row = entries.slice(from, from + columns);
    const cells = row.map((entry, i) => {
      const isLast = i === row.length - 1;
      const text = isLast ? entry : `${entry}, `;
      const missing = columnWidths[i]! - widths[from + i]!;
      if (numeric) return " ".repeat(missing) + text;
      return isLast ? text : text + " ".repeat(missing);
    });
    rows.push(cells.join(""));
  }
  return hasTrailer ? [...rows, output.at(-1)!] : rows;
}

function fits({ breakLength, colors }: Inspection, output: string[], start: number, base: string): boolean {
  if (base.includes("\n")) return false;
  if (breakLength === Number.POSITIVE_INFINITY) return !output.some((entry) => entry.includes("\n"));
  let total = output.length + start;
  if (total + output.length > breakLength) return false;
  for (const entry of output) total += colors ? withoutColors(entry).length : entry.length;
  return total <= breakLength;
}

/** Entries between braces: on one line, in columns, or on a line each. */
export function wrap(
  inspection: Inspection,
  given: string[],
  base: string,
  [open, close]: readonly [string, string],
  content: Content,
  level: number,
  value?: unknown,
): string {
  const { compact, indentation, currentDepth } = inspection;
  const line = `\n${" ".repeat(indentation)}`;
  if (compact === true) {
    if (fits(inspection, given, 0, base))
      return `${open}${base ? ` ${base}` : ""} ${given.join(", ")} ${close}`;
    // after a long opening the first entry would not stand below the others
    const gap = base === "" && open.length === 1 ? " " : `${base ? ` ${base}` : ""}${line}  `;
    return `${open}${gap}${given.join(`,${line}  `)} ${close}`;
  }
  const head = base ? `${base} ` : "";
  let output = given;
  if (typeof compact === "number" && compact >= 1) {
    if (content === "array" && given.length > 6) output = inColumns(inspection, given, value);
    if (currentDepth - level < compact && output.length === given.length) {
      const start = output.length + indentation + open.length + base.length + 10;
      const joined = output.join(", ");
      if (fits(inspection, output, start, base) && !joined.includes("\n"))
        return `${head}${open} ${joined} ${close}`;
    }
  }
  return `${head}${open}${line}  ${output.join(`,${line}  `)}${line}${close}`;
}

/** The columns of a text, for what decides on a line break. */
export const widthOf = (text: string, { colors }: Inspection): number => columnsOf(text, colors);
