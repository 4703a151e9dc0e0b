/** Why a module was refused. */
export type WasmErrorCode =
  /** The bytes are not a WebAssembly module. */
  | "malformed"
  /** Valid perhaps, but it uses something that can't be metered (yet). */
  | "unsupported"
  /** A symbol that linking needs is missing or has another type. */
  | "link_failed";

/** A module that can't be read, linked or metered. `offset` is the byte position in the input, where it is known. */
export class WasmError extends Error {
  readonly code: WasmErrorCode;
  readonly offset: number | undefined;

  constructor(code: WasmErrorCode, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`);
    this.name = "WasmError";
    this.code = code;
    this.offset = offset;
  }
}
