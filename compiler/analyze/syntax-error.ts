import type { Finding } from "../types.ts";
import { RULES } from "./rules.ts";
import type { SourceText } from "./source-text.ts";

/**
 * swc says where a syntax error is only in the drawing of its message: line numbers in the gutter, a caret below the column as a
 * terminal displays it. Widths of characters are guesswork, so the source is parsed once more with a letter for each UTF-16
 * code unit that is not one cell wide, and the caret of that counts. `parse` throws what swc throws; the first line of what it is
 * given has one column more than the file.
 */
export function syntaxErrorFinding(
  parse: (source: string) => unknown,
  source: string,
  error: unknown,
  text: SourceText,
): Finding {
  const lines = drawingOf(error);
  const shown = findCaret(lines) ?? { line: lastLine(lines), column: 1 };
  const plain = plainSource(source);
  const exact = plain === source ? shown : (caretOf(parse, plain) ?? shown);
  const { line, column } = exact.line === shown.line ? exact : shown;
  const message = lines[0]!.replace(/^\s*(?:x|×)\s*/, "").trim();
  // Of a source that ends too early, swc draws the line that was begun last.
  const place = message.endsWith("got '<eof>'")
    ? text.positionAt(Buffer.byteLength(text.text.trimEnd()))
    : { file: text.file, line, column: Math.max(1, line === 1 ? column - 1 : column) };
  const { hint } = RULES["syntax-error"];
  return {
    ...place,
    rule: "syntax-error",
    severity: "error",
    message,
    hint,
    sourceLine: text.line(place.line),
  };
}

function caretOf(
  parse: (source: string) => unknown,
  source: string,
): { line: number; column: number } | undefined {
  try {
    parse(source);
  } catch (error) {
    return findCaret(drawingOf(error));
  }
  return undefined;
}

const drawingOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split(/\n\nCaused by:/)[0]!.split("\n");

/** White space for white space, letters for everything else; ASCII and line ends stay. */
function plainSource(source: string): string {
  return source.replace(/[^\n\r\x20-\x7e]/g, (unit) => (/\s/.test(unit) ? " " : "a"));
}

function findCaret(lines: string[]): { line: number; column: number } | undefined {
  let number = 0;
  for (const drawn of lines) {
    const source = /^\s*(\d+) [|│]/.exec(drawn);
    if (source) {
      number = Number(source[1]);
      continue;
    }
    const marker = /^\s*[:·] ([^^]*)\^/.exec(drawn);
    if (marker && number > 0) return { line: number, column: marker[1]!.length + 1 };
  }
  return undefined;
}

function lastLine(lines: string[]): number {
  const numbers = lines.map((line) => Number(/^\s*(\d+) [|│]/.exec(line)?.[1] ?? 0));
  return Math.max(1, ...numbers.slice(0, 1000));
}
