import { extname } from "node:path/posix";
import { type Module, type ParserConfig, parseSync, type Script } from "@swc/core";
import type { Finding } from "../types.ts";
import { findTooDeep, MAX_SOURCE_LENGTH_BYTES } from "./nesting.ts";
import type { ParsedSource } from "./rule.ts";
import { RULES } from "./rules.ts";
import { SourceText } from "./source-text.ts";
import { syntaxErrorFinding } from "./syntax-error.ts";

const TYPESCRIPT = new Set([".ts", ".tsx", ".mts", ".cts"]);
const JAVASCRIPT = new Set([".js", ".jsx", ".mjs", ".cjs"]);

/** Files that hold code: data and declarations for the type checker are not analysed. */
export function isCode(file: string): boolean {
  const extension = extname(file);
  return (TYPESCRIPT.has(extension) && !/\.d\.[cm]?ts$/.test(file)) || JAVASCRIPT.has(extension);
}

/** How swc must read a file, by its extension. */
export function parserFor(file: string): ParserConfig {
  const extension = extname(file);
  if (TYPESCRIPT.has(extension)) return { syntax: "typescript", tsx: extension === ".tsx", decorators: true };
  return { syntax: "ecmascript", jsx: true, decorators: true };
}

/** The finding `too-large` or `too-deep` for a source that must not reach a native parser at all. */
export function refuseHostile(file: string, source: string): Finding | undefined {
  const text = new SourceText(file, source);
  const at = (byteOffset: number) => {
    const position = text.positionAt(byteOffset);
    return { ...position, severity: "error" as const, sourceLine: text.line(position.line) };
  };
  if (text.byteLength > MAX_SOURCE_LENGTH_BYTES) {
    return {
      ...at(0),
      sourceLine: "",
      rule: "too-large",
      message: `The file has ${text.byteLength} bytes; ${MAX_SOURCE_LENGTH_BYTES} is the limit`,
      hint: RULES["too-large"].hint,
    };
  }
  const extension = extname(file);
  const tooDeep = findTooDeep(text.text, {
    jsx: !TYPESCRIPT.has(extension) || extension === ".tsx",
    types: TYPESCRIPT.has(extension),
  });
  if (!tooDeep) return undefined;
  return {
    ...at(Buffer.byteLength(text.text.slice(0, tooDeep.index))),
    rule: tooDeep.rule,
    message: tooDeep.message,
    hint: RULES[tooDeep.rule].hint,
  };
}

/** Parses one file, or says as a finding why it cannot be. Never throws for what is in the source. */
export function parseSource(file: string, source: string): ParsedSource | Finding {
  const refusal = refuseHostile(file, source);
  if (refusal) return refusal;
  const text = new SourceText(file, source);
  // swc's spans have a base that it does not tell; the empty statement put first shows it. A `#!` line must become a comment for that.
  const marked = `;${text.text.startsWith("#!") ? `//${text.text.slice(2)}` : text.text}`;
  let program: Module | Script;
  try {
    program = parseProgram(file, marked);
  } catch (error) {
    return syntaxErrorFinding((plain) => parseProgram(file, plain), marked, error, text);
  }
  const marker = program.body.shift();
  return { text, program, spanBase: (marker?.span.start ?? 0) + 1 };
}

function parseProgram(file: string, source: string): Module | Script {
  const options = { ...parserFor(file), target: "esnext" as const };
  try {
    return parseSync(source, options);
  } catch (error) {
    // A CommonJS file may hold what a module may not: `return` at the top, `with`, sloppy names.
    if (!/\.c?js$/.test(file)) throw error;
    try {
      return parseSync(source, { ...options, isModule: "commonjs" } as unknown as typeof options);
    } catch {
      throw error;
    }
  }
}
