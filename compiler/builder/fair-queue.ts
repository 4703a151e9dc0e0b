/** Work in lanes that take turns: who puts in much waits for its own, and everybody else for one piece of it at most. */
export class FairQueue<T> {
  /** Maps keep the order in which they were filled: a lane that had its turn goes to the end. */
  readonly #lanes = new Map<string, T[]>();

  add(lane: string, item: T): void {
    const waiting = this.#lanes.get(lane);
    if (waiting) waiting.push(item);
    else this.#lanes.set(lane, [item]);
  }

  take(): T | undefined {
    for (const [lane, [item, ...others]] of this.#lanes) {
      this.#lanes.delete(lane);
      if (others.length > 0) this.#lanes.set(lane, others);
      return item;
    }
    return undefined;
  }
}
