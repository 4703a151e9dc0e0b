/** Shorter values would blot out ordinary text. */
const SHORTEST = 6;
const MASK = "***";

/** Takes the values of secrets out of text, also as JSON and URLs write them. */
export type Mask = (text: string) => string;

/** A mask for these values; values of less than 6 characters are not looked for. */
export function maskOf(values: Iterable<string>): Mask {
  const forms = new Set<string>();
  for (const value of values) {
    if (value.length < SHORTEST) continue;
    forms.add(value);
    forms.add(JSON.stringify(value).slice(1, -1));
    forms.add(encodeURIComponent(value.toWellFormed()));
  }
  if (forms.size === 0) return (text) => text;
  // The longest first: of two values one may begin with the other.
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((form) => RegExp.escape(form)).join("|"), "g");
  return (text) => text.replace(pattern, MASK);
}
