import { basicCalls } from "./calls-basic.ts";
import { descriptorCalls } from "./calls-descriptors.ts";
import { pathCalls } from "./calls-paths.ts";
import { Errno, Refusal } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { poll } from "./poll.ts";
import type { WasiSystem } from "./system.ts";

/** Module name of WASI preview 1. */
export const preview1Module = "wasi_snapshot_preview1";

const immediateCalls = { ...basicCalls, ...descriptorCalls, ...pathCalls };

/** Every function of WASI preview 1. */
export const preview1Names: readonly string[] = [...Object.keys(immediateCalls), "poll_oneoff"];

/** What a C library calls while it starts, and gets the same answer to in every request. */
const harmless = new Set(["fd_prestat_get", "fd_prestat_dir_name", "fd_fdstat_get", "sched_yield"]);

type Call = (system: WasiSystem, memory: GuestMemory, ...args: never[]) => void;
type Guest = () => { system: WasiSystem; memory: GuestMemory };

/**
 * All functions of WASI preview 1, for the guest that runs at the time of each call. What a guest may not do, or does wrong, is an error number;
 * a pointer outside of its memory is `fault`.
 */
export function preview1Imports(guest: Guest): WebAssembly.ModuleImports {
  const imports: WebAssembly.ModuleImports = {};
  for (const [name, call] of Object.entries(immediateCalls))
    imports[name] = immediate(guest, call as Call, !harmless.has(name));
  imports.poll_oneoff = new WebAssembly.Suspending((...args: number[]) => {
    const { system, memory } = guest();
    system.touched = true;
    try {
      system.charge(0);
      const polled = poll(system, memory, ...(args as [number, number, number, number]));
      return polled ? polled.then(() => Errno.success, errnoOf) : Errno.success;
    } catch (cause) {
      return errnoOf(cause);
    }
  }) as unknown as WebAssembly.ImportValue;
  return imports;
}

function immediate(guest: Guest, call: Call, touches: boolean): (...args: unknown[]) => number {
  return (...args) => {
    const { system, memory } = guest();
    if (touches) system.touched = true;
    try {
      system.charge(0);
      call(system, memory, ...(args as never[]));
      return Errno.success;
    } catch (cause) {
      return errnoOf(cause);
    }
  };
}

function errnoOf(cause: unknown): Errno {
  if (cause instanceof Refusal) return cause.errno;
  throw cause;
}
