import type { Guest } from "../instance.ts";

/** Error numbers of WASI preview 1. */
const Errno = { success: 0, badf: 8, nosys: 52 } as const;

const decoder = new TextDecoder();

/**
 * The six functions of WASI preview 1 that the engine's C library imports. There are no files: only clocks, randomness and what
 * the engine writes to its standard output. Pointers are checked by `view`.
 */
export function wasiImports(
  guest: () => Guest,
  view: (pointer: number, length: number) => Uint8Array<ArrayBuffer>,
) {
  const data = (pointer: number, length: number): DataView => {
    const bytes = view(pointer, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  return {
    clock_time_get: (_clock: number, _precision: bigint, result: number): number => {
      data(result, 8).setBigUint64(0, BigInt(Math.trunc(guest().now())) * 1_000_000n, true);
      return Errno.success;
    },
    random_get: (pointer: number, length: number): number =>
      guest().random(view(pointer, length)) ? Errno.success : Errno.nosys,
    fd_write: (fd: number, vectors: number, count: number, written: number): number => {
      if (fd !== 1 && fd !== 2) return Errno.badf;
      let text = "";
      let total = 0;
      for (let i = 0; i < Math.min(count, 16); i++) {
        const vector = data(vectors + i * 8, 8);
        const part = view(vector.getUint32(0, true), vector.getUint32(4, true));
        text += decoder.decode(part.subarray(0, 4096));
        total += part.length;
      }
      guest().write(text);
      data(written, 4).setUint32(0, total, true);
      return Errno.success;
    },
    fd_close: () => Errno.nosys,
    fd_fdstat_get: () => Errno.badf,
    fd_seek: () => Errno.nosys,
  };
}
