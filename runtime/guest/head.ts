import { type HeaderList, HeadLine } from "../protocol.ts";
import type { BodyState } from "./body.ts";
import { apply } from "./primordials.ts";

/**
 * The invocation's request as it came: what Context and Request show. One object for both, with as few properties as possible, since it is
 * made for each request: a property costs as much as three of the engine's instructions.
 */
export interface Incoming extends BodyState {
  text: string;
  /** The head's lines, told apart when one of them is first asked for. */
  lines: string[] | null;
}

const { split } = String.prototype;
const separator = ["\n"];

export function headLine(head: Incoming, line: number): string {
  head.lines ??= apply(split as (separator: string) => string[], head.text, separator) as string[];
  return head.lines[line]!;
}

export function headHeaders(head: Incoming): HeaderList {
  headLine(head, HeadLine.headers);
  const lines = head.lines!;
  const list: HeaderList = [];
  for (let i: number = HeadLine.headers; i < lines.length; i += 2)
    list[list.length] = [lines[i]!, lines[i + 1]!];
  return list;
}
