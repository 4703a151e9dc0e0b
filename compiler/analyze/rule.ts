import type { Module, Script } from "@swc/core";
import type { Finding } from "../types.ts";
import type { Flow } from "./flow.ts";
import type { RuleId } from "./rules.ts";
import type { SourceText } from "./source-text.ts";
import type { SyntaxNode } from "./tree.ts";

/** What a rule is about, as docs/ANALYSIS.md tells it. */
export interface RuleDescription {
  severity: "error" | "warning";
  /** Whether a comment in the source can allow it. Default: false. */
  allowable?: boolean;
  /** Why it matters, in one or two sentences. */
  explanation: string;
  /** How to mend it, where the finding itself does not know better. */
  hint: string;
  /** Code that has the finding, and the same done well. */
  example?: { bad: string; good: string };
}

/** One source, parsed. Spans in `program` count from `spanBase`. */
export interface ParsedSource {
  text: SourceText;
  program: Module | Script;
  spanBase: number;
}

/** What is known of one file while it is checked. */
export interface FileContext {
  source: ParsedSource;
  flow: Flow;
  /** The code of packages is in it, and the platform's own. */
  isBundle: boolean;
  report(rule: RuleId, node: object, message: string, options?: ReportOptions): void;
}

export interface ReportOptions {
  /** Instead of the rule's own. */
  hint?: string;
  severity?: Finding["severity"];
  /** The source line is shown without what the node holds. */
  masks?: boolean;
}

/** What to do with nodes of these types; called in source order. */
export type Visitors = Record<string, (node: SyntaxNode) => void>;

/** Looks at the nodes of one file. May keep state: it is made anew for each file. */
export type Check = (context: FileContext) => Visitors;
