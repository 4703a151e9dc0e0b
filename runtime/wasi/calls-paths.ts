import { directoryRights, entryCost, FdFlag, fileRights, followSymlinks, OpenFlag, Right } from "./abi.ts";
import { type OpenDirectory, openDirectory, openFile } from "./descriptors.ts";
import { Errno, refuse } from "./errno.ts";
import { writeFileStat, writeTimes } from "./file-stat.ts";
import { DirectoryNode, FileNode, LinkNode, type Node } from "./file-system.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { type Found, lookUp } from "./path-lookup.ts";
import type { WasiSystem } from "./system.ts";

/** The functions of WASI preview 1 that take a path. */
export const pathCalls = {
  path_create_directory(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    path: number,
    length: number,
  ): void {
    const { volume, found } = find(system, memory, fd, path, length);
    if (found.node) refuse(Errno.exist);
    volume.add(found.folder, found.name, new DirectoryNode(system.now()));
  },

  path_filestat_get(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    flags: number,
    path: number,
    length: number,
    result: number,
  ): void {
    writeFileStat(memory, result, existing(find(system, memory, fd, path, length, flags).found));
  },

  path_filestat_set_times(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    flags: number,
    path: number,
    length: number,
    atim: bigint,
    mtim: bigint,
    timeFlags: number,
  ): void {
    const { volume, found } = find(system, memory, fd, path, length, flags);
    writeTimes(volume, existing(found), atim, mtim, timeFlags, system.now());
  },

  path_link(
    system: WasiSystem,
    memory: GuestMemory,
    fromFd: number,
    flags: number,
    from: number,
    fromLength: number,
    toFd: number,
    to: number,
    toLength: number,
  ): void {
    if ((flags & followSymlinks) !== 0) refuse(Errno.inval);
    const source = find(system, memory, fromFd, from, fromLength);
    const target = find(system, memory, toFd, to, toLength);
    const node = existing(source.found);
    if (target.found.node) refuse(Errno.exist);
    if (target.found.slash) refuse(Errno.noent);
    if (node instanceof DirectoryNode || source.volume !== target.volume) refuse(Errno.perm);
    target.volume.add(target.found.folder, target.found.name, node);
    node.links++;
  },

  path_open(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    lookupFlags: number,
    path: number,
    length: number,
    openFlags: number,
    base: bigint,
    inheriting: bigint,
    flags: number,
    result: number,
  ): void {
    const { volume, found, from } = find(system, memory, fd, path, length, lookupFlags);
    const has = (flag: number) => (openFlags & flag) !== 0;
    if (has(OpenFlag.create) && has(OpenFlag.directory)) refuse(Errno.inval);
    if (has(OpenFlag.exclusive) && has(OpenFlag.create) && found.node) refuse(Errno.exist);
    if (found.node instanceof LinkNode) refuse(Errno.loop);
    const wanted = BigInt.asUintN(64, base) & from.rights.inheriting;
    const writes = (wanted & Right.fdWrite) !== 0n;
    if (has(OpenFlag.truncate)) {
      if ((from.rights.base & Right.pathFilestatSetSize) === 0n) refuse(Errno.notcapable);
      if (found.node instanceof DirectoryNode) refuse(Errno.isdir);
    }
    const node = found.node ?? create(found, has(OpenFlag.create));
    if (node instanceof DirectoryNode) {
      // writing is for files; who asks for all rights that there are does not mean it
      if (writes && has(OpenFlag.directory) && (wanted & directoryRights) === 0n) refuse(Errno.isdir);
      const rights = {
        base: wanted & directoryRights,
        inheriting: BigInt.asUintN(64, inheriting) & from.rights.inheriting,
      };
      memory.setU32(result, system.descriptors.add(openDirectory(volume, node, rights)));
      return;
    }
    if (has(OpenFlag.directory) || found.slash) refuse(Errno.notdir);
    if (!found.node || writes || has(OpenFlag.truncate)) volume.mustBeWritable();
    const opened = system.descriptors.add(openFile(volume, node, flags & knownFlags, wanted & fileRights));
    if (!found.node) volume.add(found.folder, found.name, node);
    else if (has(OpenFlag.truncate)) volume.resize(node, 0, system.now());
    memory.setU32(result, opened);

    function create({ slash }: Found, allowed: boolean): FileNode {
      if (!allowed) refuse(Errno.noent);
      if (slash) refuse(Errno.isdir);
      return new FileNode(system.now());
    }
  },

  path_readlink(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    path: number,
    length: number,
    buffer: number,
    size: number,
    result: number,
  ): void {
    const node = existing(find(system, memory, fd, path, length).found);
    if (!(node instanceof LinkNode)) refuse(Errno.inval);
    const target = Buffer.from(node.target).subarray(0, size >>> 0);
    memory.bytes(buffer, target.length).set(target);
    memory.setU32(result, target.length);
  },

  path_remove_directory(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    path: number,
    length: number,
  ): void {
    const { volume, found } = find(system, memory, fd, path, length);
    const node = existing(found);
    if (!(node instanceof DirectoryNode)) refuse(Errno.notdir);
    if (found.name === "") refuse(Errno.inval);
    if (node.entries.size > 0) refuse(Errno.notempty);
    volume.remove(found.folder, found.name);
  },

  path_rename(
    system: WasiSystem,
    memory: GuestMemory,
    fromFd: number,
    from: number,
    fromLength: number,
    toFd: number,
    to: number,
    toLength: number,
  ): void {
    const source = find(system, memory, fromFd, from, fromLength);
    const target = find(system, memory, toFd, to, toLength);
    const node = existing(source.found);
    const there = target.found.node;
    if (source.found.name === "" || target.found.name === "") refuse(Errno.inval);
    if (source.volume !== target.volume) refuse(Errno.perm);
    if (there === node) return;
    if (node instanceof DirectoryNode) {
      if (there && !(there instanceof DirectoryNode)) refuse(Errno.notdir);
      if (there instanceof DirectoryNode && there.entries.size > 0) refuse(Errno.notempty);
      if (contains(system, node, target.found.folder)) refuse(Errno.inval);
    } else {
      if (there instanceof DirectoryNode) refuse(Errno.isdir);
      if (source.found.slash || target.found.slash) refuse(Errno.notdir);
    }
    const { volume } = source;
    if (there) volume.remove(target.found.folder, target.found.name);
    volume.add(target.found.folder, target.found.name, node);
    source.found.folder.entries.delete(source.found.name);
  },

  path_symlink(
    system: WasiSystem,
    memory: GuestMemory,
    target: number,
    targetLength: number,
    fd: number,
    path: number,
    length: number,
  ): void {
    const text = memory.path(target, targetLength);
    if (text === "") refuse(Errno.noent);
    if (text.startsWith("/")) refuse(Errno.notcapable);
    const { volume, found } = find(system, memory, fd, path, length);
    if (found.node) refuse(Errno.exist);
    if (found.slash) refuse(Errno.noent);
    volume.claim(Buffer.byteLength(text));
    volume.add(found.folder, found.name, new LinkNode(system.now(), text));
  },

  path_unlink_file(system: WasiSystem, memory: GuestMemory, fd: number, path: number, length: number): void {
    const { volume, found } = find(system, memory, fd, path, length);
    const node = existing(found);
    if (node instanceof DirectoryNode) refuse(Errno.isdir);
    volume.remove(found.folder, found.name);
  },
};

const knownFlags = FdFlag.append | FdFlag.dsync | FdFlag.nonblock | FdFlag.rsync | FdFlag.sync;

function find(system: WasiSystem, memory: GuestMemory, fd: number, path: number, length: number, flags = 0) {
  const from: OpenDirectory = system.descriptors.directory(fd);
  system.charge(length >>> 0);
  const follow = (flags & followSymlinks) !== 0;
  const found = lookUp(from.node, memory.path(path, length), follow, (link) => system.charge(link.size));
  return { from, volume: from.volume, found };
}

/** @throws Refusal `noent`; `notdir` for a path that ends in `/` at what is no folder. */
function existing({ node, slash }: Found): Node {
  if (!node) refuse(Errno.noent);
  if (slash && !(node instanceof DirectoryNode)) refuse(Errno.notdir);
  return node;
}

function contains(system: WasiSystem, folder: DirectoryNode, wanted: DirectoryNode): boolean {
  if (folder === wanted) return true;
  system.charge(folder.entries.size * entryCost);
  for (const { node } of folder.entries.values()) {
    if (node instanceof DirectoryNode && contains(system, node, wanted)) return true;
  }
  return false;
}
