/** Frames that are kept. */
const maxFrames = 50;

/** The module's own frames of a trap, with the names of its name section where it has one: `at name (wasm-function[12]:0x1a2b)`. */
export function guestStack(cause: object): string {
  const stack = "stack" in cause && typeof cause.stack === "string" ? cause.stack : "";
  return stack
    .split("\n")
    .map((line) =>
      /^\s+at (?:(.*) \()?wasm:\/\/wasm\/[^:]*:(wasm-function\[\d+\]:0x[0-9a-f]+)\)?$/.exec(line),
    )
    .filter((frame) => frame !== null)
    .slice(0, maxFrames)
    .map(([, name, place]) => (name ? `    at ${name} (${place})` : `    at ${place}`))
    .join("\n");
}
