import { readFileSync } from "node:fs";
import process from "node:process";
import { meterBytes } from "../../compiler/wasm/index.ts";
import { execute } from "./execute.ts";
import { prepare } from "./prepare.ts";

/** Few enough that no host's stack gives out. */
const turns = 50;

/** Fuel of each call of a module's exports; hosts have to agree on it. */
export function fuelOf(bytes: Uint8Array, seed: number): string[] {
  const { calls } = execute(meterBytes(prepare(bytes, { seed, turns })), seed, 100_000);
  return calls.filter(({ exhausted }) => !exhausted).map(({ units }) => String(units));
}

// node fuel.ts FILE, with modules by seed as JSON of base64: hosts other than Node.js can't generate them
if (import.meta.main) {
  const modules: Record<string, string> = JSON.parse(readFileSync(process.argv[2]!, "utf8"));
  const fuel = Object.entries(modules).map(([seed, text]) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return [seed, fuelOf(bytes, Number(seed))];
  });
  console.log(JSON.stringify(Object.fromEntries(fuel)));
}
