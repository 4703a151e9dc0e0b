import type { Finding } from "../types.ts";
import { dangerousImport } from "./dangerous-import.ts";
import { dynamicCode } from "./dynamic-code.ts";
import { nonLiteralImport } from "./non-literal-import.ts";
import type { FileContext, ParsedSource, Rule } from "./rule.ts";
import { Scope } from "./scope.ts";
import { type SyntaxNode, walk } from "./tree.ts";

/** The rules for all code, the function's own and that of packages. */
export const rules: readonly Rule[] = [dangerousImport, dynamicCode, nonLiteralImport];

/** Findings of one file; a hostile file could have millions, of which nobody reads more. */
const MAX_FINDINGS_PER_FILE = 500;

export function fileContext(source: ParsedSource, findings: Finding[]): FileContext {
  const start = findings.length;
  return {
    source,
    scope: new Scope(source.program),
    report(rule, node, message, hint, severity = "error") {
      if (findings.length - start >= MAX_FINDINGS_PER_FILE) return;
      const offset = ((node as SyntaxNode).span?.start ?? source.spanBase) - source.spanBase;
      const position = source.text.positionAt(offset);
      findings.push({
        rule,
        severity,
        message,
        hint,
        ...position,
        sourceLine: source.text.line(position.line),
      });
    },
  };
}

/** One walk of the tree for all rules. */
export function runRules(context: FileContext): void {
  const checks = rules.map(({ name, create }) =>
    create({
      scope: context.scope,
      report: (node, message, hint) => context.report(name, node, message, hint),
    }),
  );
  walk(context.source.program, (node) => {
    for (const check of checks) check(node);
  });
}

/** By file, then place; the order in which a reader wants them, and the same on every machine. */
export function sortFindings(findings: Finding[]): Finding[] {
  return findings.sort(
    (a, b) =>
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) ||
      a.line - b.line ||
      a.column - b.column ||
      (a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : 0),
  );
}
