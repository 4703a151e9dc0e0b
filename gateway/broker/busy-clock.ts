const GRAIN_MS = 50;

/** Adds up the time for which something is held, several times over when several are held at once, and calls back at a limit. */
export class BusyClock {
  readonly #limitMs: number;
  readonly #onLimit: () => void;
  #held = 0;
  #usedMs = 0;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number, onLimit: () => void) {
    this.#limitMs = limitMs;
    this.#onLimit = onLimit;
  }

  get exhausted(): boolean {
    return this.#settle() >= this.#limitMs;
  }

  hold(): void {
    this.#change(1);
  }

  letGo(): void {
    this.#change(-1);
  }

  #change(by: number): void {
    this.#settle();
    this.#held += by;
    clearTimeout(this.#timer);
    if (this.#held === 0) return;
    const leftMs = Math.max(0, this.#limitMs - this.#usedMs) / this.#held;
    // timers of few different lengths are cheaper
    this.#timer = setTimeout(this.#onLimit, Math.ceil(leftMs / GRAIN_MS) * GRAIN_MS);
  }

  #settle(): number {
    const now = performance.now();
    this.#usedMs += (now - this.#since) * this.#held;
    this.#since = now;
    return this.#usedMs;
  }
}
