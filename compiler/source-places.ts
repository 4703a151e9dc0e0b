/** A place in a source file, counted from 0. */
export interface SourcePlace {
  source: number;
  line: number;
  column: number;
}

const DIGITS = new Int8Array(128).fill(-1);
for (const [value, digit] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries())
  DIGITS[digit.charCodeAt(0)] = value;

const COMMA = 44;
const SEMICOLON = 59;

/**
 * Where places of generated code come from, by the `mappings` of a source map (ECMA-426): the last segment at or before each, on its line or one
 * above. They are read once, without keeping them: a map of a megabyte of code has half a million, and few places are asked for.
 *
 * @param wanted lines and columns in the generated code, counted from 0, in any order
 * @returns one for each that is wanted; undefined where the map says nothing, or is broken
 */
export function originalPlaces(
  mappings: string,
  wanted: readonly { line: number; column: number }[],
): (SourcePlace | undefined)[] {
  const found: (SourcePlace | undefined)[] = wanted.map(() => undefined);
  const byLine = Map.groupBy(wanted.keys(), (index) => wanted[index]!.line);
  const lastLine = Math.max(-1, ...byLine.keys());
  let at = 0;
  let source = 0;
  let sourceLine = 0;
  let sourceColumn = 0;
  let place: SourcePlace | undefined;

  /** A number in base 64 VLQ; NaN for what is none. */
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 5) {
      const digit = DIGITS[mappings.charCodeAt(at)] ?? -1;
      if (digit < 0) return Number.NaN;
      at++;
      value |= (digit & 31) << shift;
      if (digit < 32) return value & 1 ? -(value >>> 1) : value >>> 1;
    }
    return Number.NaN;
  };
  const atSegmentEnd = () => {
    const code = mappings.charCodeAt(at);
    return code === COMMA || code === SEMICOLON || at >= mappings.length;
  };

  for (let line = 0; line <= lastLine; line++) {
    const here = byLine.get(line);
    for (const index of here ?? []) found[index] = place;
    let column = 0;
    while (at < mappings.length && mappings.charCodeAt(at) !== SEMICOLON) {
      if (mappings.charCodeAt(at) === COMMA) {
        at++;
        continue;
      }
      column += number();
      const isMapped = !atSegmentEnd();
      if (isMapped) {
        source += number();
        sourceLine += number();
        sourceColumn += number();
        if (!atSegmentEnd()) number();
      }
      if (Number.isNaN(column + source + sourceLine + sourceColumn) || !atSegmentEnd()) return found;
      place = isMapped ? { source, line: sourceLine, column: sourceColumn } : undefined;
      for (const index of here ?? []) if (wanted[index]!.column >= column) found[index] = place;
    }
    at++;
  }
  return found;
}
