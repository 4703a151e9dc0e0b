/**
 * What the transpiler's code gets as arguments in place of globals. `rep`, `componentIdx` and `vals` are defects of the transpiler: variables that
 * it forgets to declare; those with a $ are words of ours, see glue.ts.
 */
export const glueParameters = [
  "WebAssembly",
  "globalThis",
  "TextDecoder",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "console",
  "rep",
  "componentIdx",
  "vals",
  "$spend",
  "$slice",
  "$made",
  "$known",
] as const;
