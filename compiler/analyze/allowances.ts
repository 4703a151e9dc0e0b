import type { Finding } from "../types.ts";
import { saidInComments } from "./comments.ts";
import type { FileContext, ParsedSource, RuleDescription } from "./rule.ts";
import { RULES, type RuleId } from "./rules.ts";

/** `// thimble-allow <rule>: reason`, up to the end of the line or comment. */
const ALLOWANCE =
  /(?:\/\/|\/\*)[ \t]*thimble-allow\b[ \t]*(?<rule>[\w-]*)[ \t]*(?::[ \t]*(?<reason>[^\n\r]*?))?[ \t]*(?:\*\/|$)/gm;

const MAX_REASON_LENGTH = 500;

/** One comment, and the line that it is about. */
interface Allowance {
  rule: string;
  reason: string;
  line: number;
  /** Of the comment, in bytes. */
  offset: number;
}

/**
 * Findings that the source allows, by a comment behind the code or on a line of its own above it, stay in the report as `allowed`, with the
 * reason. Comments without effect are findings. As in other linters a reason must be given; blocked access can't be allowed.
 */
export function applyAllowances({ source, report }: FileContext, findings: Finding[]): void {
  if (!source.text.text.includes("thimble-allow")) return;
  const own = findings.filter(({ file }) => file === source.text.file);
  for (const allowance of allowancesOf(source)) {
    const problem = problemOf(allowance);
    const { rule, line, reason, offset } = allowance;
    const covered = own.filter((finding) => finding.rule === rule && finding.line === line);
    if (problem === undefined)
      for (const finding of covered) Object.assign(finding, { severity: "allowed", reason });
    if (problem === undefined && covered.length > 0) continue;
    const at = { span: { start: offset + source.spanBase, end: offset + source.spanBase } };
    report("allowance-unused", at, problem ?? `Line ${line} has no finding ${rule}`);
  }
}

function problemOf({ rule, reason }: Allowance): string | undefined {
  if (rule === "") return "The comment names no rule";
  if (!Object.hasOwn(RULES, rule)) return `There is no rule "${rule.slice(0, 100)}"`;
  const { allowable = false }: RuleDescription = RULES[rule as RuleId];
  if (!allowable) return `${rule} cannot be allowed`;
  return reason === "" ? `The comment gives no reason why ${rule} is allowed here` : undefined;
}

function allowancesOf(source: ParsedSource): Allowance[] {
  const found = saidInComments(source, ALLOWANCE).map(({ offset, match }) => {
    const { line, column } = source.text.positionAt(offset);
    const { rule = "", reason = "" } = match.groups!;
    const ownLine =
      source.text
        .line(line)
        .slice(0, column - 1)
        .trim() === "";
    return { rule, reason: reason.trim().slice(0, MAX_REASON_LENGTH), offset, at: line, ownLine };
  });
  const commentLines = new Set(found.filter(({ ownLine }) => ownLine).map(({ at }) => at));
  return found.map(({ at, ownLine, ...allowance }) => {
    let line = at;
    // Several stand above each other.
    if (ownLine) while (commentLines.has(line)) line++;
    return { ...allowance, line };
  });
}
