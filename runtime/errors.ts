/** What can be wrong with the parts that a runtime is made of. */
export type RuntimeErrorCode =
  /** The artefact's bytes are no artefact, or a broken one. */
  | "artifact_invalid"
  /** The artefact was built for another engine: build it again from its sources. */
  | "engine_mismatch"
  /** The JavaScript engine that this runs on lacks something that sandboxes need. */
  | "host_unsupported"
  /** There is no room for another sandbox. */
  | "overloaded";

export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;
  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
  }
}
