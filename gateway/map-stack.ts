import { SourceMap, type SourceMapPayload } from "node:module";
import type { Program } from "./ports.ts";

/** `    at name (function.js:20:34)`, as the engine writes frames of the bundle. */
const FRAME = /^(\s*at .*?)\(?function\.js:(\d+)(?::(\d+))?\)?$/;
const MAX_FRAMES = 50;

const maps = new WeakMap<object, SourceMap | null>();

/** A stack with its positions in the bundle replaced by those in the sources; frames that lead nowhere stay as they are. */
export const mapStack = (stack: string, program: Program): string =>
  mapFrames(stack.split("\n").slice(0, MAX_FRAMES).join("\n"), program);

/** The same for frames within a text: the line of a log. */
export function mapFrames(text: string, program: Program): string {
  if (!text.includes("(function.js:")) return text;
  const map = sourceMapOf(program);
  if (!map) return text;
  return text
    .split("\n")
    .map((line) => {
      const [, head = "", row = "", column = "1"] = FRAME.exec(line) ?? [];
      if (row === "") return line;
      const entry = map.findEntry(Number(row) - 1, Number(column) - 1);
      if (!("originalSource" in entry) || !entry.originalSource) return line;
      return `${head}(${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1})`;
    })
    .join("\n");
}

function sourceMapOf(program: Program): SourceMap | null {
  if (typeof program !== "object" || program === null) return null;
  let map = maps.get(program);
  if (map === undefined) {
    map = parse(program.sourceMap);
    maps.set(program, map);
  }
  return map;
}

/** The map came with the deployment, and may be anything. */
function parse(text: unknown): SourceMap | null {
  if (typeof text !== "string") return null;
  try {
    return new SourceMap(JSON.parse(text) as SourceMapPayload);
  } catch {
    return null;
  }
}
