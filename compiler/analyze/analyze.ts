import type { Analysis, Finding, FunctionConfig, SourceFiles } from "../types.ts";
import { checkEntry } from "./entry.ts";
import { readConfig } from "./function-config.ts";
import { isCode, parseSource } from "./parse.ts";
import { fileContext, runRules, sortFindings } from "./rules.ts";

export interface AnalyzeOptions {
  /** A missing `@function` annotation is an error; otherwise a warning. */
  requireAnnotation: boolean;
}

/**
 * Analyses all code files of a function on their syntax trees and collects every finding: nothing stops at the first, a
 * syntax error is a finding too. Nothing of the source is executed and nothing in it makes this throw.
 */
export function analyze({ entry, files }: SourceFiles, { requireAnnotation }: AnalyzeOptions): Analysis {
  const findings: Finding[] = [];
  let config: FunctionConfig = {};
  for (const file of Object.keys(files)) {
    if (!isCode(file) && file !== entry) continue;
    const source = parseSource(file, files[file]!);
    if ("rule" in source) {
      findings.push(source);
      continue;
    }
    const context = fileContext(source, findings);
    runRules(context);
    if (file !== entry) continue;
    checkEntry(context, requireAnnotation);
    config = readConfig(context);
  }
  return {
    passed: findings.every(({ severity }) => severity !== "error"),
    findings: sortFindings(findings),
    config,
  };
}
