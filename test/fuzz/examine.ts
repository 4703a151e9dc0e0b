import { type Comparison, compare } from "./compare.ts";
import type { Generator } from "./generate.ts";
import { randomNumbers } from "./random.ts";

/** What came of a seed; without a comparison where no valid module did. */
export interface Finding {
  seed: number;
  comparison?: Comparison;
  /** The comparison itself failed, or took too long where the module as it is does not. */
  error?: string;
  /** The module does not end by itself. */
  endless?: true;
}

const turnLimits = [20, 200, 2_000, 20_000];

/** How long the seed's module may run: few turns show how it ends, many what its loops cost. */
export function turnsOf(seed: number): number {
  return turnLimits[randomNumbers(~seed)() % turnLimits.length]!;
}

export async function examine(generator: Generator, seed: number, ends?: () => void): Promise<Finding> {
  try {
    const bytes = await generator.generate(seed);
    if (!WebAssembly.validate(bytes)) return { seed };
    return { seed, comparison: compare(bytes, { seed, turns: turnsOf(seed), ...(ends ? { ends } : {}) }) };
  } catch (error) {
    return { seed, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
