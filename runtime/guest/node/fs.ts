import { unsupported } from "./errors.ts";
import * as promises from "./fs-promises.ts";
import { createReadStream, createWriteStream, ReadStream, WriteStream } from "./fs-streams.ts";
import * as sync from "./fs-sync.ts";
import type { AnyFunction } from "./function_types.ts";

type Callback = (error: unknown, ...values: unknown[]) => void;

/** The form with a callback of a function whose name ends in `Sync`. */
const withCallback =
  (work: AnyFunction) =>
  (...args: unknown[]): void => {
    const done = args.pop() as Callback;
    let results: unknown[];
    try {
      results = [null, work(...args)];
    } catch (error) {
      results = [error];
    }
    process.nextTick(done, ...(results as [unknown, ...unknown[]]));
  };

/** The same for `(fd, data, …, done)`, where `done` is given the data as well. */
const withData =
  (work: AnyFunction) =>
  (fd: number, data: Uint8Array | string, ...rest: unknown[]): void => {
    const done = rest.pop() as Callback;
    withCallback(work)(fd, data, ...rest, (error: unknown, count: unknown) => done(error, count, data));
  };

export const {
  accessSync,
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  Dirent,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  Stats,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} = sync;
export const access = withCallback(accessSync);
export const appendFile = withCallback(appendFileSync);
export const chmod = withCallback(chmodSync);
export const chown = withCallback(chownSync);
export const close = withCallback(closeSync);
export const copyFile = withCallback(copyFileSync);
export const fstat = withCallback(fstatSync);
export const fsync = withCallback(fsyncSync);
export const lstat = withCallback(lstatSync);
export const mkdir = withCallback(mkdirSync);
export const mkdtemp = withCallback(mkdtempSync);
export const open = withCallback(openSync);
export const readdir = withCallback(readdirSync);
export const readFile = withCallback(readFileSync);
export const realpath = Object.assign(withCallback(realpathSync), { native: withCallback(realpathSync) });
export const rename = withCallback(renameSync);
export const rm = withCallback(rmSync);
export const rmdir = withCallback(rmdirSync);
export const stat = withCallback(statSync);
export const truncate = withCallback(truncateSync);
export const unlink = withCallback(unlinkSync);
export const utimes = withCallback(utimesSync);
export const writeFile = withCallback(writeFileSync);
export function exists(path: string, done: (found: boolean) => void): void {
  process.nextTick(done, existsSync(path));
}
export const read = withData(readSync);
export const write = withData(writeSync);
export const watch = unsupported("fs", "watch");
export const watchFile = unsupported("fs", "watchFile");
export const unwatchFile = (): void => {};
export const symlinkSync = unsupported("fs", "symlinkSync");
export const readlinkSync = unsupported("fs", "readlinkSync");
export const { F_OK, R_OK, W_OK, X_OK } = constants;
export { createReadStream, createWriteStream, promises, ReadStream, WriteStream };

export default {
  F_OK,
  R_OK,
  ReadStream,
  Stats,
  Dirent,
  W_OK,
  WriteStream,
  X_OK,
  access,
  accessSync,
  appendFile,
  appendFileSync,
  chmod,
  chmodSync,
  chown,
  chownSync,
  close,
  closeSync,
  constants,
  copyFile,
  copyFileSync,
  createReadStream,
  createWriteStream,
  exists,
  existsSync,
  fstat,
  fstatSync,
  fsync,
  fsyncSync,
  lstat,
  lstatSync,
  mkdir,
  mkdirSync,
  mkdtemp,
  mkdtempSync,
  open,
  openSync,
  promises,
  read,
  readFile,
  readFileSync,
  readSync,
  readdir,
  readdirSync,
  readlinkSync,
  realpath,
  realpathSync,
  rename,
  renameSync,
  rm,
  rmSync,
  rmdir,
  rmdirSync,
  stat,
  statSync,
  symlinkSync,
  truncate,
  truncateSync,
  unlink,
  unlinkSync,
  unwatchFile,
  utimes,
  utimesSync,
  watch,
  watchFile,
  write,
  writeFile,
  writeFileSync,
  writeSync,
};
