import { RuntimeError } from "./errors.ts";

/** `(module (memory 1) (memory 1))` */
const twoMemories = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 5, 5, 2, 0, 1, 0, 1]);

/** What sandboxes need of the JavaScript engine, and what has it: Node 24 and newer, Deno 2.9 and newer. */
const needs = {
  "WebAssembly JSPI (suspending a computing guest)": () =>
    typeof WebAssembly.Suspending === "function" && typeof WebAssembly.promising === "function",
  "WebAssembly multi-memory (marks of what was written)": () => WebAssembly.validate(twoMemories),
};

/** @throws RuntimeError `host_unsupported`, naming all that is missing. */
export function requireHostSupport(): void {
  const missing = Object.entries(needs).flatMap(([name, has]) => (has() ? [] : [name]));
  if (missing.length === 0) return;
  throw new RuntimeError(
    "host_unsupported",
    `Thimble cannot run on this JavaScript engine: it lacks ${missing.join(" and ")}. Use Node 24 or newer, or Deno 2.9 or newer, without flags that switch these off.`,
  );
}
