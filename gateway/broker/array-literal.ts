/** The text of an array's element, null, or a nested array. */
export type ArrayText = string | null | ArrayText[];

/**
 * Reads the text form of a Postgres array: `{1,NULL,"a \"b\"",{…}}`, with optional bounds `[0:1]={…}`.
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 *
 * Throws a SyntaxError for anything else.
 */
export function parseArrayLiteral(text: string): ArrayText[] {
  let at = text.startsWith("[") ? text.indexOf("=") + 1 : 0;
  const result = array();
  if (at !== text.length) throw malformed();
  return result;

  function array(): ArrayText[] {
    if (text[at++] !== "{") throw malformed();
    const elements: ArrayText[] = [];
    if (text[at] === "}") {
      at++;
      return elements;
    }
    for (;;) {
      elements.push(text[at] === "{" ? array() : text[at] === '"' ? quoted() : bare());
      const next = text[at++];
      if (next === "}") return elements;
      if (next !== ",") throw malformed();
    }
  }

  function quoted(): string {
    let value = "";
    for (at++; at < text.length; at++) {
      if (text[at] === '"') {
        at++;
        return value;
      }
      if (text[at] === "\\") at++;
      value += text[at];
    }
    throw malformed();
  }

  function bare(): string | null {
    const start = at;
    while (at < text.length && text[at] !== "," && text[at] !== "}") at++;
    const value = text.slice(start, at);
    return value === "NULL" ? null : value;
  }
}

const malformed = () => new SyntaxError("malformed array literal");
