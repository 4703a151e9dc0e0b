import type { Finding } from "../types.ts";
import { Bindings } from "./bindings.ts";
import { blockedAccess } from "./blocked-access.ts";
import { dynamicCode } from "./dynamic-code.ts";
import { fetchTimeout } from "./fetch-timeout.ts";
import { fileAccess } from "./file-access.ts";
import { Flow } from "./flow.ts";
import { hardCodedSecret } from "./hard-coded-secret.ts";
import { nonLiteralImport } from "./non-literal-import.ts";
import { prototypePollution } from "./prototype-pollution.ts";
import type { Check, FileContext, ParsedSource, ReportOptions, Visitors } from "./rule.ts";
import { RULES } from "./rules.ts";
import { sqlConcatenation } from "./sql-concatenation.ts";
import type { SyntaxNode } from "./tree.ts";
import { unboundedLoop } from "./unbounded-loop.ts";

/** What no code may do, the function's own and that of packages. */
const ACCESS_CHECKS: readonly Check[] = [blockedAccess, dynamicCode, nonLiteralImport, fileAccess];

/** What is asked of the function's own sources besides. */
const SOURCE_CHECKS: readonly Check[] = [
  ...ACCESS_CHECKS,
  hardCodedSecret,
  sqlConcatenation,
  prototypePollution,
  unboundedLoop,
  fetchTimeout,
];

/** Types of nodes that checks look at; the walk keeps no others. */
const WANTED = new Set(
  `ArrowFunctionExpression AssignmentExpression BinaryExpression CallExpression ClassDeclaration ClassExpression
   ClassMethod ClassProperty DoWhileStatement ExportAllDeclaration ExportNamedDeclaration ForStatement
   FunctionDeclaration FunctionExpression Identifier ImportDeclaration KeyValueProperty MemberExpression
   MethodProperty NewExpression TaggedTemplateExpression TemplateLiteral TsExternalModuleReference
   UnaryExpression VariableDeclarator WhileStatement`.split(/\s+/),
);

/** Findings of one file; a hostile file could have millions, of which nobody reads more. */
const MAX_FINDINGS_PER_FILE = 500;

/** @param file its path where that matters for what it reads; undefined for a bundle */
export function fileContext(
  source: ParsedSource,
  findings: Finding[],
  file: string | undefined,
): FileContext {
  const start = findings.length;
  const seen = new Set(
    findings.flatMap((known) =>
      known.file === file && known.rule === "hard-coded-secret" ? [`${known.line}`] : [],
    ),
  );
  return {
    source,
    isBundle: file === undefined,
    flow: new Flow(new Bindings(source.program, WANTED), file),
    report(rule, node, message, options = {}) {
      if (findings.length - start >= MAX_FINDINGS_PER_FILE) return;
      const finding = findingAt(source, node as SyntaxNode, options);
      // A secret that the text shows is found again where it is put together with others.
      const key =
        rule === "hard-coded-secret" ? `${finding.line}` : `${rule} ${finding.line} ${finding.column}`;
      if (seen.has(key)) return;
      seen.add(key);
      const { severity, hint } = RULES[rule];
      findings.push({
        rule,
        severity: options.severity ?? severity,
        message,
        hint: options.hint ?? hint,
        ...finding,
      });
    },
  };
}

function findingAt({ text, spanBase }: ParsedSource, node: SyntaxNode, { masks }: ReportOptions) {
  const start = (node.span?.start ?? spanBase) - spanBase;
  const position = text.positionAt(start);
  let sourceLine = text.line(position.line);
  if (masks) {
    const length = text.slice(start, node.span.end - spanBase).length;
    const [from, to] = [position.column + 3, position.column - 2 + length];
    sourceLine =
      sourceLine.slice(0, from) + sourceLine.slice(from, to).replace(/\w/g, "*") + sourceLine.slice(to);
  }
  return { ...position, sourceLine };
}

export function checkSource(context: FileContext): void {
  run(SOURCE_CHECKS, context);
}

export function checkAccess(context: FileContext): void {
  run(ACCESS_CHECKS, context);
}

/** One walk of the tree for all checks. */
function run(checks: readonly Check[], context: FileContext): void {
  const visitors = new Map<string, Visitors[string][]>();
  for (const check of checks) {
    for (const [type, visit] of Object.entries(check(context))) {
      const known = visitors.get(type);
      if (known) known.push(visit);
      else visitors.set(type, [visit]);
    }
  }
  for (const node of context.flow.bindings.nodes) {
    const all = visitors.get(node.type);
    if (all) for (const visit of all) visit(node);
  }
}
