import type { Analysis, Finding, FunctionConfig, SourceFiles } from "../types.ts";
import { applyAllowances } from "./allowances.ts";
import { checkSource, fileContext } from "./checks.ts";
import { checkConfigUse } from "./config-use.ts";
import { checkEntry } from "./entry.ts";
import { readConfig } from "./function-config.ts";
import { secretsInText } from "./hard-coded-secret.ts";
import { isCode, parseSource } from "./parse.ts";
import type { FileContext } from "./rule.ts";
import { sortFindings } from "./sort-findings.ts";

export interface AnalyzeOptions {
  /** A missing `@function` annotation is an error; otherwise a warning. */
  requireAnnotation: boolean;
}

/**
 * Analyses all files of a function, code on its syntax tree, and collects every finding: nothing stops at the first, a
 * syntax error is a finding too. Nothing of the source is executed and nothing in it makes this throw.
 */
export function analyze({ entry, files }: SourceFiles, { requireAnnotation }: AnalyzeOptions): Analysis {
  const findings: Finding[] = [];
  const contexts = new Map<string, FileContext>();
  let config: FunctionConfig = {};
  for (const [file, text] of Object.entries(files)) {
    findings.push(...secretsInText(file, text));
    if (!isCode(file) && file !== entry) continue;
    const source = parseSource(file, text);
    if ("rule" in source) {
      findings.push(source);
      continue;
    }
    const context = fileContext(source, findings, file);
    contexts.set(file, context);
    checkSource(context);
    if (file !== entry) continue;
    checkEntry(context, requireAnnotation, files);
    config = readConfig(context);
  }
  checkConfigUse(contexts, entry, config);
  for (const context of contexts.values()) applyAllowances(context, findings);
  return {
    passed: findings.every(({ severity }) => severity !== "error"),
    findings: sortFindings(findings),
    config,
  };
}
