/**
 * Runs one build after the other: a change during a build starts the next one when it has ended, however many changes
 * there were.
 */
export class Rebuilder {
  readonly #build: (changedAt: number) => Promise<void>;
  #changedAt: number | undefined;
  #running: Promise<void> | undefined;

  /** @param build never rejects; gets the time of the first change that it takes in */
  constructor(build: (changedAt: number) => Promise<void>) {
    this.#build = build;
  }

  /** There is something to build. Resolves when it, and what was asked for meanwhile, is built. */
  change(): Promise<void> {
    this.#changedAt ??= performance.now();
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    while (this.#changedAt !== undefined) {
      const changedAt = this.#changedAt;
      this.#changedAt = undefined;
      await this.#build(changedAt);
    }
    this.#running = undefined;
  }
}
