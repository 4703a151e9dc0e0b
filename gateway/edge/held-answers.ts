/** The longest that an answer waits for those that come after it, ms; beside it, one turn of a guest. */
const MAX_HELD_MS = 0.5;

/** When a turn of the event loop has taken this long, ms, its further answers wait for its end. */
const LONG_TURN_MS = 100;

/**
 * Holds answers back for a moment, so that those of one turn of the event loop leave together. A write that finds its reader asleep has to wake
 * it, which takes longer than running a small function; of writes in a row only the first one does.
 *
 * In a turn that is long, because more has come in than can be answered quickly, they are held until its end: clients who have their answers send more
 * at once, and the turn would go on, with timers and parked guests waiting.
 */
export class HeldAnswers {
  #answers: (() => void)[] = [];
  #since = 0;
  #turnBegan = 0;
  #inTurn = false;

  /** `send` must not throw. */
  add(send: () => void): void {
    const now = performance.now();
    if (!this.#inTurn) {
      this.#inTurn = true;
      this.#turnBegan = now;
      setImmediate(this.#endTurn);
    }
    if (this.#answers.length === 0) this.#since = now;
    this.#answers.push(send);
    this.releaseLate();
  }

  /** Lets go of answers that have waited long enough; to be called before anything that may take time. */
  releaseLate(): void {
    if (this.#answers.length === 0) return;
    const now = performance.now();
    if (now - this.#since >= MAX_HELD_MS && now - this.#turnBegan < LONG_TURN_MS) this.#release();
  }

  readonly #endTurn = (): void => {
    this.#inTurn = false;
    this.#release();
  };

  #release(): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const send of answers) send();
  }
}
