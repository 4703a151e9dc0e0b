import { Clock } from "./abi.ts";
import { Errno, refuse } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { WasiSystem } from "./system.ts";

/** Grain of both clocks, ns. */
const clockGrain = 1_000_000n;
/** Most random bytes of one call: making them holds the thread. */
const maxRandomBytes = 1024 * 1024;

/** Everything of WASI preview 1 that has nothing to do with descriptors. */
export const basicCalls = {
  args_get({ args }: WasiSystem, memory: GuestMemory, pointers: number, buffer: number): void {
    writeStrings(memory, args, pointers, buffer);
  },

  args_sizes_get({ args }: WasiSystem, memory: GuestMemory, count: number, size: number): void {
    writeSizes(memory, args, count, size);
  },

  environ_get({ env }: WasiSystem, memory: GuestMemory, pointers: number, buffer: number): void {
    writeStrings(memory, env, pointers, buffer);
  },

  environ_sizes_get({ env }: WasiSystem, memory: GuestMemory, count: number, size: number): void {
    writeSizes(memory, env, count, size);
  },

  clock_res_get(_: WasiSystem, memory: GuestMemory, clock: number, result: number): void {
    if (clock !== Clock.realtime && clock !== Clock.monotonic) refuse(Errno.badf);
    memory.setU64(result, clockGrain);
  },

  /** Clocks of CPU time are not there: they would tell how the guest is scheduled. */
  clock_time_get(
    system: WasiSystem,
    memory: GuestMemory,
    clock: number,
    _precision: bigint,
    result: number,
  ): void {
    if (clock !== Clock.realtime && clock !== Clock.monotonic) refuse(Errno.badf);
    memory.setU64(result, clock === Clock.realtime ? system.now() : system.uptime());
  },

  random_get(system: WasiSystem, memory: GuestMemory, pointer: number, length: number): void {
    if (length >>> 0 > maxRandomBytes) refuse(Errno.inval);
    system.charge(length >>> 0);
    system.random(memory.bytes(pointer, length));
  },

  proc_exit(system: WasiSystem, _: GuestMemory, code: number): void {
    system.exit(code >>> 0);
  },

  proc_raise(): void {
    refuse(Errno.notsup);
  },

  sched_yield(): void {},
};

/** Strings with a NUL behind each, and pointers to them. */
function writeStrings(
  memory: GuestMemory,
  strings: readonly Uint8Array[],
  pointers: number,
  buffer: number,
): void {
  let at = buffer >>> 0;
  for (const [i, text] of strings.entries()) {
    memory.setU32((pointers >>> 0) + i * 4, at);
    memory.bytes(at, text.length).set(text);
    memory.setU8(at + text.length, 0);
    at += text.length + 1;
  }
}

function writeSizes(memory: GuestMemory, strings: readonly Uint8Array[], count: number, size: number): void {
  memory.setU32(count, strings.length);
  memory.setU32(
    size,
    strings.reduce((sum, { length }) => sum + length + 1, 0),
  );
}
