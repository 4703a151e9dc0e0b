import type { Engine } from "./engine.ts";
import { RuntimeError } from "./errors.ts";
import { Instance } from "./instance.ts";

/** Memory, in pages, that a pooled instance may have beyond the image it is to hold: clearing more costs more than a new one. */
const sparePages = 32;

/** Someone who holds an instance but only waits, with nothing on its stack. */
export interface Waiting {
  /** Saves what it needs and gives the instance up. */
  evict(): Instance;
}

export interface PoolOptions {
  /** Instances that are made before those who wait have to give theirs up. */
  resident: number;
  /** Instances at once, busy and idle. Each reserves address space, of which a process has enough for about 7,500. */
  maxInstances: number;
  /** Idle instances that are kept. */
  maxIdle: number;
}

/** Instances of the engine, ready to become any function. */
export class InstancePool {
  readonly #engine: Engine;
  readonly #options: PoolOptions;
  #idle: Instance[] = [];
  #waiting = new Set<Waiting>();
  #awaiting: (() => void)[] = [];
  #busy = 0;

  constructor(engine: Engine, options: PoolOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Makes instances before they are needed. */
  warm(count: number): void {
    while (this.#idle.length < Math.min(count, this.#options.maxIdle)) this.#idle.push(this.#create());
  }

  /**
   * An instance for an image of so many pages, in no particular state.
   *
   * @throws RuntimeError `overloaded` at the limit.
   */
  acquire(pages: number): Instance {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      if (this.#idle[i]!.physicalPages > pages + sparePages) continue;
      const [instance] = this.#idle.splice(i, 1);
      this.#busy++;
      return instance!;
    }
    const { resident, maxInstances } = this.#options;
    const longest = this.#busy >= resident ? this.#waiting.values().next().value : undefined;
    if (longest) {
      this.#waiting.delete(longest);
      const instance = longest.evict();
      if (instance.physicalPages <= pages + sparePages) return instance;
      this.#busy--;
    }
    if (this.#busy + this.#idle.length >= maxInstances) {
      if (this.#idle.length === 0) throw new RuntimeError("overloaded", "every sandbox is in use");
      this.#idle.shift();
    }
    const instance = this.#create();
    this.#busy++;
    return instance;
  }

  /** Whether {@link acquire} would find one. */
  hasRoom(): boolean {
    return this.#idle.length > 0 || this.#waiting.size > 0 || this.#busy < this.#options.maxInstances;
  }

  /** Resolves when an instance has been given back, or has come to be evictable. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }

  /** The holder only waits from now on: it may be evicted. */
  wait(holder: Waiting): void {
    this.#waiting.add(holder);
    this.#awaiting.shift()?.();
  }

  /** The holder goes on: it may not be evicted any more. */
  wake(holder: Waiting): void {
    this.#waiting.delete(holder);
  }

  /** Takes an instance back. One on which the host has failed (`broken`), or that has grown far beyond its image is left to the garbage collector. */
  release(instance: Instance, pages: number, broken: boolean): void {
    instance.bind(null);
    this.#busy--;
    const reusable = !broken && instance.physicalPages <= pages + sparePages;
    if (reusable && this.#idle.length < this.#options.maxIdle) this.#idle.push(instance);
    this.#awaiting.shift()?.();
  }

  stats(): { instances: number; busy: number; idle: number } {
    return { instances: this.#busy + this.#idle.length, busy: this.#busy, idle: this.#idle.length };
  }

  #create(): Instance {
    try {
      return new Instance(this.#engine);
    } catch (cause) {
      throw new RuntimeError("overloaded", "the process has no room for another sandbox", { cause });
    }
  }
}
