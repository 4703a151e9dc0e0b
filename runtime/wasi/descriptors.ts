import { directoryRights, FileType, fileRights, inputRights, outputRights } from "./abi.ts";
import { Errno, refuse } from "./errno.ts";
import type { DirectoryNode, FileNode, Volume } from "./file-system.ts";

/** Most descriptors that are open at once. */
const maxDescriptors = 1_024;

interface Rights {
  base: bigint;
  /** Of descriptors that are opened from it. */
  inheriting: bigint;
}

export interface OpenFile {
  kind: "file";
  volume: Volume;
  node: FileNode;
  position: number;
  flags: number;
  rights: Rights;
}

export interface OpenDirectory {
  kind: "directory";
  volume: Volume;
  node: DirectoryNode;
  flags: number;
  rights: Rights;
  /** The path that it stands for, when it was given to the guest. */
  preopened?: string;
}

/** Bytes that are there from the beginning. */
export interface Input {
  kind: "input";
  bytes: Uint8Array;
  position: number;
  flags: number;
  rights: Rights;
}

export interface Output {
  kind: "output";
  write(bytes: Uint8Array): void;
  flags: number;
  rights: Rights;
}

export type Descriptor = OpenFile | OpenDirectory | Input | Output;

export function openFile(volume: Volume, node: FileNode, flags = 0, rights?: bigint): OpenFile {
  return {
    kind: "file",
    volume,
    node,
    position: 0,
    flags,
    rights: { base: rights ?? fileRights, inheriting: 0n },
  };
}

export function openDirectory(volume: Volume, node: DirectoryNode, rights?: Rights): OpenDirectory {
  const all = { base: directoryRights, inheriting: directoryRights | fileRights };
  return { kind: "directory", volume, node, flags: 0, rights: rights ?? all };
}

export function input(bytes: Uint8Array): Input {
  return { kind: "input", bytes, position: 0, flags: 0, rights: { base: inputRights, inheriting: 0n } };
}

export function output(write: (bytes: Uint8Array) => void): Output {
  return { kind: "output", write, flags: 0, rights: { base: outputRights, inheriting: 0n } };
}

export function fileTypeOf(descriptor: Descriptor): number {
  if (descriptor.kind === "file") return FileType.regularFile;
  return descriptor.kind === "directory" ? FileType.directory : FileType.unknown;
}

/** The open descriptors of one guest: 0, 1 and 2 are its streams, from 3 on come preopened directories. */
export class Descriptors {
  #open: (Descriptor | undefined)[];

  constructor(...open: Descriptor[]) {
    this.#open = open;
  }

  /** @throws Refusal `badf`. */
  get(fd: number): Descriptor {
    return this.#open[fd >>> 0] ?? refuse(Errno.badf);
  }

  /** @throws Refusal `badf`, `notdir`. */
  directory(fd: number): OpenDirectory {
    const descriptor = this.get(fd);
    return descriptor.kind === "directory" ? descriptor : refuse(Errno.notdir);
  }

  /** A regular file with this right. @throws Refusal `badf` also without the right, `isdir`, `spipe`. */
  file(fd: number, right = 0n): OpenFile {
    const descriptor = this.get(fd);
    if (descriptor.kind === "directory") refuse(Errno.badf);
    if (descriptor.kind !== "file") refuse(Errno.spipe);
    if ((descriptor.rights.base & right) !== right) refuse(Errno.badf);
    return descriptor;
  }

  /** Gives the lowest free number. @throws Refusal `mfile`. */
  add(descriptor: Descriptor): number {
    let fd = 0;
    while (this.#open[fd] !== undefined) fd++;
    if (fd >= maxDescriptors) refuse(Errno.mfile);
    this.#open[fd] = descriptor;
    return fd;
  }

  /** @throws Refusal `badf`. */
  close(fd: number): void {
    this.get(fd);
    this.#open[fd >>> 0] = undefined;
  }

  /** `to` becomes what `from` was, which is closed. @throws Refusal `badf` when one of them is not open. */
  renumber(from: number, to: number): void {
    const descriptor = this.get(from);
    this.get(to);
    this.#open[from >>> 0] = undefined;
    this.#open[to >>> 0] = descriptor;
  }
}

/** Reads into one buffer after the other. @returns How much there was. */
export function readInto(source: Uint8Array, buffers: readonly Uint8Array[]): number {
  let at = 0;
  for (const buffer of buffers) {
    const part = source.subarray(at, at + buffer.length);
    buffer.set(part);
    at += part.length;
    if (part.length < buffer.length) break;
  }
  return at;
}

export const totalLength = (buffers: readonly Uint8Array[]): number =>
  buffers.reduce((sum, { length }) => sum + length, 0);
