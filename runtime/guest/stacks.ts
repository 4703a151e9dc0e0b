/** The stack without frames of this library, which is compiled without file names, and of built-ins. */
export function stackOf(error: Error): string {
  return `${error.stack ?? ""}`.replace(/^ *at .*\((<null>.*|native)\)\n?/gm, "").trimEnd();
}
