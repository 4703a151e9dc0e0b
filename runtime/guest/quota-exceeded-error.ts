/** https://webidl.spec.whatwg.org/#quotaexceedederror */
export class QuotaExceededError extends DOMException {
  readonly #quota: number | null;
  readonly #requested: number | null;

  constructor(message = "", { quota, requested }: { quota?: number; requested?: number } = {}) {
    super(message, "QuotaExceededError");
    this.#quota = amount("quota", quota);
    this.#requested = amount("requested", requested);
    if (this.#quota !== null && this.#requested !== null && this.#requested < this.#quota)
      throw new RangeError("What is requested must not be less than the quota");
  }
  get quota(): number | null {
    return this.#quota;
  }
  get requested(): number | null {
    return this.#requested;
  }
}

function amount(name: string, value: unknown): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  if (!Number.isFinite(number)) throw new TypeError(`${name} must be a finite number`);
  if (number < 0) throw new RangeError(`${name} must not be negative`);
  return number;
}
