import { Buffer } from "./buffer.ts";
import { invalidType } from "./errors.ts";
import { posix } from "./path.ts";
import {
  type Entry,
  find,
  get,
  list,
  makeFolder,
  type PathLike,
  remove,
  rename,
  systemError,
  toPath,
  write,
} from "./virtual_files.ts";

type Data = string | Uint8Array;
type Options = { encoding?: string | null; flag?: string } | string | null | undefined;

export const constants = {
  F_OK: 0,
  X_OK: 1,
  W_OK: 2,
  R_OK: 4,
  COPYFILE_EXCL: 1,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 64,
  O_EXCL: 128,
  O_TRUNC: 512,
  O_APPEND: 1024,
  S_IFMT: 61440,
  S_IFREG: 32768,
  S_IFDIR: 16384,
  S_IFLNK: 40960,
};

export class Stats {
  readonly dev = 0;
  readonly ino = 0;
  readonly nlink = 1;
  readonly uid = 1000;
  readonly gid = 1000;
  readonly rdev = 0;
  readonly blksize = 4096;
  readonly mode: number;
  readonly size: number;
  readonly blocks: number;
  readonly mtimeMs: number;
  readonly #kind: Entry["kind"];
  constructor(entry: Entry) {
    this.#kind = entry.kind;
    this.mode = entry.kind === "file" ? constants.S_IFREG | 0o644 : constants.S_IFDIR | 0o755;
    this.size = entry.kind === "file" ? entry.bytes.length : 4096;
    this.blocks = Math.ceil(this.size / 512);
    this.mtimeMs = entry.mtimeMs;
  }
  get atimeMs(): number {
    return this.mtimeMs;
  }
  get ctimeMs(): number {
    return this.mtimeMs;
  }
  get birthtimeMs(): number {
    return this.mtimeMs;
  }
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }
  get atime(): Date {
    return this.mtime;
  }
  get ctime(): Date {
    return this.mtime;
  }
  get birthtime(): Date {
    return this.mtime;
  }
  isFile(): boolean {
    return this.#kind === "file";
  }
  isDirectory(): boolean {
    return this.#kind === "folder";
  }
  isSymbolicLink(): boolean {
    return false;
  }
  isFIFO(): boolean {
    return false;
  }
  isSocket(): boolean {
    return false;
  }
  isBlockDevice(): boolean {
    return false;
  }
  isCharacterDevice(): boolean {
    return false;
  }
}

export class Dirent {
  readonly name: string;
  readonly parentPath: string;
  readonly #entry: Entry;
  constructor(name: string, parentPath: string, entry: Entry) {
    this.name = name;
    this.parentPath = parentPath;
    this.#entry = entry;
  }
  get path(): string {
    return this.parentPath;
  }
  isFile(): boolean {
    return this.#entry.kind === "file";
  }
  isDirectory(): boolean {
    return this.#entry.kind === "folder";
  }
  isSymbolicLink(): boolean {
    return false;
  }
}

const encodingIn = (options: Options): string | undefined =>
  (typeof options === "string" ? options : (options?.encoding ?? undefined)) || undefined;
const flagIn = (options: Options, fallback: string): string =>
  (typeof options === "object" ? options?.flag : undefined) ?? fallback;
const bytesOf = (data: Data, options: Options): Uint8Array => {
  if (typeof data === "string") return Buffer.from(data, (encodingIn(options) ?? "utf8") as BufferEncoding);
  if (!ArrayBuffer.isView(data)) throw invalidType("data", "string, Buffer, TypedArray or DataView", data);
  return Buffer.from(data);
};

interface OpenFile {
  path: string;
  position: number;
  append: boolean;
}
const opened = new Map<number, OpenFile>();
let lastFd = 2;

function descriptor(fd: number, syscall: string): OpenFile {
  const file = opened.get(fd);
  if (!file) throw systemError("EBADF", syscall);
  return file;
}

function content(path: string, syscall: string): Uint8Array {
  const entry = get(path, syscall);
  if (entry.kind === "folder") throw systemError("EISDIR", "read", path);
  return entry.bytes;
}

export function readFileSync(path: PathLike | number, options?: Options): Data {
  const bytes = Buffer.from(
    content(typeof path === "number" ? descriptor(path, "read").path : toPath(path), "open"),
  );
  const encoding = encodingIn(options);
  return encoding && encoding !== "buffer" ? bytes.toString(encoding as BufferEncoding) : bytes;
}
export function writeFileSync(path: PathLike | number, data: Data, options?: Options): void {
  const file = typeof path === "number" ? descriptor(path, "write").path : toPath(path);
  const flag = flagIn(options, "w");
  if (flag.includes("x") && find(file)) throw systemError("EEXIST", "open", file);
  if (flag.startsWith("a")) appendFileSync(path, data, encodingIn(options));
  else write(file, bytesOf(data, options));
}
export function appendFileSync(path: PathLike | number, data: Data, options?: Options): void {
  const file = typeof path === "number" ? descriptor(path, "write").path : toPath(path);
  const before = find(file);
  write(
    file,
    before?.kind === "file" ? Buffer.concat([before.bytes, bytesOf(data, options)]) : bytesOf(data, options),
  );
}
export function existsSync(path: PathLike): boolean {
  try {
    return find(toPath(path)) !== undefined;
  } catch {
    return false;
  }
}
export function statSync(path: PathLike, options?: { throwIfNoEntry?: boolean }): Stats | undefined {
  const file = toPath(path);
  if (options?.throwIfNoEntry === false && !find(file)) return undefined;
  return new Stats(get(file, "stat"));
}
export const lstatSync = statSync;
export const fstatSync = (fd: number): Stats => new Stats(get(descriptor(fd, "fstat").path, "fstat"));
export function accessSync(path: PathLike, mode = constants.F_OK): void {
  const file = toPath(path);
  get(file, "access");
  if (mode & constants.W_OK && !file.startsWith("/tmp")) throw systemError("EROFS", "access", file);
}
export function readdirSync(
  path: PathLike,
  options?: { withFileTypes?: boolean; recursive?: boolean } | string | null,
): (string | Dirent)[] {
  const folder = toPath(path);
  if (get(folder, "scandir").kind === "file") throw systemError("ENOTDIR", "scandir", folder);
  const { withFileTypes = false, recursive = false } = typeof options === "object" && options ? options : {};
  return walk(folder, "", recursive).map(([name, entry]) =>
    withFileTypes ? new Dirent(posix.basename(name), posix.dirname(posix.join(folder, name)), entry) : name,
  );
}
function walk(folder: string, prefix: string, recursive: boolean): [string, Entry][] {
  return list(posix.join(folder, prefix)).flatMap((name) => {
    const inside = posix.join(prefix, name);
    const entry = get(posix.join(folder, inside), "scandir");
    return [
      [inside, entry] as [string, Entry],
      ...(recursive && entry.kind === "folder" ? walk(folder, inside, true) : []),
    ];
  });
}
export function mkdirSync(path: PathLike, options?: { recursive?: boolean } | number): string | undefined {
  return makeFolder(toPath(path), typeof options === "object" && options?.recursive === true);
}
export function mkdtempSync(prefix: string): string {
  const path = `${toPath(prefix)}${Math.random().toString(36).slice(2, 8).padEnd(6, "0")}`;
  makeFolder(path, false);
  return path;
}
export function rmSync(path: PathLike, { recursive = false, force = false } = {}): void {
  const file = toPath(path);
  if (force && !find(file)) return;
  if (find(file)?.kind === "folder" && !recursive)
    throw Object.assign(new Error(`Path is a directory: rm returned EISDIR (is a directory) ${file}`), {
      code: "ERR_FS_EISDIR",
      path: file,
    });
  remove(file, { recursive, syscall: "rm" });
}
export function rmdirSync(path: PathLike): void {
  const folder = toPath(path);
  if (get(folder, "rmdir").kind === "file") throw systemError("ENOTDIR", "rmdir", folder);
  remove(folder, { recursive: false, syscall: "rmdir" });
}
export function unlinkSync(path: PathLike): void {
  const file = toPath(path);
  if (get(file, "unlink").kind === "folder") throw systemError("EISDIR", "unlink", file);
  remove(file, { recursive: false, syscall: "unlink" });
}
export const renameSync = (from: PathLike, to: PathLike): void => rename(toPath(from), toPath(to));
export function copyFileSync(from: PathLike, to: PathLike, mode = 0): void {
  const target = toPath(to);
  if (mode & constants.COPYFILE_EXCL && find(target))
    throw systemError("EEXIST", "copyfile", toPath(from), target);
  write(target, Buffer.from(content(toPath(from), "copyfile")), "copyfile");
}
export const realpathSync = Object.assign(
  (path: PathLike): string => {
    const file = toPath(path);
    get(file, "realpath");
    return file;
  },
  { native: (path: PathLike): string => realpathSync(path) },
);
export function truncateSync(path: PathLike, length = 0): void {
  const file = toPath(path);
  const bytes = new Uint8Array(length);
  bytes.set(content(file, "open").subarray(0, length));
  write(file, bytes);
}
/** Times and modes are not kept. */
const checked = (syscall: string) => (path: PathLike) => {
  get(toPath(path), syscall);
};
export const chmodSync = checked("chmod");
export const chownSync = checked("chown");
export const utimesSync = checked("utime");

export function openSync(path: PathLike, flags: string | number = "r"): number {
  const file = toPath(path);
  const mode =
    typeof flags === "number"
      ? flags & constants.O_APPEND
        ? "a"
        : flags & constants.O_TRUNC
          ? "w"
          : flags & constants.O_CREAT
            ? "r+c"
            : "r"
      : flags;
  const known = find(file);
  if (mode.includes("x") && known) throw systemError("EEXIST", "open", file);
  if (mode.startsWith("r") && !mode.includes("c")) get(file, "open");
  if (mode.startsWith("w") || (!known && !mode.startsWith("r"))) write(file, Buffer.alloc(0));
  const fd = ++lastFd;
  opened.set(fd, { path: file, position: 0, append: mode.startsWith("a") });
  return fd;
}
export function closeSync(fd: number): void {
  descriptor(fd, "close");
  opened.delete(fd);
}
export const fsyncSync = (): void => {};
export function readSync(
  fd: number,
  buffer: Uint8Array,
  given: number | { offset?: number; length?: number; position?: number | null } = 0,
  length?: number,
  position?: number | null,
): number {
  const file = descriptor(fd, "read");
  const options = typeof given === "object" ? given : { offset: given, length, position };
  const offset = options.offset ?? 0;
  const from = options.position ?? file.position;
  const part = content(file.path, "read").subarray(
    Number(from),
    Number(from) + (options.length ?? buffer.length - offset),
  );
  buffer.set(part, offset);
  if (options.position === undefined || options.position === null) file.position += part.length;
  return part.length;
}
export function writeSync(
  fd: number,
  data: Data,
  given?: number | string | null,
  length?: number | string,
  position?: number | null,
): number {
  const file = descriptor(fd, "write");
  const text = typeof data === "string";
  const all = bytesOf(data, text && typeof length === "string" ? length : undefined);
  const bytes = text
    ? all
    : all.subarray(Number(given ?? 0), typeof length === "number" ? Number(given ?? 0) + length : undefined);
  const at = (text ? (typeof given === "number" ? given : null) : position) ?? null;
  const before = content(file.path, "write");
  const from = file.append ? before.length : (at ?? file.position);
  const after = new Uint8Array(Math.max(before.length, from + bytes.length));
  after.set(before);
  after.set(bytes, from);
  write(file.path, after, "write");
  if (at === null) file.position = from + bytes.length;
  return bytes.length;
}
