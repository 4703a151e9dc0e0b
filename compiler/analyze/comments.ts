import type { ParsedSource } from "./rule.ts";
import { walk } from "./tree.ts";

const LITERALS = /^(?:StringLiteral|TemplateLiteral|TemplateElement|JSXText|RegExpLiteral)$/;

/**
 * Where a source says something that could only be in a comment: swc keeps none, so what is in no literal is taken for one. Offsets in bytes.
 *
 * @param pattern with the flag `g`
 */
export function saidInComments(
  { text, program, spanBase }: ParsedSource,
  pattern: RegExp,
): { offset: number; match: RegExpExecArray }[] {
  const found = [...text.text.matchAll(pattern)].map((match) => ({
    offset: Buffer.byteLength(text.text.slice(0, match.index)),
    match,
  }));
  if (found.length === 0) return [];
  const literals: [start: number, end: number][] = [];
  walk(program, ({ type, span }) => {
    if (LITERALS.test(type)) literals.push([span.start - spanBase, span.end - spanBase]);
  });
  return found.filter(({ offset }) => !literals.some(([start, end]) => offset >= start && offset < end));
}
