import * as sync from "./fs-sync.ts";
import type { AnyFunction } from "./function_types.ts";

const promised =
  <F extends AnyFunction>(work: F) =>
  async (...args: Parameters<F>): Promise<ReturnType<F>> =>
    work(...args);

export const { constants } = sync;
export const access = promised(sync.accessSync);
export const appendFile = promised(sync.appendFileSync);
export const chmod = promised(sync.chmodSync);
export const chown = promised(sync.chownSync);
export const copyFile = promised(sync.copyFileSync);
export const lstat = promised(sync.lstatSync);
export const mkdir = promised(sync.mkdirSync);
export const mkdtemp = promised(sync.mkdtempSync);
export const readdir = promised(sync.readdirSync);
export const readFile = promised(sync.readFileSync);
export const realpath = promised(sync.realpathSync);
export const rename = promised(sync.renameSync);
export const rm = promised(sync.rmSync);
export const rmdir = promised(sync.rmdirSync);
export const stat = promised(sync.statSync);
export const truncate = promised(sync.truncateSync);
export const unlink = promised(sync.unlinkSync);
export const utimes = promised(sync.utimesSync);
export const writeFile = promised(sync.writeFileSync);

class FileHandle {
  readonly fd: number;
  constructor(fd: number) {
    this.fd = fd;
  }
  async readFile(options?: Parameters<typeof sync.readFileSync>[1]) {
    return sync.readFileSync(this.fd, options);
  }
  async writeFile(
    ...args: [Parameters<typeof sync.writeFileSync>[1], Parameters<typeof sync.writeFileSync>[2]?]
  ) {
    sync.writeFileSync(this.fd, ...args);
  }
  async appendFile(
    ...args: [Parameters<typeof sync.appendFileSync>[1], Parameters<typeof sync.appendFileSync>[2]?]
  ) {
    sync.appendFileSync(this.fd, ...args);
  }
  async read(buffer: Uint8Array, offset?: number, length?: number, position?: number | null) {
    return { bytesRead: sync.readSync(this.fd, buffer, offset, length, position), buffer };
  }
  async write(data: Uint8Array | string, offset?: number, length?: number, position?: number | null) {
    return { bytesWritten: sync.writeSync(this.fd, data, offset, length, position), buffer: data };
  }
  async stat() {
    return sync.fstatSync(this.fd);
  }
  async close() {
    sync.closeSync(this.fd);
  }
  async [Symbol.asyncDispose]() {
    await this.close();
  }
}
export const open = async (...args: Parameters<typeof sync.openSync>): Promise<FileHandle> =>
  new FileHandle(sync.openSync(...args));

export default {
  access,
  appendFile,
  chmod,
  chown,
  constants,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
};
