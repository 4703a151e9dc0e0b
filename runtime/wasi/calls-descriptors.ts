import { entryCost, FdFlag, Right, Size, Whence } from "./abi.ts";
import { type Descriptor, fileTypeOf, type OpenFile, readInto, totalLength } from "./descriptors.ts";
import { Errno, refuse } from "./errno.ts";
import { writeFileStat, writeTimes } from "./file-stat.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { WasiSystem } from "./system.ts";

/** The functions of WASI preview 1 that take a descriptor, `fd_…` and `sock_…`. */
export const descriptorCalls = {
  /** A hint that nothing follows from. */
  fd_advise(
    { descriptors }: WasiSystem,
    _: GuestMemory,
    fd: number,
    from: bigint,
    length: bigint,
    advice: number,
  ): void {
    const { kind } = descriptors.get(fd);
    if (kind === "directory") refuse(Errno.badf);
    if (kind !== "file") refuse(Errno.spipe);
    if (advice < 0 || advice > 5 || from < 0n || length < 0n) refuse(Errno.inval);
  },

  fd_allocate(system: WasiSystem, _: GuestMemory, fd: number, from: bigint, length: bigint): void {
    const { volume, node } = system.descriptors.file(fd, Right.fdAllocate);
    if (from < 0n || length <= 0n) refuse(Errno.inval);
    const end = Number(from + length);
    if (end > node.size) volume.resize(node, end, system.now());
  },

  fd_close({ descriptors }: WasiSystem, _: GuestMemory, fd: number): void {
    descriptors.close(fd);
  },

  fd_datasync({ descriptors }: WasiSystem, _: GuestMemory, fd: number): void {
    descriptors.get(fd);
  },

  fd_sync({ descriptors }: WasiSystem, _: GuestMemory, fd: number): void {
    descriptors.get(fd);
  },

  fd_fdstat_get({ descriptors }: WasiSystem, memory: GuestMemory, fd: number, result: number): void {
    const descriptor = descriptors.get(fd);
    memory.bytes(result, Size.fdstat).fill(0);
    memory.setU8(result, fileTypeOf(descriptor));
    memory.setU16(result + 2, descriptor.flags);
    memory.setU64(result + 8, descriptor.rights.base);
    memory.setU64(result + 16, descriptor.rights.inheriting);
  },

  fd_fdstat_set_flags({ descriptors }: WasiSystem, _: GuestMemory, fd: number, flags: number): void {
    const descriptor = descriptors.get(fd);
    if ((flags & ~(FdFlag.append | FdFlag.nonblock)) !== 0) refuse(Errno.inval);
    descriptor.flags = flags;
  },

  fd_fdstat_set_rights(
    { descriptors }: WasiSystem,
    _: GuestMemory,
    fd: number,
    base: bigint,
    inheriting: bigint,
  ): void {
    const { rights } = descriptors.get(fd);
    const more = (wanted: bigint, had: bigint) => (BigInt.asUintN(64, wanted) & ~had) !== 0n;
    if (more(base, rights.base) || more(inheriting, rights.inheriting)) refuse(Errno.notcapable);
    rights.base = BigInt.asUintN(64, base);
    rights.inheriting = BigInt.asUintN(64, inheriting);
  },

  fd_filestat_get({ descriptors }: WasiSystem, memory: GuestMemory, fd: number, result: number): void {
    const descriptor = descriptors.get(fd);
    writeFileStat(memory, result, "node" in descriptor ? descriptor.node : undefined);
  },

  fd_filestat_set_size(system: WasiSystem, _: GuestMemory, fd: number, size: bigint): void {
    const { volume, node } = system.descriptors.file(fd, Right.fdFilestatSetSize);
    if (size < 0n) refuse(Errno.inval);
    volume.resize(node, Number(size), system.now());
  },

  fd_filestat_set_times(
    system: WasiSystem,
    _: GuestMemory,
    fd: number,
    atim: bigint,
    mtim: bigint,
    flags: number,
  ): void {
    const descriptor = system.descriptors.get(fd);
    if (!("node" in descriptor)) refuse(Errno.badf);
    writeTimes(descriptor.volume, descriptor.node, atim, mtim, flags, system.now());
  },

  fd_pread(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    vectors: number,
    count: number,
    from: bigint,
    result: number,
  ): void {
    const { node } = system.descriptors.file(fd, Right.fdRead);
    const buffers = memory.vectors(vectors, count);
    const read = readInto(node.read(position(from), totalLength(buffers)), buffers);
    system.charge(read);
    memory.setU32(result, read);
  },

  fd_pwrite(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    vectors: number,
    count: number,
    from: bigint,
    result: number,
  ): void {
    const file = system.descriptors.file(fd, Right.fdWrite);
    const buffers = memory.vectors(vectors, count);
    const total = totalLength(buffers);
    system.charge(total);
    writeAt(system, file, appends(file) ? file.node.size : position(from), buffers);
    memory.setU32(result, total);
  },

  fd_read(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    vectors: number,
    count: number,
    result: number,
  ): void {
    const descriptor = system.descriptors.get(fd);
    mustHave(descriptor, Right.fdRead);
    const buffers = memory.vectors(vectors, count);
    const wanted = totalLength(buffers);
    let read = 0;
    if (descriptor.kind === "file")
      read = readInto(descriptor.node.read(descriptor.position, wanted), buffers);
    else if (descriptor.kind === "input")
      read = readInto(descriptor.bytes.subarray(descriptor.position), buffers);
    else refuse(Errno.badf);
    if ("position" in descriptor) descriptor.position += read;
    system.charge(read);
    memory.setU32(result, read);
  },

  fd_write(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    vectors: number,
    count: number,
    result: number,
  ): void {
    const descriptor = system.descriptors.get(fd);
    mustHave(descriptor, Right.fdWrite);
    const buffers = memory.vectors(vectors, count);
    const total = totalLength(buffers);
    system.charge(total);
    if (descriptor.kind === "output") for (const buffer of buffers) descriptor.write(buffer);
    else if (descriptor.kind === "file") {
      const at = appends(descriptor) ? descriptor.node.size : descriptor.position;
      descriptor.position = writeAt(system, descriptor, at, buffers);
    } else refuse(Errno.badf);
    memory.setU32(result, total);
  },

  fd_prestat_get({ descriptors }: WasiSystem, memory: GuestMemory, fd: number, result: number): void {
    memory.setU32(result, 0);
    memory.setU32(result + 4, preopened(descriptors.get(fd)).length);
  },

  fd_prestat_dir_name(
    { descriptors }: WasiSystem,
    memory: GuestMemory,
    fd: number,
    pointer: number,
    length: number,
  ): void {
    const name = preopened(descriptors.get(fd));
    if (length >>> 0 < name.length) refuse(Errno.nametoolong);
    memory.bytes(pointer, name.length).set(name);
  },

  /** Entries from a cookie on, the last one cut off where the buffer ends: a full buffer says that there are more. */
  fd_readdir(
    system: WasiSystem,
    memory: GuestMemory,
    fd: number,
    pointer: number,
    length: number,
    cookie: bigint,
    result: number,
  ): void {
    const { node } = system.descriptors.directory(fd);
    const buffer = memory.bytes(pointer, length);
    system.charge(buffer.length + node.entries.size * entryCost);
    const self = { name: ".", node, order: 0 };
    const entries = [...node.entries].map(([name, entry]) => ({
      name,
      node: entry.node,
      order: entry.order + 2,
    }));
    let at = 0;
    for (const entry of [self, { ...self, name: "..", order: 1 }, ...entries]) {
      if (BigInt(entry.order) < cookie) continue;
      const name = Buffer.from(entry.name);
      const bytes = Buffer.alloc(Size.dirent + name.length);
      bytes.writeBigUInt64LE(BigInt(entry.order + 1), 0);
      bytes.writeBigUInt64LE(entry.node.ino, 8);
      bytes.writeUInt32LE(name.length, 16);
      bytes.writeUInt8(entry.node.type, 20);
      name.copy(bytes, Size.dirent);
      const part = bytes.subarray(0, buffer.length - at);
      buffer.set(part, at);
      at += part.length;
      if (at === buffer.length) break;
    }
    memory.setU32(result, at);
  },

  fd_renumber({ descriptors }: WasiSystem, _: GuestMemory, from: number, to: number): void {
    descriptors.renumber(from, to);
  },

  fd_seek(
    { descriptors }: WasiSystem,
    memory: GuestMemory,
    fd: number,
    offset: bigint,
    whence: number,
    result: number,
  ): void {
    const file = descriptors.file(fd, Right.fdSeek);
    const bases: Record<number, number> = {
      [Whence.set]: 0,
      [Whence.current]: file.position,
      [Whence.end]: file.node.size,
    };
    const base = bases[whence] ?? refuse(Errno.inval);
    file.position = position(BigInt(base) + offset);
    memory.setU64(result, BigInt(file.position));
  },

  fd_tell({ descriptors }: WasiSystem, memory: GuestMemory, fd: number, result: number): void {
    memory.setU64(result, BigInt(descriptors.file(fd, Right.fdTell).position));
  },

  sock_accept: noSocket,
  sock_recv: noSocket,
  sock_send: noSocket,
  sock_shutdown: noSocket,
};

/** There are no sockets here. */
function noSocket({ descriptors }: WasiSystem, _: GuestMemory, fd: number): void {
  descriptors.get(fd);
  refuse(Errno.notsock);
}

/** @throws Refusal `badf`. */
function mustHave(descriptor: Descriptor, right: bigint): void {
  if ((descriptor.rights.base & right) === 0n) refuse(Errno.badf);
}

/** @throws Refusal `inval`. */
function position(value: bigint): number {
  const number = Number(value);
  return value >= 0n && Number.isSafeInteger(number) ? number : refuse(Errno.inval);
}

const appends = ({ flags }: OpenFile): boolean => (flags & FdFlag.append) !== 0;

/** The position behind what was written. */
function writeAt(
  system: WasiSystem,
  { volume, node }: OpenFile,
  start: number,
  buffers: readonly Uint8Array[],
): number {
  let at = start;
  for (const buffer of buffers) {
    volume.write(node, at, buffer, system.now());
    at += buffer.length;
  }
  return at;
}

function preopened(descriptor: Descriptor): Buffer {
  if (descriptor.kind !== "directory" || descriptor.preopened === undefined) refuse(Errno.badf);
  return Buffer.from(descriptor.preopened);
}
