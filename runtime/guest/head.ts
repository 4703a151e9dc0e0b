import { type HeaderList, HeadLine } from "../protocol.ts";
import { apply } from "./primordials.ts";

/** The head of a request as it came; its lines are told apart when one of them is first asked for. A plain object: it is made for each request. */
export interface Head {
  text: string;
  lines: string[] | null;
}

const { split } = String.prototype;

export function headLine(head: Head, line: number): string {
  head.lines ??= apply(split as (separator: string) => string[], head.text, ["\n"]) as string[];
  return head.lines[line]!;
}

export function headHeaders(head: Head): HeaderList {
  headLine(head, HeadLine.headers);
  const lines = head.lines!;
  const list: HeaderList = [];
  for (let i: number = HeadLine.headers; i < lines.length; i += 2)
    list[list.length] = [lines[i]!, lines[i + 1]!];
  return list;
}
