import type { Descriptors } from "./descriptors.ts";

/**
 * What a guest's WASI functions act on: one guest's arguments, variables, descriptors and clocks. Times are in ns.
 */
export interface WasiSystem {
  readonly args: readonly Uint8Array[];
  /** `NAME=value`, in UTF-8. */
  readonly env: readonly Uint8Array[];
  readonly descriptors: Descriptors;
  /** Whether the guest has asked for anything that another guest would be told differently. */
  touched: boolean;
  /** Wall clock: stands still while the guest computes. */
  now(): bigint;
  /** The same for durations, from some point in the past. */
  uptime(): bigint;
  /** Fills with random bytes. */
  random(bytes: Uint8Array): void;
  /** Takes fuel for a call that handles so many bytes. @throws what ends the guest when it may not go on. */
  charge(bytes: number): void;
  /** Waits; clocks go on meanwhile. Undefined where the guest can't be suspended. */
  sleep(ns: bigint): Promise<void> | undefined;
  /** Ends the guest: throws. */
  exit(code: number): never;
}
