import path from "path-browserify";

const posix = path as unknown as typeof import("node:path").posix;
Object.assign(posix, { posix, toNamespacedPath: (name: string) => name, _makeLong: (name: string) => name });

export const {
  basename,
  delimiter,
  dirname,
  extname,
  format,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  sep,
} = posix;
export const toNamespacedPath = (name: string): string => name;
export { posix };
/** Paths in a sandbox are POSIX's. */
export const win32 = posix;
Object.assign(posix, { win32 });
export default posix;
