/** The longest that an answer waits for those that come after it, ms; beside it, one turn of a guest. */
const MAX_HELD_MS = 0.5;

/**
 * Holds answers back until the end of the event loop's turn, so that those of one turn leave together. A write that finds its reader asleep has to wake
 * it, which takes longer than running a small function; of writes in a row only the first one does.
 */
export class HeldAnswers {
  #answers: (() => void)[] = [];
  #since = 0;

  /** `send` must not throw. */
  add(send: () => void): void {
    if (this.#answers.length === 0) {
      this.#since = performance.now();
      setImmediate(this.#release);
    }
    this.#answers.push(send);
    this.releaseLate();
  }

  /** Lets go of answers that have waited long enough; to be called before anything that may take time. */
  releaseLate(): void {
    if (this.#answers.length > 0 && performance.now() - this.#since >= MAX_HELD_MS) this.#release();
  }

  readonly #release = (): void => {
    const answers = this.#answers;
    if (answers.length === 0) return;
    this.#answers = [];
    for (const send of answers) send();
  };
}
