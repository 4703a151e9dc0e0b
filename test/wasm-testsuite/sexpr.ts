/** A parenthesised form of a script, with its place in the text. */
export interface List {
  start: number;
  end: number;
  items: Node[];
}

/** A keyword, number or `$name`; the bytes of a string; or a form. */
export type Node = string | Uint8Array | List;

export function isList(node: Node | undefined): node is List {
  return typeof node === "object" && "items" in node;
}

/** The first word of a form. */
export function headOf(node: Node | undefined): string {
  const head = isList(node) ? node.items[0] : undefined;
  return typeof head === "string" ? head : "";
}

const token = /\s+|;;[^\n\r]*|\(;|[()]|"(?:[^"\\]|\\.)*"|[^\s()";]+|./sy;
const commentPart = /\(;|;\)/g;

/** The forms of a script, without annotations. What is inside a module is split as well, but nobody has to look at it. */
export function splitScript(text: string): Node[] {
  const top: Node[] = [];
  const open: List[] = [];
  let items = top;
  for (let at = 0; at < text.length; ) {
    token.lastIndex = at;
    const part = token.exec(text)![0];
    const start = at;
    at += part.length;
    if (part === "(;") at = commentEnd(text, at);
    else if (part === "(") {
      const list: List = { start, end: start, items: [] };
      items.push(list);
      open.push(list);
      items = list.items;
    } else if (part === ")") {
      const closed = open.pop();
      if (closed === undefined) throw new Error(`a parenthesis too many at ${start}`);
      closed.end = at;
      items = open.at(-1)?.items ?? top;
      if (headOf(closed).startsWith("@")) items.pop();
    } else if (part.startsWith('"')) items.push(stringBytes(part.slice(1, -1)));
    else if (part.trim() !== "" && !part.startsWith(";;")) items.push(part);
  }
  if (open.length > 0) throw new Error(`a form without an end at ${open[0]!.start}`);
  return top;
}

function commentEnd(text: string, from: number): number {
  commentPart.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const part = commentPart.exec(text)?.[0];
    if (part === undefined) throw new Error(`a comment without an end at ${from}`);
    depth += part === "(;" ? 1 : -1;
  }
  return commentPart.lastIndex;
}

const escapes: Record<string, string> = { t: "\t", n: "\n", r: "\r" };

function stringBytes(body: string): Uint8Array {
  const parts: Buffer[] = [];
  const piece = /\\u\{([0-9a-fA-F_]+)\}|\\([0-9a-fA-F]{2})|\\(.)|[^\\]+/gs;
  for (const [whole, codePoint, byte, escaped] of body.matchAll(piece)) {
    if (codePoint !== undefined)
      parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(codePoint.replaceAll("_", ""), 16))));
    else if (byte !== undefined) parts.push(Buffer.from([Number.parseInt(byte, 16)]));
    else parts.push(Buffer.from(escaped === undefined ? whole : (escapes[escaped] ?? escaped)));
  }
  return new Uint8Array(Buffer.concat(parts));
}
