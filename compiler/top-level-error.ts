import { SourceMap, type SourceMapPayload } from "node:module";
import { SourceText } from "./analyze/source-text.ts";
import { isInPackage } from "./bundle-paths.ts";
import { CompileError } from "./errors.ts";
import { bundleFileName } from "./image.ts";
import type { Bundle, Finding, Position } from "./types.ts";

/** `    at name (function.js:20:34)`, as the engine writes frames of the bundle. */
const frame = new RegExp(`\\(${bundleFileName.replace(".", "\\.")}:(\\d+):(\\d+)\\)$`, "gm");

/**
 * An error of top-level code with the place in the sources: of the frames on its stack the innermost in the function's own files, or else in its
 * packages. Errors without a frame that the map leads anywhere stay as they are.
 */
export function withPlace(error: CompileError, { map }: Bundle): CompileError {
  let payload: SourceMapPayload;
  let places: Position[];
  try {
    payload = JSON.parse(map) as SourceMapPayload;
    places = placesOn(error.stack ?? "", new SourceMap(payload));
  } catch {
    return error; // the map came with the bundle, and may be anything
  }
  const place = places.find(({ file }) => !isInPackage(file)) ?? places[0];
  if (!place) return error;
  const content: unknown = payload.sourcesContent?.[payload.sources.indexOf(place.file)];
  const finding: Finding = {
    ...place,
    rule: "top-level-error",
    severity: "error",
    message: error.message,
    hint: "Top-level code runs once, while the function is built: without network, database, timers and randomness.",
    sourceLine: typeof content === "string" ? new SourceText(place.file, content).line(place.line) : "",
  };
  return new CompileError(`${place.file}:${place.line}:${place.column}: ${error.message}`, {
    findings: [finding],
    cause: error,
  });
}

function placesOn(stack: string, map: SourceMap): Position[] {
  return [...stack.matchAll(frame)].flatMap(([, line, column]) => {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!("originalSource" in entry) || !entry.originalSource || entry.originalSource.startsWith("thimble:"))
      return [];
    return [{ file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 }];
  });
}
