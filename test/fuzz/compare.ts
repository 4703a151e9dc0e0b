import { meterBytes, WasmError } from "../../compiler/wasm/index.ts";
import { type Call, type Execution, execute } from "./execute.ts";
import { prepare } from "./prepare.ts";
import { countExactly } from "./reference.ts";

export const slices = [1_000, 1_000_000] as const;

export interface Comparison {
  differences: string[];
  /** Calls compared, and those left out since stack or memory had given out. */
  calls: number;
  inconclusive: number;
  /** The generator used instructions that are not metered. */
  refused: boolean;
  trapped: number;
  /** Fuel of the calls that did not trap. */
  fuel: number;
  /** Cost of what they executed, instruction by instruction. */
  cost: number;
}

/**
 * Runs a module as it is and metered in every way; says where the two differ, and where too little is charged.
 *
 * @param ends Told when the module as it is has come to its end, as not all do.
 */
export function compare(
  generated: Uint8Array<ArrayBuffer>,
  { seed, turns, ends }: { seed: number; turns: number; ends?: () => void },
): Comparison {
  const comparison: Comparison = {
    ...{ differences: [], refused: false },
    ...{ calls: 0, inconclusive: 0, trapped: 0, fuel: 0, cost: 0 },
  };
  const { differences } = comparison;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = prepare(generated, { seed, turns });
  } catch (error) {
    if (!(error instanceof WasmError && error.code === "unsupported")) throw error;
    comparison.refused = true;
    return comparison;
  }
  if (!WebAssembly.validate(bytes)) {
    differences.push("preparing: the module is not valid any more");
    return comparison;
  }
  const metered: { fuel: Uint8Array<ArrayBuffer>; none: Uint8Array<ArrayBuffer> } = {
    fuel: bytes,
    none: bytes,
  };
  for (const mode of ["fuel", "none"] as const) {
    try {
      metered[mode] = meterBytes(bytes, { mode });
    } catch (error) {
      differences.push(`metering (${mode}): ${error}`);
      return comparison;
    }
    if (!WebAssembly.validate(metered[mode])) {
      const why = reasonOf(metered[mode]);
      differences.push(`metering (${mode}): the result is not valid: ${why}`);
      return comparison;
    }
  }

  const plain = execute(bytes, seed, slices[0]);
  ends?.();
  const exact = execute(countExactly(bytes), seed, slices[0]);
  const runs = {
    reference: exact,
    none: execute(metered.none, seed, slices[0]),
    small: execute(metered.fuel, seed, slices[0]),
    large: execute(metered.fuel, seed, slices[1]),
    again: execute(metered.fuel, seed, slices[1]),
  };
  const all = [plain, ...Object.values(runs)];
  const total = Math.max(...all.map(({ calls }) => calls.length));
  // a call in which one of them ran out of stack or memory ends the comparison
  const comparable = Math.min(
    ...all.map(({ calls }) => (calls.some(({ exhausted }) => exhausted) ? calls.length - 1 : calls.length)),
  );
  comparison.calls = comparable;
  comparison.inconclusive = total - comparable;
  for (const [name, run] of Object.entries(runs)) {
    compareRuns(name, plain, run, comparable, comparable === total, differences);
  }
  for (let i = 0; i < comparable; i++) {
    const call = runs.small.calls[i]!;
    for (const other of [runs.large, runs.again]) {
      const { units } = other.calls[i]!;
      if (units !== call.units) differences.push(`${call.name}: fuel is ${call.units} or ${units}`);
    }
    const cost = exact.calls[i]!.units;
    if (call.units < cost) differences.push(`${call.name}: fuel is ${call.units}, cost is ${cost}`);
    if (call.ends > 0) {
      // what traps may be charged any size that it asked for
      comparison.trapped++;
      continue;
    }
    comparison.fuel += Number(call.units);
    comparison.cost += Number(cost);
  }
  return comparison;
}

function compareRuns(
  name: string,
  plain: Execution,
  run: Execution,
  calls: number,
  compareState: boolean,
  differences: string[],
): void {
  for (let i = 0; i < calls; i++) {
    const difference = differenceOf(plain.calls[i]!, run.calls[i]!);
    if (difference === undefined) continue;
    // what follows only follows from that
    differences.push(`${name}, ${plain.calls[i]!.name}: ${difference}`);
    return;
  }
  if (!compareState) return;
  for (const [key, value] of Object.entries(plain.state)) {
    if (run.state[key] !== value) differences.push(`${name}, ${key}: ${value} or ${run.state[key]}`);
  }
}

function differenceOf(plain: Call, other: Call): string | undefined {
  if (plain.result !== other.result) return `${plain.result} or ${other.result}`;
  if (plain.ends !== other.ends) return `${plain.ends} or ${other.ends} traps`;
  const at = plain.log.findIndex((entry, i) => other.log[i] !== entry);
  if (at >= 0) return `import call ${at}: ${plain.log[at]} or ${other.log[at]}`;
  if (plain.log.length !== other.log.length) return `${plain.log.length} or ${other.log.length} import calls`;
  return undefined;
}

function reasonOf(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    new WebAssembly.Module(bytes);
    return "it is valid";
  } catch (error) {
    return String(error);
  }
}
