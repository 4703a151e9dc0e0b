import { brotliDecompressSync } from "node:zlib";
import { CompileError } from "./errors.ts";
import { MAX_SOURCE_BYTES } from "./sources.ts";
import type { SourceFiles } from "./types.ts";
import type { Module } from "./wasm/index.ts";

/** The module that gives functions `Javy.IO`; whoever names that gets it. */
export const JAVY_SPECIFIER = "thimble:javy";

/** Code that uses `Javy.IO`, as the npm package `javy` does, with the import that makes it. In the first line, so that positions stay. */
export const withJavy = (code: string): string =>
  /\bJavy\.IO\b/.test(code) ? `import ${JSON.stringify(JAVY_SPECIFIER)};${code}` : code;

/**
 * `Javy.IO` of bytecodealliance/javy: standard input is the request's body, standard output the response's. The function that is registered is
 * called with nothing to read but that; what it returns goes before what it has written.
 */
export const javyModule = `
let input = new Uint8Array(0);
let output = [];
const readSync = (fd, buffer) => {
  if (fd !== 0) return -1;
  const part = input.subarray(0, buffer.length);
  buffer.set(part);
  input = input.subarray(part.length);
  return part.length;
};
const writeSync = (fd, buffer) => {
  if (fd === 1) output.push(buffer.slice());
  else if (fd === 2) console.error(new TextDecoder().decode(buffer));
  else return -1;
  return buffer.length;
};
globalThis.Javy = { IO: { readSync, writeSync } };
const written = () => {
  const length = output.reduce((sum, part) => sum + part.length, 0);
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of output) {
    body.set(part, at);
    at += part.length;
  }
  return new Response(length > 0 ? body : null, { status: length > 0 ? 200 : 204, headers: { "content-type": "application/json" } });
};
export const serve = (call) => async (request, context) => {
  input = new Uint8Array(await request.arrayBuffer());
  output = [];
  const result = await call(context);
  return result === undefined ? written() : result;
};
const key = Symbol.for("thimble.register");
const register = globalThis[key];
Object.defineProperty(globalThis, key, {
  configurable: true,
  value: (exports) => {
    Object.defineProperty(globalThis, key, { configurable: true, value: register });
    const call = exports.default ?? exports.handler;
    register(typeof call === "function" && !call.javy ? { default: serve(call) } : exports);
  },
});
`;

const sourceSection = "javy_source";

/**
 * The function that a dynamically linked module of Javy's was made from. Its bytecode is for another engine and is not run; the source that Javy
 * puts beside it is, in ours.
 *
 * @throws CompileError for a module without its source.
 */
export function javySources({ customs }: Module): SourceFiles {
  const section = customs.find(({ name }) => name === sourceSection);
  if (!section) {
    throw new CompileError(
      "the module is linked to Javy's engine and does not hold its source: build it without -C source=omitted, or without -C dynamic",
    );
  }
  let source: string;
  try {
    const bytes = brotliDecompressSync(section.bytes, { maxOutputLength: MAX_SOURCE_BYTES });
    source = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CompileError(`the module's section ${sourceSection} can't be read`, { cause });
  }
  const entry = `import { serve } from ${JSON.stringify(JAVY_SPECIFIER)};
/** @function */
export default Object.assign(serve(() => import("./javy.js").then(() => undefined)), { javy: true });
`;
  return { entry: "index.js", files: { "index.js": entry, "javy.js": source } };
}
