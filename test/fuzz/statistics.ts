import type { Finding } from "./examine.ts";

/** Cost from which on the ratio of fuel to cost says something. */
const smallestCost = 5_000;

/** Sums up findings. */
export class Statistics {
  seeds = 0;
  compared = 0;
  calls = 0;
  trapped = 0;
  inconclusive = 0;
  refused = 0;
  endless = 0;
  readonly #ratios: { seed: number; ratio: number }[] = [];

  add({ seed, comparison, endless }: Finding): void {
    this.seeds++;
    if (endless) this.endless++;
    if (!comparison) return;
    if (comparison.refused) this.refused++;
    else this.compared++;
    this.calls += comparison.calls;
    this.trapped += comparison.trapped;
    this.inconclusive += comparison.inconclusive;
    if (comparison.cost >= smallestCost)
      this.#ratios.push({ seed, ratio: comparison.fuel / comparison.cost });
  }

  toString(): string {
    const sorted = this.#ratios.toSorted((a, b) => a.ratio - b.ratio);
    const middle = sorted[sorted.length >> 1];
    const most = sorted.at(-1);
    const ratio =
      middle && most
        ? `fuel per cost: median ${middle.ratio.toFixed(3)}, most ${most.ratio.toFixed(2)} (seed ${most.seed})`
        : "";
    return (
      `${this.seeds} seeds, ${this.compared} compared, ${this.refused} refused, ${this.endless} endless; ` +
      `${this.calls} calls, ${this.trapped} trapped, ${this.inconclusive} inconclusive; ${ratio}`
    );
  }
}
