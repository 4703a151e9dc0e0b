import { styleText } from "node:util";
import type { Finding } from "./types.ts";

/** Columns of a source line that a frame shows; a minified line is cut around the finding. */
const FRAME_WIDTH = 120;

export interface CodeFrameOptions {
  /** ANSI colours. Default false. */
  color?: boolean;
}

/**
 * Findings as text for a terminal: rule, `file:line:column`, the source line with a caret below, the hint. The function's own come first,
 * errors before warnings, and what the source allows at the end; of packages there is one entry for all places that say the same. The order is kept otherwise. Empty
 * string for no findings.
 */
export function formatFindings(
  findings: readonly Finding[],
  { color = false }: CodeFrameOptions = {},
): string {
  const paint: Paint = (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
  const own = findings.filter((finding) => finding.package === undefined);
  const errors = own.filter((finding) => finding.severity === "error");
  const warnings = own.filter((finding) => finding.severity === "warning");
  const allowed = own.filter((finding) => finding.severity === "allowed");
  const ofPackages = Map.groupBy(
    findings.filter((finding) => finding.package !== undefined),
    (finding) => [finding.package, finding.rule, finding.message].join("\0"),
  );
  return [
    ...[...errors, ...warnings, ...allowed].map((finding) => formatFinding(finding, paint)),
    ...[...ofPackages.values()].map((same) => formatPackage(same, paint)),
  ].join("\n");
}

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string;

const headOf = ({ severity, rule }: Finding, paint: Paint) => paint(TONES[severity], `${severity}[${rule}]`);

const TONES = { error: "red", warning: "yellow", allowed: "dim" } as const;

const placeOf = ({ file, line, column }: Finding, paint: Paint) =>
  paint("cyan", `${printable(file)}:${line}:${column}`);

function formatFinding(finding: Finding, paint: Paint): string {
  const gutter = String(finding.line);
  const blank = " ".repeat(gutter.length);
  const { text, caret } = cut(finding.sourceLine, finding.column - 1);
  const tone = TONES[finding.severity];
  return `${[
    `${headOf(finding, paint)}: ${printable(finding.message)}`,
    `${blank}--> ${placeOf(finding, paint)}`,
    ...(finding.column - 1 > finding.sourceLine.length || finding.sourceLine === ""
      ? []
      : [`${blank} |`, `${gutter} | ${text}`, `${blank} | ${caret}${paint(tone, "^")}`]),
    finding.severity === "allowed"
      ? `${blank} = reason: ${printable(finding.reason ?? "")}`
      : `${blank} = hint: ${finding.hint}`,
  ].join("\n")}\n`;
}

function formatPackage([first, ...others]: Finding[], paint: Paint): string {
  const finding = first!;
  const more = others.length === 0 ? "" : `, and ${others.length} more`;
  return `${[
    `${headOf(finding, paint)} in package ${printable(finding.package!)}: ${printable(finding.message)}`,
    ` --> ${placeOf(finding, paint)}${more}`,
    `  = hint: ${finding.hint}`,
  ].join("\n")}\n`;
}

/** The part of the line around `index`, and the blanks that bring a caret below it (tabs stay tabs). */
function cut(line: string, index: number): { text: string; caret: string } {
  const start =
    line.length <= FRAME_WIDTH ? 0 : Math.max(0, Math.min(index - FRAME_WIDTH / 2, line.length - 1));
  const head = start > 0 ? "…" : "";
  const text = head + line.slice(start, start + FRAME_WIDTH) + (start + FRAME_WIDTH < line.length ? "…" : "");
  const before = head + line.slice(start, index);
  return { text: printable(text), caret: Array.from(before, blankFor).join("") };
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/;

function blankFor(character: string): string {
  if (character === "\t") return "\t";
  if (/[\p{Mark}\u200d]/u.test(character)) return "";
  return WIDE.test(character) || /\p{Emoji_Presentation}/u.test(character) ? "  " : " ";
}

/** Sources are untrusted: no escape sequence of theirs may reach the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
