/** A guest whose stack is parked. */
interface Parked {
  /** CPU time it has had, ms: who has had least goes first. */
  cpuMs: number;
  resume: () => void;
}

/**
 * Shares one thread among guests that compute. A guest that has used up its turn parks; at each turn of the event loop one of the
 * parked goes on, the one that has had least. New requests enter from the event loop itself, so they go before all of them.
 */
export class Scheduler {
  #parked: Parked[] = [];
  #scheduled = false;
  #running = false;
  #waiting: (() => void)[] = [];

  /**
   * Takes the thread. A guest's entry returns before anyone hears that it has ended, so many entries made at once would each
   * need an instance: they wait here for those before them. Resolves at once, without a promise, when nobody has it.
   */
  take(): Promise<void> | undefined {
    if (this.#running) return new Promise((resume) => this.#waiting.push(resume));
    this.#running = true;
    return undefined;
  }

  /** Gives the thread to whoever waits for it. */
  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running = false;
  }

  /** Resolves when the guest may go on. */
  park(cpuMs: number): Promise<void> {
    return new Promise((resume) => {
      this.#parked.push({ cpuMs, resume });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#parked.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      let least = 0;
      for (let i = 1; i < this.#parked.length; i++) {
        if (this.#parked[i]!.cpuMs < this.#parked[least]!.cpuMs) least = i;
      }
      const [next] = this.#parked.splice(least, 1);
      next?.resume();
      this.#schedule();
    });
  }
}
