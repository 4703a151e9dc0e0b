/** Where a finding points: 1-based line and column in a source file of the function (path relative to its folder, `/`-separated). */
export interface Position {
  file: string;
  line: number;
  column: number;
}

export interface Finding extends Position {
  /** Stable id of the rule, kebab-case: `annotation-missing`, `process-execution`, `dynamic-code` … docs/ANALYSIS.md has all. */
  rule: string;
  /** `allowed`: the source says in a comment that this is meant; it counts for nothing. */
  severity: "error" | "warning" | "allowed";
  /** Why it is allowed. */
  reason?: string | undefined;
  message: string;
  /** How to mend it. */
  hint: string;
  /** The offending source line for the code frame, unchanged but for its length: 2000 UTF-16 code units at most. */
  sourceLine: string;
  /** The npm package that it lies in; absent in the function's own code. */
  package?: string | undefined;
}

export interface Analysis {
  /** True when no finding is an error. */
  passed: boolean;
  findings: Finding[];
  /** From the literal `export const config = {…}`, or a module's section `thimble:config`. */
  config: FunctionConfig;
  /** What is in a WebAssembly file that was deployed as it is. */
  module?: ModuleSummary;
}

/** The outside of a WebAssembly module or component. */
export interface ModuleSummary {
  kind: "module" | "component";
  /** `module.name`, or the interfaces that a component imports. */
  imports: string[];
  exports: string[];
  /** Custom sections. */
  sections: { name: string; bytes: number }[];
}

/** A function's own wishes; the server only ever lowers its limits to them. Unknown keys are findings. */
export interface FunctionConfig {
  timeoutMs?: number;
  memoryMb?: number;
  concurrency?: number;
  /** Time inside the sandbox, ms. */
  cpuMs?: number;
  fuel?: number;
  /** A sandbox for each request (default), or one that answers many and keeps what they leave. */
  isolation?: "request" | "instance";
  /** Host names that fetch may reach; absent: every public address. */
  egress?: string[];
  database?: "read" | "write" | false;
  /** A path requested once at build time, so that lazy set-up is in the image. */
  warmup?: string;
  /**
   * Of a WASI module, what goes over its standard input and output: `http` is a JSON envelope of request and response; `json` a JSON value
   * in and out; `raw` the bodies as they are. Default `http`; `json` for modules made by Javy.
   */
  stdio?: Stdio;
  /** Of a WASI module: arguments behind its name. */
  args?: string[];
}

export type Stdio = "http" | "json" | "raw";

/** A function's sources as text. Paths are relative, `/`-separated, without `..`. */
export interface SourceFiles {
  /** Path of the entry file, a key of `files`. */
  entry: string;
  files: Record<string, string>;
}

/** One ES module with everything in it (npm packages too) and its source map (version 3, `sources` relative to the function's folder). */
export interface Bundle {
  code: string;
  map: string;
  /** What the bundler warned about: imports that work only as long as they are not used. */
  warnings?: Finding[] | undefined;
}
