import type { NodeSupport } from "../node-support.ts";

interface Modules {
  "thimble:node": NodeSupport;
  /** The function's files that are no code: `t` and text, or `b` and base64. */
  "thimble:files"?: Record<string, string>;
}

export const modules = (globalThis as unknown as Record<symbol, Modules>)[Symbol.for("thimble.modules")]!;

/** The library in the base image. */
export const platform = modules["thimble:node"];
