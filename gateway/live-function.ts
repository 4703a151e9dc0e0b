import type { FunctionConfig } from "../compiler/types.ts";
import type { InvocationLimits } from "../runtime/invocation.ts";
import type { HostServices } from "../runtime/services.ts";
import { type EdgeConfig, type FunctionLimits, lowerLimits } from "./config.ts";
import type { Program } from "./ports.ts";
import type { StoredFunction } from "./store/functions.ts";

/** One version of a function, live: everything that its executions share. Replaced as a whole, never changed. */
export class LiveFunction {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly config: FunctionConfig;
  readonly limits: FunctionLimits;
  /** The same, as the runtime takes them. */
  readonly invocationLimits: InvocationLimits;
  /** The limits as variables (R2). */
  readonly env: Readonly<Record<string, string>>;
  readonly services: HostServices;
  readonly #load: () => Promise<Program>;
  #program: Promise<Program> | undefined;

  constructor(
    stored: StoredFunction,
    config: EdgeConfig,
    services: HostServices,
    load: () => Promise<Program>,
    program?: Program,
  ) {
    this.id = stored.id;
    this.name = stored.name;
    this.version = stored.liveVersion;
    this.config = stored.config;
    this.services = services;
    this.limits = lowerLimits(config.limits, stored.config);
    this.invocationLimits = {
      timeoutMs: this.limits.timeoutMs,
      memoryLimitBytes: this.limits.memoryMb * 1048576,
      fuel: this.limits.fuel,
      responseLimitBytes: this.limits.responseLimitBytes,
    };
    this.env = {
      FUNCTION_TIMEOUT_MS: String(this.limits.timeoutMs),
      FUNCTION_MAX_MEMORY_MB: String(this.limits.memoryMb),
      DB_TIMEOUT_MS: String(config.databaseTimeoutMs),
    };
    this.#load = load;
    if (program !== undefined) this.#program = Promise.resolve(program);
  }

  /** Loaded at the first call; a failure is not remembered. */
  program(): Promise<Program> {
    if (!this.#program) {
      const loading = this.#load();
      this.#program = loading;
      loading.catch(() => {
        if (this.#program === loading) this.#program = undefined;
      });
    }
    return this.#program;
  }
}
