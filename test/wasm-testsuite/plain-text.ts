import { headOf, isList, type Node } from "./sexpr.ts";

/** A form as text again: strings as escapes, since parsers refuse some letters, and `(try (do …) (catch …))` without parentheses. */
export function plainText(node: Node): string {
  if (typeof node === "string") return node;
  if (node instanceof Uint8Array) return `"${Buffer.from(node).toString("hex").replace(/../g, "\\$&")}"`;
  return headOf(node) === "try" ? plainTry(node.items) : `(${textOf(node.items)})`;
}

const textOf = (nodes: Node[]) => nodes.map(plainText).join(" ");

function plainTry(items: Node[]): string {
  const last = headOf(items.at(-1));
  const parts = items.map((item) => {
    if (!isList(item)) return plainText(item);
    const head = headOf(item);
    if (head === "do") return textOf(item.items.slice(1));
    return /^(catch|catch_all|delegate)$/.test(head) ? textOf(item.items) : plainText(item);
  });
  return [...parts, last === "delegate" ? "" : "end"].join(" ");
}
