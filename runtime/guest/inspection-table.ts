import { format } from "./inspection-format.ts";
import { widthOf } from "./inspection-layout.ts";
import { startInspection } from "./inspection-options.ts";
import { inspect } from "./inspection-values.ts";

const isPrimitive = (value: unknown): boolean =>
  value === null || (typeof value !== "object" && typeof value !== "function");

function cell(value: unknown): string {
  const isLarge = !isPrimitive(value) && !Array.isArray(value) && Object.keys(value as object).length > 2;
  return inspect(value, {
    maxArrayLength: 3,
    breakLength: Number.POSITIVE_INFINITY,
    depth: isLarge ? -1 : 0,
  });
}

/** What `console.table` draws: a row for each entry, a column for each property of the entries, or of those that are named. */
export function formatTable(data: unknown, properties?: readonly string[]): string {
  if (isPrimitive(data)) return format(data);
  if (data instanceof Map) {
    const entries = [...data];
    return draw([
      ["(iteration index)", entries.map((_, i) => `${i}`)],
      ["Key", entries.map(([key]) => cell(key))],
      ["Values", entries.map(([, value]) => cell(value))],
    ]);
  }
  if (data instanceof Set) {
    const values = [...data];
    return draw([
      ["(iteration index)", values.map((_, i) => `${i}`)],
      ["Values", values.map(cell)],
    ]);
  }
  const rows = Object.keys(data as object);
  const columns: Record<string, string[]> = Object.create(null);
  const alone: string[] = [];
  rows.forEach((row, i) => {
    const item = (data as Record<string, unknown>)[row] as Record<string, unknown>;
    if (isPrimitive(item)) alone[i] = cell(item);
    for (const key of properties ?? (isPrimitive(item) ? [] : Object.keys(item))) {
      columns[key] ??= [];
      columns[key][i] = isPrimitive(item) || !Object.hasOwn(item, key) ? "" : cell(item[key]);
    }
  });
  const values: [string, string[]][] = alone.length > 0 ? [["Values", alone]] : [];
  return draw([["(index)", rows], ...Object.entries(columns), ...values]);
}

function draw(columns: [head: string, cells: string[]][]): string {
  const heads = columns.map(([head]) => head);
  const lists = columns.map(([, cells]) => cells);
  const height = Math.max(...lists.map(({ length }) => length));
  const inspection = startInspection(undefined);
  const widths = heads.map((head, i) =>
    Math.max(...[head, ...lists[i]!].map((text) => widthOf(text ?? "", inspection))),
  );
  const line = (left: string, middle: string, right: string) =>
    left + widths.map((width) => "─".repeat(width + 2)).join(middle) + right;
  const row = (cells: (string | undefined)[]) =>
    `│ ${cells.map((text = "", i) => text + " ".repeat(widths[i]! - widthOf(text, inspection))).join(" │ ")} │`;
  const rows = Array.from({ length: height }, (_, i) => row(lists.map((list) => list[i])));
  return [line("┌", "┬", "┐"), row(heads), line("├", "┼", "┤"), ...rows, line("└", "┴", "┘")].join("\n");
}
