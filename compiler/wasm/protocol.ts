/** Module name of the imports that metering adds. */
export const meterModule = "thimble:meter";

/** What the host answers when a slice of fuel has ended. */
export const SliceAnswer = {
  /** Go on: the host has put a new slice into the fuel global. */
  go: 0,
  /** Execute `unreachable`: no handler in the guest can catch it. */
  trap: 1,
  /** Call the suspending import, then go on or trap as it answers. */
  yield: 2,
} as const;

/** What the host answers to `memory.grow` besides the size before it in pages, and to `table.grow` besides 0 for leave. */
export const GrowAnswer = {
  /** The instruction's result is -1. */
  refuse: -1,
  /** Execute `unreachable`. */
  trap: -2,
} as const;

/** Names of the exports that metering adds. */
export const MeterExport = {
  /** Mutable i64: what is left of the current slice; below zero when it has ended. */
  fuel: "thimble:fuel",
  /** Function, where the module has a start function: the host calls it first, once. A metered module has no start section. */
  start: "thimble:start",
  /** Prefix of mutable i32s, followed by a memory's index: its size as the guest sees it, in pages of 64 KiB. */
  pages: "thimble:pages:",
  /** Prefix of the module's own memories, followed by their index. */
  memory: "thimble:memory:",
  /** Prefix of the module's own tables, followed by their index. */
  table: "thimble:table:",
  /** Prefix of the module's own mutable globals, followed by their index. */
  global: "thimble:global:",
  /** Mutable i32, where the code changes tables or drops segments: {@link Changed} bits. */
  changed: "thimble:changed",
  /** Function, where there are globals that JavaScript can't read, or not bit by bit: remembers their values. */
  save: "thimble:save",
  /** Function: sets them to what was remembered. */
  restore: "thimble:restore",
} as const;

/** Whether a name is, or begins, one of those that metering adds. */
export const isReserved = (name: string): boolean =>
  Object.values(MeterExport).some((known) => name.startsWith(known));

/** Bits of {@link MeterExport.changed}. */
export const Changed = {
  /** An entry of a table, or its length. */
  tables: 1,
  /** A segment was dropped: the instance can't become what it was. */
  segments: 2,
} as const;

/** The marks that a module sets whose writes are tracked: one byte for each card of its memory, 1 where something was written. */
export const WriteMap = {
  export: "thimble:written",
  cardBytesLog2: 8,
  cardBytes: 256,
  /** Address of the first card's mark. */
  offset: 8,
  /** How far a store may reach into the card after the one that it marks: no store is longer. */
  spillBytes: 16,
  /** Size of the memory of marks, pages: enough for a memory of 4 GiB. */
  pages: 257,
} as const;
