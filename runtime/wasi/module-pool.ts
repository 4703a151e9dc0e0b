import { RuntimeError } from "../errors.ts";
import { type InstanceLimits, ModuleInstance } from "./module-instance.ts";
import type { ModuleProgram } from "./module-program.ts";

export interface ModulePoolOptions {
  /** Instances that run at once. */
  maxInstances: number;
  /** Idle instances that are kept, of all programs together. */
  maxIdle: number;
}

/** Instances of WASI modules: those that are idle are pristine, and wait for the next request to the same module. */
export class ModulePool {
  readonly #options: ModulePoolOptions;
  /** Longest idle first. */
  readonly #idle: ModuleInstance[] = [];
  #busy = 0;

  constructor(options: ModulePoolOptions) {
    this.#options = options;
  }

  /** @throws RuntimeError `overloaded` at the limit. */
  acquire(program: ModuleProgram, limits: InstanceLimits): ModuleInstance {
    if (this.#busy >= this.#options.maxInstances) {
      throw new RuntimeError("overloaded", "every sandbox is in use");
    }
    this.#busy++;
    const fits = (instance: ModuleInstance): boolean =>
      instance.program === program &&
      instance.limits.memoryPages === limits.memoryPages &&
      instance.limits.fuel === limits.fuel;
    const at = this.#idle.findLastIndex(fits);
    return at < 0 ? new ModuleInstance(program, limits) : this.#idle.splice(at, 1)[0]!;
  }

  /** Takes an instance back, to be pristine. `broken`: the host has failed on it. */
  release(instance: ModuleInstance, broken: boolean): void {
    instance.bind(null);
    this.#busy--;
    if (broken || !instance.reset()) return;
    this.#idle.push(instance);
    if (this.#idle.length > this.#options.maxIdle) this.#idle.shift();
  }

  stats(): { instances: number; busy: number; idle: number } {
    return { instances: this.#busy + this.#idle.length, busy: this.#busy, idle: this.#idle.length };
  }
}
