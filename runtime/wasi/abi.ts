/** Constants and layouts of WASI preview 1 (wasi_snapshot_preview1.witx). */

export const FileType = { unknown: 0, directory: 3, regularFile: 4, symbolicLink: 7 } as const;

/** `fdflags`. */
export const FdFlag = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;

/** `oflags` of `path_open`. */
export const OpenFlag = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;

/** `fstflags`. */
export const TimeFlag = { atim: 1, atimNow: 2, mtim: 4, mtimNow: 8 } as const;

export const Whence = { set: 0, current: 1, end: 2 } as const;

export const Clock = { realtime: 0, monotonic: 1 } as const;

export const EventType = { clock: 0, fdRead: 1, fdWrite: 2 } as const;

/** Bit of a subscription to a clock: the time is absolute. */
export const absoluteTime = 1;

/** Bit of `lookupflags`. */
export const followSymlinks = 1;

const bit = (index: number): bigint => 1n << BigInt(index);

export const Right = {
  fdDatasync: bit(0),
  fdRead: bit(1),
  fdSeek: bit(2),
  fdFdstatSetFlags: bit(3),
  fdSync: bit(4),
  fdTell: bit(5),
  fdWrite: bit(6),
  fdAdvise: bit(7),
  fdAllocate: bit(8),
  pathFilestatSetSize: bit(19),
  fdFilestatGet: bit(21),
  fdFilestatSetSize: bit(22),
  fdFilestatSetTimes: bit(23),
  pollFdReadwrite: bit(27),
} as const;

/** What can be done with a file. */
export const fileRights =
  Right.fdDatasync |
  Right.fdRead |
  Right.fdSeek |
  Right.fdFdstatSetFlags |
  Right.fdSync |
  Right.fdTell |
  Right.fdWrite |
  Right.fdAdvise |
  Right.fdAllocate |
  Right.fdFilestatGet |
  Right.fdFilestatSetSize |
  Right.fdFilestatSetTimes |
  Right.pollFdReadwrite;

/** What can be done with a directory: all of paths and reading it (bits 9 to 20, 24 to 26), and what concerns its own times. */
export const directoryRights =
  Array.from({ length: 18 }, (_, i) => bit(i + 9)).reduce((all, right) => all | right, 0n) &
  ~Right.fdFilestatSetSize;

export const inputRights = Right.fdRead | Right.fdFilestatGet | Right.pollFdReadwrite;
export const outputRights = Right.fdWrite | Right.fdFilestatGet | Right.pollFdReadwrite;

/** Sizes of structures, bytes. */
export const Size = {
  vector: 8,
  fdstat: 24,
  filestat: 64,
  dirent: 24,
  prestat: 8,
  subscription: 48,
  event: 32,
} as const;

/** What a look at one entry of a folder counts as, in bytes of a call of the host. */
export const entryCost = 64;
