import { type FSWatcher, watch } from "node:fs";
import { extname } from "node:path";

/** Editors write a file in several steps; what comes within this time is one change, ms. */
const SETTLE_MS = 8;

const IGNORED_FOLDERS = new Set(["node_modules", "dist", "build", "coverage"]);

/**
 * Calls `changed` after files in `folder`, with `recursive` also in those below, have changed. Hidden files, packages and build
 * output do not count.
 */
export function watchSources(folder: string, recursive: boolean, changed: () => void): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const watcher: FSWatcher = watch(
    folder,
    { recursive, ignore: (path: string) => isIgnored(path) },
    (_event, path) => {
      if (path === null || isIgnored(path)) return;
      clearTimeout(timer);
      timer = setTimeout(changed, SETTLE_MS);
    },
  );
  return {
    close: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

function isIgnored(path: string): boolean {
  const parts = path.split(/[\\/]/);
  const name = parts.at(-1) ?? "";
  // `4913` and `~` are what vim writes to try whether it may.
  if (name.endsWith("~") || extname(name) === ".swp" || name === "4913") return true;
  return parts.some((part) => IGNORED_FOLDERS.has(part) || (part.startsWith(".") && part.length > 1));
}
