/** A guest whose stack is parked. */
export interface Parked {
  /** CPU time it has had, ms. */
  readonly cpuMs: number;
  /** The guest is to end: it needs no turn, only to be told. */
  readonly stopped: boolean;
}

/**
 * CPU time that a guest is forgiven for each millisecond that it waits. Of a function's guests, whoever has had least time goes first, so
 * that short requests are not held up by long ones; without this, a flow of new requests would hold up the others until their time-out.
 */
const forgiveness = 0.1;

interface Waiting {
  guest: Parked;
  /** The least goes first. The present time would be the same summand for all. */
  rank: number;
  resume: () => void;
}

/** The guests of one function that want the thread. */
class Group {
  /** CPU time that its guests have had while others wanted it too, ms. */
  time: number;
  /** For their first turn, or since something has happened for them: in the order in which they came. */
  readonly entering: (() => void)[] = [];
  readonly parked: Waiting[] = [];
  /** The last turn in which it wanted the thread or had it. */
  turn: number;
  constructor(time: number, turn: number) {
    this.time = time;
    this.turn = turn;
  }
  get empty(): boolean {
    return this.entering.length === 0 && this.parked.length === 0;
  }
}

/**
 * Shares one thread among guests: fairly between functions first, between the requests of a function second.
 *
 * A guest that has used up its turn parks; at each turn of the event loop one of the parked goes on, of the function that has had least
 * time: the one that has had least itself, or has waited long. Requests enter from the event loop itself, so they go before all that are parked; those that come together enter by turns of
 * their functions. As in Linux's fair scheduler, who was away begins with the least time of those present.
 */
export class Scheduler {
  readonly #groups = new Map<string, Group>();
  readonly #charged = new WeakMap<Parked, number>();
  #scheduled = false;
  #running = false;
  /** Counts the turns in which a parked guest goes on. */
  #turn = 0;

  /**
   * Takes the thread for a guest of this function. A guest's entry returns before anyone hears that it has ended, so many entries made at
   * once would each need an instance: they wait here for those before them. Returns nothing when nobody has it.
   */
  take(name: string): Promise<void> | undefined {
    if (this.#running) return new Promise((resume) => this.#group(name).entering.push(resume));
    this.#running = true;
    return undefined;
  }

  /** Gives the thread to whoever waits for it. */
  give(): void {
    const next = this.#least(({ entering }) => entering.length > 0);
    if (next === null) {
      this.#running = false;
      if (!this.#scheduled) this.#groups.clear();
      return;
    }
    const [name, group] = next;
    // the functions that are level have it by turns
    this.#groups.delete(name);
    this.#groups.set(name, group);
    group.entering.shift()!();
  }

  /** Resolves when the guest may go on, or has been stopped. */
  park(name: string, guest: Parked): Promise<void> {
    const group = this.#group(name);
    group.time += guest.cpuMs - (this.#charged.get(guest) ?? 0);
    this.#charged.set(guest, guest.cpuMs);
    return new Promise((resume) => {
      const rank = guest.cpuMs + forgiveness * performance.now();
      group.parked.push({ guest, rank, resume });
      this.#schedule();
    });
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) {
      group = new Group(this.#least(() => true)?.[1].time ?? 0, this.#turn);
      this.#groups.set(name, group);
    }
    group.turn = this.#turn;
    return group;
  }

  /** The function that has had least time, of those that fit. */
  #least(fits: (group: Group) => boolean): [string, Group] | null {
    let least: [string, Group] | null = null;
    for (const entry of this.#groups) {
      if (fits(entry[1]) && (least === null || entry[1].time < least[1].time)) least = entry;
    }
    return least;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      // those that were stopped give their sandboxes back first, all of them
      for (const [name, { parked }] of [...this.#groups])
        for (const { guest } of parked.filter(({ guest }) => guest.stopped)) this.#resume(name, guest);
      this.#turn++;
      for (const [name, group] of this.#groups)
        if (group.empty && group.turn < this.#turn - 1) this.#groups.delete(name);
      const next = this.#least(({ parked }) => parked.length > 0);
      if (next === null) return;
      const [name, { parked }] = next;
      this.#resume(name, parked.reduce((least, one) => (one.rank < least.rank ? one : least)).guest);
      if (this.#least(({ parked }) => parked.length > 0) !== null) this.#schedule();
    });
  }

  #resume(name: string, guest: Parked): void {
    const group = this.#groups.get(name)!;
    const [{ resume }] = group.parked.splice(
      group.parked.findIndex((one) => one.guest === guest),
      1,
    ) as [(typeof group.parked)[number]];
    group.turn = this.#turn;
    resume();
  }
}
