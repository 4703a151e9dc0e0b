import { Budget, type BudgetLimits, type StopReason } from "./budget.ts";
import type { Guest, Instance } from "./instance.ts";
import type { Parked, Scheduler } from "./scheduler.ts";

/** Why a sandbox can't go on. */
export type Failure = { kind: StopReason | "stackOverflow" } | { kind: "trapped"; message: string };

/**
 * Something that runs in an instance under a budget: an invocation, or the building of an image. It answers the instance's
 * imports; subclasses say what host calls, clocks and randomness there are.
 */
export abstract class Sandbox implements Guest, Parked {
  protected instance: Instance;
  readonly budget: Budget;
  readonly #scheduler: Scheduler;
  /** The function that it is a sandbox of. */
  readonly #functionName: string;
  /**
   * Set when the host itself has failed: the instance is not used again. A trap is no such case: it unwinds the guest's stack, and what
   * else there is, memory and globals, the next restore sets.
   */
  broken = false;
  #waitingFor: Promise<void> | null = null;
  #stopWaiting: () => void = () => {};

  /** `began`: the time that the deadline counts from. */
  constructor(
    instance: Instance,
    limits: BudgetLimits,
    scheduler: Scheduler,
    functionName: string,
    began = performance.now(),
  ) {
    this.instance = instance;
    this.#scheduler = scheduler;
    this.#functionName = functionName;
    this.budget = new Budget(limits, instance, began);
    instance.bind(this);
  }

  /** Goes on in another instance. */
  protected move(instance: Instance): void {
    this.instance = instance;
    this.budget.measure(instance);
    instance.bind(this);
  }

  /** Runs one of the instance's suspendable entries to its end. */
  protected async enter(call: () => Promise<number>): Promise<number | Failure> {
    this.budget.enter(true);
    try {
      return await call();
    } catch (cause) {
      return this.failure(cause);
    } finally {
      this.budget.leave();
    }
  }

  /** What an exception means that came out of the instance. */
  protected failure(cause: unknown): Failure {
    if (this.budget.stopReason !== null) return { kind: this.budget.stopReason };
    // The engine checks its own stack; when the host's ends first, V8 throws a RangeError through all frames.
    if (cause instanceof RangeError) return { kind: "stackOverflow" };
    return { kind: "trapped", message: cause instanceof Error ? cause.message : String(cause) };
  }

  sliceEnded(): number {
    return this.budget.sliceEnded();
  }

  /** Parks the guest's stack at its next check until `done` is settled, or it is to stop. */
  protected suspendUntil(done: Promise<void>): void {
    const stopped = new Promise<void>((resolve) => {
      this.#stopWaiting = resolve;
    });
    this.#waitingFor = Promise.race([done, stopped]);
    this.budget.requestYield();
  }

  /** Lets a suspended guest find out that it is to stop. */
  protected stopWaiting(): void {
    this.#stopWaiting();
  }

  async yielded(): Promise<number> {
    this.#scheduler.give();
    const waitingFor = this.#waitingFor;
    this.#waitingFor = null;
    if (waitingFor) await waitingFor;
    else await this.#scheduler.park(this.#functionName, this);
    await this.#scheduler.take(this.#functionName);
    return this.budget.resumed();
  }

  get cpuMs(): number {
    return this.budget.cpuMs;
  }

  get stopped(): boolean {
    return this.budget.stopReason !== null;
  }

  grow(delta: number): number {
    return this.budget.grow(delta);
  }

  abstract op(op: number, text: Uint8Array, bytes: Uint8Array): number;
  abstract now(): number;
  abstract random(bytes: Uint8Array): boolean;
  abstract write(text: string): void;
}
