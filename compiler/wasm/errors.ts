/** Why a module was refused. */
export type WasmErrorCode =
  /** The bytes are not a WebAssembly module. */
  | "malformed"
  /** Valid perhaps, but it uses a proposal or a name that can't be metered; the message names it. */
  | "unsupported"
  /** Larger than a limit of {@link ModuleLimits}; the message names the limit. */
  | "limit_exceeded"
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
