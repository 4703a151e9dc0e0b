import { FileType } from "./abi.ts";
import { Errno, refuse } from "./errno.ts";

/** What a volume may hold. */
export interface VolumeLimits {
  /** Bytes of all files. */
  bytes: number;
  /** Files, folders and links, and names for them. */
  entries: number;
}

let nextInode = 1n;

/** Something with a name: times in ns since the epoch. */
abstract class Inode {
  readonly ino = nextInode++;
  /** Names that it has. */
  links = 1;
  accessed: bigint;
  modified: bigint;
  changed: bigint;
  abstract readonly type: number;
  abstract readonly size: number;

  constructor(now: bigint) {
    this.accessed = now;
    this.modified = now;
    this.changed = now;
  }
}

export class FileNode extends Inode {
  readonly type = FileType.regularFile;
  #bytes: Uint8Array;
  #size: number;

  constructor(now: bigint, bytes: Uint8Array = new Uint8Array(0)) {
    super(now);
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  /** What is there from a position on, `length` bytes at most. */
  read(position: number, length: number): Uint8Array {
    return this.#bytes.subarray(Math.min(position, this.#size), Math.min(position + length, this.#size));
  }

  /** Writes, filling what lies between the end and the position with zeros. */
  write(position: number, bytes: Uint8Array): void {
    this.#ensure(position + bytes.length);
    this.#bytes.set(bytes, position);
  }

  resize(size: number): void {
    if (size < this.#size) {
      this.#bytes.fill(0, size, this.#size);
      this.#size = size;
    } else this.#ensure(size);
  }

  #ensure(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, Math.min(this.#bytes.length * 2, size + 1024 * 1024)));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#size = Math.max(this.#size, size);
  }
}

export class LinkNode extends Inode {
  readonly type = FileType.symbolicLink;
  readonly target: string;

  constructor(now: bigint, target: string) {
    super(now);
    this.target = target;
  }

  get size(): number {
    return Buffer.byteLength(this.target);
  }
}

export class DirectoryNode extends Inode {
  readonly type = FileType.directory;
  readonly size = 0;
  /** `order` grows with each new name: reading goes on by it while names come and go. */
  readonly entries = new Map<string, { node: Node; order: number }>();
  #nextOrder = 0;

  get(name: string): Node | undefined {
    return this.entries.get(name)?.node;
  }

  set(name: string, node: Node): void {
    this.entries.set(name, { node, order: this.#nextOrder++ });
  }
}

export type Node = FileNode | DirectoryNode | LinkNode;

/**
 * Files in memory: what a preopened directory leads to. A volume that is not writable may be shared by many guests; one that is has
 * bounds, which count what was written, deleted or not.
 */
export class Volume {
  readonly root: DirectoryNode;
  /** Null: read-only. */
  readonly #left: VolumeLimits | null;

  private constructor(root: DirectoryNode, left: VolumeLimits | null) {
    this.root = root;
    this.#left = left;
  }

  /** A volume that is read-only, with files by path (`a/b.txt`). */
  static of(files: Readonly<Record<string, Uint8Array>>): Volume {
    const root = new DirectoryNode(0n);
    for (const [path, bytes] of Object.entries(files)) {
      const names = path.split("/");
      let folder = root;
      for (const name of names.slice(0, -1)) {
        const known = folder.get(name);
        const next = known instanceof DirectoryNode ? known : new DirectoryNode(0n);
        if (next !== known) folder.set(name, next);
        folder = next;
      }
      folder.set(names.at(-1)!, new FileNode(0n, bytes));
    }
    return new Volume(root, null);
  }

  /** An empty volume to write to. `now`: ns since the epoch. */
  static scratch(limits: VolumeLimits, now: bigint): Volume {
    return new Volume(new DirectoryNode(now), { ...limits });
  }

  get writable(): boolean {
    return this.#left !== null;
  }

  /** @throws Refusal `rofs`. */
  mustBeWritable(): VolumeLimits {
    return this.#left ?? refuse(Errno.rofs);
  }

  /** Makes room for bytes. @throws Refusal `rofs`, `nospc`. */
  claim(bytes: number): void {
    const left = this.mustBeWritable();
    if (bytes > left.bytes) refuse(Errno.nospc);
    left.bytes -= bytes;
  }

  /** A new name. @throws Refusal `rofs`, `nospc`, `nametoolong`. */
  add<T extends Node>(folder: DirectoryNode, name: string, node: T): T {
    const left = this.mustBeWritable();
    if (Buffer.byteLength(name) > 255) refuse(Errno.nametoolong);
    if (left.entries === 0) refuse(Errno.nospc);
    left.entries--;
    folder.set(name, node);
    return node;
  }

  /** @throws Refusal `rofs`. */
  remove(folder: DirectoryNode, name: string): void {
    this.mustBeWritable();
    const node = folder.get(name);
    if (node) node.links--;
    folder.entries.delete(name);
  }

  /** @throws Refusal `rofs`, `nospc`, `fbig`. */
  write(file: FileNode, position: number, bytes: Uint8Array, now: bigint): void {
    this.#makeRoom(file, position + bytes.length);
    file.write(position, bytes);
    touch(file, now);
  }

  /** @throws Refusal `rofs`, `nospc`, `fbig`. */
  resize(file: FileNode, size: number, now: bigint): void {
    this.#makeRoom(file, size);
    file.resize(size);
    touch(file, now);
  }

  #makeRoom(file: FileNode, size: number): void {
    if (!Number.isSafeInteger(size)) refuse(Errno.fbig);
    this.claim(Math.max(0, size - file.size));
  }
}

function touch(file: FileNode, now: bigint): void {
  file.modified = now;
  file.changed = now;
}
