/** Error numbers of WASI preview 1 (wasi_snapshot_preview1.witx, `errno`), those that this host uses. */
export const Errno = {
  success: 0,
  acces: 2,
  badf: 8,
  exist: 20,
  fault: 21,
  fbig: 22,
  ilseq: 25,
  inval: 28,
  isdir: 31,
  loop: 32,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nospc: 51,
  nosys: 52,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  notsup: 58,
  perm: 63,
  rofs: 69,
  spipe: 70,
  notcapable: 76,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

/** Thrown by the host's functions where a guest gets an error number. No `Error`: nobody needs its stack, and it is thrown often. */
export class Refusal {
  readonly errno: Errno;
  constructor(errno: Errno) {
    this.errno = errno;
  }
}

/** @throws Refusal */
export function refuse(errno: Errno): never {
  throw new Refusal(errno);
}
