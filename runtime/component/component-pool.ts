import { RuntimeError } from "../errors.ts";

/** Counts the components that run: each request has an instance of its own, of which nothing is kept. */
export class ComponentPool {
  readonly #maxInstances: number;
  #busy = 0;

  constructor(maxInstances: number) {
    this.#maxInstances = maxInstances;
  }

  /** @throws RuntimeError `overloaded` at the limit. */
  acquire(): void {
    if (this.#busy >= this.#maxInstances) throw new RuntimeError("overloaded", "every sandbox is in use");
    this.#busy++;
  }

  release(): void {
    this.#busy--;
  }

  stats(): { instances: number; busy: number; idle: number } {
    return { instances: this.#busy, busy: this.#busy, idle: 0 };
  }
}
