import "thimble:files";
import { Buffer } from "./buffer.ts";
import { posix } from "./path.ts";
import { modules } from "./platform.ts";
import { fileURLToPath } from "./url.ts";

/** Where the function's own files lie; nothing can be written there. */
const mount = "/app";
/** The only place that can be written to, for as long as the request takes. */
const scratch = "/tmp";
/** Bytes of all files in it together. */
const maxScratchBytes = 16 * 1024 * 1024;

interface File {
  kind: "file";
  bytes: Uint8Array;
  mtimeMs: number;
}
interface Folder {
  kind: "folder";
  mtimeMs: number;
}
export type Entry = File | Folder;

const numbers = {
  ENOENT: 2,
  EBADF: 9,
  EACCES: 13,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  ENOTEMPTY: 39,
} as const;
const texts: Record<keyof typeof numbers, string> = {
  ENOENT: "no such file or directory",
  EBADF: "bad file descriptor",
  EACCES: "permission denied",
  EEXIST: "file already exists",
  ENOTDIR: "not a directory",
  EISDIR: "illegal operation on a directory",
  EINVAL: "invalid argument",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  ENOTEMPTY: "directory not empty",
};

export function systemError(
  code: keyof typeof numbers,
  syscall: string,
  path?: string,
  dest?: string,
): Error {
  const where = path === undefined ? "" : ` '${path}'${dest === undefined ? "" : ` -> '${dest}'`}`;
  const error = new Error(`${code}: ${texts[code]}, ${syscall}${where}`);
  return Object.assign(error, {
    code,
    errno: -numbers[code],
    syscall,
    ...(path === undefined ? {} : { path }),
    ...(dest === undefined ? {} : { dest }),
  });
}

export type PathLike = string | URL | Uint8Array;

export function toPath(path: PathLike): string {
  const text =
    path instanceof URL
      ? fileURLToPath(path)
      : typeof path === "string"
        ? path
        : Buffer.from(path).toString();
  return posix.resolve(mount, text);
}

const entries = new Map<string, Entry>();

function addFolders(path: string): void {
  for (let folder = posix.dirname(path); !entries.has(folder); folder = posix.dirname(folder))
    entries.set(folder, { kind: "folder", mtimeMs: 0 });
}
for (const path of ["/", mount, scratch]) entries.set(path, { kind: "folder", mtimeMs: 0 });
for (const [name, written] of Object.entries(modules["thimble:files"] ?? {})) {
  const path = posix.join(mount, name);
  addFolders(path);
  let bytes: Uint8Array | undefined;
  entries.set(path, {
    kind: "file",
    mtimeMs: 0,
    get bytes() {
      bytes ??= Buffer.from(written.slice(1), written[0] === "t" ? "utf8" : "base64");
      return bytes;
    },
  });
}

export const find = (path: string): Entry | undefined => entries.get(path);

export function get(path: string, syscall: string): Entry {
  const entry = entries.get(path);
  if (entry) return entry;
  const parent = entries.get(posix.dirname(path));
  throw systemError(parent?.kind === "file" ? "ENOTDIR" : "ENOENT", syscall, path);
}

export function list(path: string): string[] {
  const prefix = path === "/" ? path : `${path}/`;
  const names = [...entries.keys()].filter(
    (key) => key !== path && key.startsWith(prefix) && !key.slice(prefix.length).includes("/"),
  );
  return names.map((name) => name.slice(prefix.length)).sort();
}

/** @throws for what lies outside of the folder that can be written to. */
function checkWritable(path: string, syscall: string): void {
  if (!path.startsWith(`${scratch}/`))
    throw systemError(entries.has(posix.dirname(path)) ? "EROFS" : "ENOENT", syscall, path);
  const parent = entries.get(posix.dirname(path));
  if (!parent) throw systemError("ENOENT", syscall, path);
  if (parent.kind === "file") throw systemError("ENOTDIR", syscall, path);
}

export function write(path: string, bytes: Uint8Array, syscall = "open"): void {
  checkWritable(path, syscall);
  const known = entries.get(path);
  if (known?.kind === "folder") throw systemError("EISDIR", syscall, path);
  let total = bytes.length - (known?.bytes.length ?? 0);
  for (const [name, entry] of entries)
    if (entry.kind === "file" && name.startsWith(`${scratch}/`)) total += entry.bytes.length;
  if (total > maxScratchBytes) throw systemError("ENOSPC", "write", path);
  entries.set(path, { kind: "file", bytes, mtimeMs: Date.now() });
}

export function makeFolder(path: string, recursive: boolean): string | undefined {
  const known = entries.get(path);
  if (known && !(recursive && known.kind === "folder")) throw systemError("EEXIST", "mkdir", path);
  if (known) return undefined;
  let made = path;
  if (recursive && !entries.has(posix.dirname(path))) made = makeFolder(posix.dirname(path), true) ?? path;
  checkWritable(path, "mkdir");
  entries.set(path, { kind: "folder", mtimeMs: Date.now() });
  return recursive ? made : undefined;
}

export function remove(path: string, { recursive, syscall }: { recursive: boolean; syscall: string }): void {
  const entry = get(path, syscall);
  checkWritable(path, syscall);
  if (entry.kind === "folder") {
    const content = list(path);
    if (content.length > 0 && !recursive) throw systemError("ENOTEMPTY", syscall, path);
    for (const name of content) remove(posix.join(path, name), { recursive, syscall });
  }
  entries.delete(path);
}

export function rename(from: string, to: string): void {
  get(from, "rename");
  checkWritable(from, "rename");
  checkWritable(to, "rename");
  const moved = [...entries].filter(([path]) => path === from || path.startsWith(`${from}/`));
  for (const [path] of moved) entries.delete(path);
  for (const [path, entry] of moved) entries.set(to + path.slice(from.length), entry);
}
