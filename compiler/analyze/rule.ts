import type { Module, Script } from "@swc/core";
import type { Finding } from "../types.ts";
import type { Scope } from "./scope.ts";
import type { SourceText } from "./source-text.ts";
import type { SyntaxNode } from "./tree.ts";

/** One source, parsed. Spans in `program` count from `spanBase`. */
export interface ParsedSource {
  text: SourceText;
  program: Module | Script;
  spanBase: number;
}

/** What is known of one file while its rules run. */
export interface FileContext {
  source: ParsedSource;
  scope: Scope;
  report(rule: string, node: object, message: string, hint: string, severity?: Finding["severity"]): void;
}

/** The same for one rule, which reports under its own name. */
export interface RuleContext {
  scope: Scope;
  report(node: object, message: string, hint: string): void;
}

/** A rule looks at every node of every file that runs. `create` is called once per file and may keep state. */
export interface Rule {
  name: string;
  create(context: RuleContext): (node: SyntaxNode) => void;
}
