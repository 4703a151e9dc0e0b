/** The figures of one topic. */
export interface Table {
  title: string;
  columns: Column[];
  rows: Row[];
  /** What a reader has to know, one line each. */
  notes: string[];
}

export interface Column {
  key: string;
  label: string;
  /** Digits after the point. */
  digits?: number;
}

export type Row = { name: string } & Record<string, string | number | null>;

/** The table as Markdown, aligned for people who read it in a terminal. */
export function formatTable({ title, columns, rows, notes }: Table): string {
  const head = ["", ...columns.map(({ label }) => label)];
  const body = rows.map((row) => [
    row.name,
    ...columns.map(({ key, digits = 0 }) => formatCell(row[key], digits)),
  ]);
  const widths = head.map((_, i) => Math.max(3, ...[head, ...body].map((line) => line[i]!.length)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [`\n${title}\n`, line(head), rule, ...body.map(line), "", ...notes.map((note) => `- ${note}`)].join(
    "\n",
  );
}

function formatCell(value: string | number | null | undefined, digits: number): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
