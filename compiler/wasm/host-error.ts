/** Why a {@link MeterHost} refused to do something. */
export type MeterHostErrorCode =
  /** The module does not come from `meter` or `meterBytes`, or it counts no fuel and the host is to bound it. */
  | "not_metered"
  /** Its memories or tables begin larger than the host's limits. */
  | "limit_exceeded"
  /** The host has an instance already. */
  | "already_instantiated"
  /** The host has no instance, or no snapshot, yet. */
  | "not_ready"
  /** The guest runs, or waits to go on. */
  | "running"
  /** The guest was stopped: its state is that of some moment. */
  | "stopped"
  /** The JavaScript engine can't suspend WebAssembly. */
  | "unsupported";

/** Misuse of a {@link MeterHost}, or a module that it can't take. */
export class MeterHostError extends Error {
  readonly code: MeterHostErrorCode;

  constructor(code: MeterHostErrorCode, message: string) {
    super(message);
    this.name = "MeterHostError";
    this.code = code;
  }
}
