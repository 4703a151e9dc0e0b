import type { Engine } from "./engine.ts";
import { RuntimeError } from "./errors.ts";
import { type Difference, pageSize } from "./image.ts";
import { Instance } from "./instance.ts";

/** Memory, in pages, that a pooled instance may have beyond the image it is to hold: clearing more costs more than a new one. */
const sparePages = 32;

/** Someone who holds an instance but only waits, with nothing on its stack. */
export interface Waiting {
  /** Pages of its instance. */
  readonly pages: number;
  /** Saves what it needs and gives its instance up. */
  evict(): Lease;
}

export interface PoolOptions {
  /** Memory that those who only wait may hold together, bytes; beyond it, who has waited longest gives up an instance. */
  waitingBytes: number;
  /** Instances at once, busy and idle. Each reserves address space, of which a process has enough for about 7,500. */
  maxInstances: number;
  /** Idle instances that are kept, unless more were busy at once since the last {@link InstancePool.trim}. */
  maxIdle: number;
}

/** How long an instance may go on answering requests of one program without being set back. */
export interface Reuse {
  maxRequests: number;
  maxAgeMs: number;
}

/** An instance that somebody has. */
export interface Lease {
  instance: Instance;
  /** What it is for: a program's image, and the variables beside it as text. */
  readonly image: Difference;
  readonly variables: string;
  readonly reuse: Reuse | undefined;
  /** Requests that it has answered without being set back. */
  readonly uses: number;
  /** When the first of them began, by `performance.now()`. */
  readonly since: number;
}

/** Instances of the engine, ready to become any function, and those that are kept as functions have left them. */
export class InstancePool {
  readonly #engine: Engine;
  readonly #options: PoolOptions;
  #idle: Instance[] = [];
  /** In the order in which they were given back. */
  #kept: Lease[] = [];
  /** In the order in which they began to wait, with their pages. */
  #waiting = new Map<Waiting, number>();
  #waitingPages = 0;
  #awaiting: (() => void)[] = [];
  #busy = 0;
  /** The most that were busy at once since the last {@link trim}. */
  #mostBusy = 0;

  constructor(engine: Engine, options: PoolOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Makes instances before they are needed. */
  warm(count: number): void {
    while (this.#idle.length < Math.min(count, this.#options.maxIdle)) this.#idle.push(this.#create());
  }

  /**
   * An instance for a program, in no particular state; with `reuse`, if possible one that holds what the last request of that program with
   * the same variables has left (`uses` above 0).
   *
   * @throws RuntimeError `overloaded` at the limit.
   */
  acquire(image: Difference, variables: string, now: number, reuse?: Reuse): Lease {
    if (reuse && this.#kept.length > 0) {
      this.#expire(now);
      const at = this.#kept.findLastIndex((lease) => lease.image === image && lease.variables === variables);
      if (at >= 0) {
        const [lease] = this.#kept.splice(at, 1);
        this.#taken();
        return { ...lease!, reuse };
      }
    }
    return { instance: this.#take(image.pages), image, variables, reuse, uses: 0, since: now };
  }

  /** Another instance for one whose own was taken from it while it waited. */
  reacquire(lease: Lease, pages: number): Instance {
    lease.instance = this.#take(pages);
    return lease.instance;
  }

  #taken(): void {
    this.#mostBusy = Math.max(this.#mostBusy, ++this.#busy);
  }

  #take(pages: number): Instance {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      if (this.#idle[i]!.physicalPages > pages + sparePages) continue;
      const [instance] = this.#idle.splice(i, 1);
      this.#taken();
      return instance!;
    }
    if (this.#busy + this.#idle.length + this.#kept.length >= this.#options.maxInstances) {
      if (this.#kept.shift() === undefined && this.#idle.shift() === undefined) {
        const instance = this.#evict()?.instance;
        if (!instance) throw new RuntimeError("overloaded", "every sandbox is in use");
        if (instance.physicalPages <= pages + sparePages) {
          this.#taken();
          return instance;
        }
      }
    }
    const instance = this.#create();
    this.#taken();
    return instance;
  }

  /**
   * Gives up what was not needed since the last time: idle instances beyond the most that were busy at once, but for `least`, and
   * those that are kept for functions and have become too old.
   */
  trim(least: number): void {
    this.#expire(performance.now());
    const wanted = Math.max(least, this.#mostBusy - this.#busy);
    if (this.#idle.length > wanted) this.#idle.splice(0, this.#idle.length - wanted);
    this.#mostBusy = this.#busy;
  }

  /** Whether an instance could be had. */
  hasRoom(): boolean {
    return (
      this.#idle.length + this.#kept.length > 0 ||
      this.#waiting.size > 0 ||
      this.#busy < this.#options.maxInstances
    );
  }

  /** Resolves when an instance has been given back, or has come to be evictable. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }

  /** The holder only waits from now on: it may be evicted. */
  wait(holder: Waiting): void {
    const { pages } = holder;
    this.#waiting.set(holder, pages);
    this.#waitingPages += pages;
    while (this.#waitingPages * pageSize > this.#options.waitingBytes) this.#recycle(this.#evict()!);
    this.#awaiting.shift()?.();
  }

  /** The holder goes on: it may not be evicted any more. */
  wake(holder: Waiting): void {
    this.#waitingPages -= this.#waiting.get(holder) ?? 0;
    this.#waiting.delete(holder);
  }

  /** Who has waited longest gives up an instance. */
  #evict(): Lease | undefined {
    const [holder] = this.#waiting.keys();
    if (holder === undefined) return undefined;
    this.wake(holder);
    const lease = holder.evict();
    lease.instance.bind(null);
    this.#busy--;
    return lease;
  }

  /**
   * Takes an instance back. One on which the host has failed (`broken`), or that has grown far beyond its image is left to the garbage
   * collector. One in which the guest has come to rest may be kept as it is, for the next request of the same image.
   */
  release(lease: Lease, instance: Instance, condition: "broken" | "used" | "at rest"): void {
    instance.bind(null);
    this.#busy--;
    const uses = lease.uses + 1;
    if (condition === "at rest" && lease.reuse && uses < lease.reuse.maxRequests) {
      this.#kept.push({ ...lease, instance, uses });
      if (this.#kept.length > this.#options.maxIdle) this.#recycle(this.#kept.shift()!);
    } else if (condition !== "broken") this.#recycle({ ...lease, instance });
    this.#awaiting.shift()?.();
  }

  /** To be set back for whatever comes. */
  #recycle({ instance, image }: Lease): void {
    const reusable = instance.physicalPages <= image.pages + sparePages;
    // many end together when their answers come together, and as many begin behind them
    const wanted = Math.max(this.#options.maxIdle, this.#mostBusy - this.#busy);
    if (reusable && this.#idle.length < wanted) this.#idle.push(instance);
  }

  #expire(now: number): void {
    const fresh = ({ since, reuse }: Lease) => now - since < reuse!.maxAgeMs;
    if (this.#kept.every(fresh)) return;
    for (const lease of this.#kept) if (!fresh(lease)) this.#recycle(lease);
    this.#kept = this.#kept.filter(fresh);
  }

  stats(): { instances: number; busy: number; idle: number } {
    const idle = this.#idle.length + this.#kept.length;
    return { instances: this.#busy + idle, busy: this.#busy, idle };
  }

  #create(): Instance {
    try {
      return new Instance(this.#engine);
    } catch (cause) {
      throw new RuntimeError("overloaded", "the process has no room for another sandbox", { cause });
    }
  }
}
