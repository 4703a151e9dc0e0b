import type { Finding } from "../types.ts";

/** A finding about a part of a WebAssembly file: it stands in no line, so the part is shown instead. */
export function partFinding(
  file: string,
  rule: string,
  part: string,
  message: string,
  hint: string,
  severity: Finding["severity"] = "error",
): Finding {
  const sourceLine = part.slice(0, 2_000);
  return { file, line: 1, column: 1, rule, severity, message, hint, sourceLine };
}
