import type { FunctionConfig } from "../compiler/types.ts";
import type { InvocationLimits } from "../runtime/invocation.ts";
import type { Reuse } from "../runtime/pool.ts";
import type { HostServices } from "../runtime/services.ts";
import { type EdgeConfig, type FunctionLimits, lowerLimits } from "./config.ts";
import { type Mask, maskOf } from "./mask.ts";
import type { Program } from "./ports.ts";
import type { StoredFunction, VersionRef } from "./store/read-functions.ts";

/** One version of a function, ready to answer: everything that its executions share. Replaced as a whole, never changed. */
export class LiveFunction {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly config: FunctionConfig;
  readonly limits: FunctionLimits;
  /** The same, as the runtime takes them. */
  readonly invocationLimits: InvocationLimits;
  /** How long one of its sandboxes may go on; absent: for one request. */
  readonly reuse: Reuse | undefined;
  /** Its variables and secrets, and the limits as variables (R2). */
  readonly env: Readonly<Record<string, string>>;
  /** For everything that is logged about it. */
  readonly mask: Mask;
  readonly services: HostServices;
  readonly #load: () => Promise<Program>;
  #program: Promise<Program> | undefined;
  #ready: Program | undefined;

  constructor(
    stored: StoredFunction,
    { version, config: wishes }: VersionRef,
    config: EdgeConfig,
    services: HostServices,
    load: () => Promise<Program>,
    program?: Promise<Program>,
  ) {
    this.id = stored.id;
    this.name = stored.name;
    this.version = version;
    this.config = wishes;
    this.services = services;
    this.limits = lowerLimits(config.limits, wishes);
    this.invocationLimits = {
      timeoutMs: this.limits.timeoutMs,
      cpuMs: this.limits.cpuMs,
      memoryLimitBytes: this.limits.memoryMb * 1048576,
      fuel: this.limits.fuel,
      responseLimitBytes: this.limits.responseLimitBytes,
    };
    this.reuse = wishes.isolation === "instance" ? config.limits.reuse : undefined;
    this.env = {
      ...stored.variables,
      FUNCTION_TIMEOUT_MS: String(this.limits.timeoutMs),
      FUNCTION_MAX_MEMORY_MB: String(this.limits.memoryMb),
      DB_TIMEOUT_MS: String(config.databaseTimeoutMs),
    };
    this.mask = maskOf(Object.values(stored.variables));
    this.#load = load;
    if (program) this.#keep(program);
  }

  /** Loaded at the first call; a failure is not remembered. */
  program(): Promise<Program> {
    if (!this.#program) {
      return this.#keep(this.#load());
    }
    return this.#program;
  }

  #keep(loading: Promise<Program>): Promise<Program> {
    this.#program = loading;
    loading.then(
      (program) => {
        this.#ready = program;
      },
      () => {
        if (this.#program === loading) this.#program = undefined;
      },
    );
    return loading;
  }

  /** The program, when it is loaded. */
  get ready(): Program | undefined {
    return this.#ready;
  }

  /** The program, when it is loaded or being loaded. */
  get loadedProgram(): Promise<Program> | undefined {
    return this.#program;
  }
}
