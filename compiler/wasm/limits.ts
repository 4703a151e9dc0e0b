import { WasmError } from "./errors.ts";

/** Upper bounds on a module, checked while it is read, before anything is done with it. */
export interface ModuleLimits {
  /** The whole file, bytes. */
  size: number;
  types: number;
  /** Parameters, and results, of one type. */
  arity: number;
  imports: number;
  exports: number;
  /** Functions that the module defines. */
  functions: number;
  globals: number;
  tags: number;
  tables: number;
  /** Entries that a table has to begin with. */
  tableEntries: number;
  memories: number;
  /** Pages of 64 KiB that a memory has to begin with. */
  memoryPages: number;
  elementSegments: number;
  /** Entries of all element segments together. */
  elements: number;
  dataSegments: number;
  /** Bytes of all data segments together. */
  dataBytes: number;
  /** Bytes of one function's code. */
  functionBytes: number;
  /** Local variables of one function, parameters not counted. */
  locals: number;
  /** Blocks inside each other. */
  nesting: number;
  /** Targets of one `br_table`. */
  branchTargets: number;
  /** Targets of the `br_table`s of all functions together. */
  allBranchTargets: number;
  /** Blocks, loops, ifs and tries of all functions together. */
  blocks: number;
  /** Those of them that are loops. */
  loops: number;
  /** Direct calls in all functions together. */
  calls: number;
  /** Bytes of a name in imports, exports and custom sections. */
  nameBytes: number;
  /** Bytes of all custom sections together. */
  customBytes: number;
}

/** Roomy enough for a whole JavaScript engine (SpiderMonkey has 12 MB), small enough to be read in about a second. */
export const defaultLimits: ModuleLimits = {
  size: 32 * 1024 * 1024,
  types: 10_000,
  arity: 128,
  imports: 1_000,
  exports: 10_000,
  functions: 50_000,
  globals: 10_000,
  tags: 1_000,
  tables: 16,
  tableEntries: 100_000,
  memories: 4,
  memoryPages: 16_384,
  elementSegments: 10_000,
  elements: 200_000,
  // what browsers take, and as many as Go makes of a large program
  dataSegments: 100_000,
  dataBytes: 16 * 1024 * 1024,
  functionBytes: 1024 * 1024,
  locals: 10_000,
  // Go nests a block for each place at which a goroutine can go on
  nesting: 10_000,
  branchTargets: 10_000,
  allBranchTargets: 1_000_000,
  blocks: 1_000_000,
  loops: 100_000,
  calls: 500_000,
  nameBytes: 4_096,
  customBytes: 16 * 1024 * 1024,
};

/** For modules that we make ourselves: the binary format's own bounds are all there is. */
export const noLimits: ModuleLimits = Object.fromEntries(
  Object.keys(defaultLimits).map((name) => [name, Number.POSITIVE_INFINITY]),
) as unknown as ModuleLimits;

/** @throws WasmError `limit_exceeded`, naming the limit. */
export function checkLimit(
  limits: ModuleLimits,
  name: keyof ModuleLimits,
  value: number,
  offset?: number,
): void {
  if (value > limits[name]) {
    throw new WasmError("limit_exceeded", `${name} is ${value}, the limit is ${limits[name]}`, offset);
  }
}
