import { FileType, Size, TimeFlag } from "./abi.ts";
import { Errno, refuse } from "./errno.ts";
import type { Node, Volume } from "./file-system.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Writes a `filestat`; of a stream, which has no node, it says nothing. */
export function writeFileStat(memory: GuestMemory, result: number, node: Node | undefined): void {
  memory.bytes(result, Size.filestat).fill(0);
  memory.setU8(result + 16, node?.type ?? FileType.unknown);
  if (!node) return;
  memory.setU64(result + 8, node.ino);
  memory.setU64(result + 24, BigInt(node.links));
  memory.setU64(result + 32, BigInt(node.size));
  memory.setU64(result + 40, node.accessed);
  memory.setU64(result + 48, node.modified);
  memory.setU64(result + 56, node.changed);
}

/** Sets times as `fstflags` says. @throws Refusal `inval` for flags that exclude each other, `rofs`. */
export function writeTimes(
  volume: Volume,
  node: Node,
  accessed: bigint,
  modified: bigint,
  flags: number,
  now: bigint,
): void {
  const both = (one: number, other: number) => (flags & one) !== 0 && (flags & other) !== 0;
  if (both(TimeFlag.atim, TimeFlag.atimNow) || both(TimeFlag.mtim, TimeFlag.mtimNow)) refuse(Errno.inval);
  volume.mustBeWritable();
  if ((flags & TimeFlag.atim) !== 0) node.accessed = accessed;
  if ((flags & TimeFlag.atimNow) !== 0) node.accessed = now;
  if ((flags & TimeFlag.mtim) !== 0) node.modified = modified;
  if ((flags & TimeFlag.mtimNow) !== 0) node.modified = now;
  node.changed = now;
}
