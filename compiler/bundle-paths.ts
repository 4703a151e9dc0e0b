import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { platformPath } from "./bundle-node.ts";

/**
 * The name of a file in findings and source maps, the same on every machine: relative to the function's folder; packages from
 * their `node_modules` on, wherever that lies; the platform's own as `thimble:node/…`; other files outside of the folder below `outside/`.
 */
export function shownPath(root: string, id: string): string {
  const path = realFile(id);
  const virtual = path.lastIndexOf("\0");
  if (virtual >= 0) return path.slice(virtual + 1);
  const absolute = resolve(root, path);
  const ours = platformPath(absolute);
  if (ours !== undefined) return `thimble:node/${ours}`;
  const inside = relative(root, absolute).split(sep).join("/");
  if (!inside.startsWith("../") && !/^[A-Za-z]:/.test(inside)) return inside;
  const all = absolute.split(sep).join("/");
  const packages = all.indexOf("/node_modules/");
  return packages >= 0 ? all.slice(packages + 1) : `outside/${inside.replace(/^(?:\.\.\/)+/, "")}`;
}

/** Whether a module's file lies in a folder. Both are real paths: the resolver follows links. */
export const isInside = (folder: string, id: string) =>
  resolve(folder, realFile(id)).startsWith(folder + sep);

export const isInPackage = (path: string) => path.split(/[\\/]/).includes("node_modules");

/** `node_modules/@scope/name/…` → `@scope/name`, of the innermost such folder; undefined for the function's own files. */
export const packageOf = (path: string): string | undefined =>
  /^.*(?:^|[\\/])node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/s.exec(path)?.[1];

const MARK = "thimble~root~";

/**
 * The bundler names variables after files, those of an `index` file after its folder — which for the function's own folder is a name that
 * differs from machine to machine. A mark before the file name makes it use that.
 */
export function moduleId(root: string, path: string): string {
  const name = basename(path);
  const isIndex = /^(?:index|mod)\.(?:[cm]?[jt]s|[jt]sx|json)$/.test(name);
  const outermost = !isInPackage(path) && /^(?:outside\/)?[^/]+$/.test(shownPath(root, path));
  return isIndex && outermost ? join(dirname(path), MARK + name) : path;
}

/** The file behind a module id of {@link moduleId}. */
export function realFile(id: string): string {
  const name = basename(id);
  return name.startsWith(MARK) ? join(dirname(id), name.slice(MARK.length)) : id;
}
