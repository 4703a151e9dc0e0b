/** A guest whose stack is parked. */
interface Parked {
  /** CPU time it has had, ms: who has had least goes first. */
  cpuMs: number;
  /** The guest is to end: it needs no turn, only to be told. */
  stopped: () => boolean;
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

  /** Resolves when the guest may go on, or has been stopped. */
  park(cpuMs: number, stopped: () => boolean): Promise<void> {
    return new Promise((resume) => {
      this.#parked.push({ cpuMs, stopped, resume });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#parked.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      // those that were stopped give their sandboxes back first, all of them
      for (const guest of this.#parked.filter(({ stopped }) => stopped())) this.#resume(guest);
      const [first, ...others] = this.#parked;
      if (first)
        this.#resume(others.reduce((least, guest) => (guest.cpuMs < least.cpuMs ? guest : least), first));
      this.#schedule();
    });
  }

  #resume(guest: Parked): void {
    this.#parked.splice(this.#parked.indexOf(guest), 1);
    guest.resume();
  }
}
