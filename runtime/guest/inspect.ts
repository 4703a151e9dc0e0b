import { loadPart } from "./host.ts";
import type * as Inspection from "./inspection.ts";
import type { InspectOptions } from "./inspection-options.ts";

let loaded: typeof Inspection | undefined;

/** Node's `util.inspect` and what goes with it. */
export function inspection(): typeof Inspection {
  loaded ??= loadPart<typeof Inspection>("inspection");
  return loaded;
}

/** A readable picture of any value. Never throws. */
export function inspect(value: unknown, options?: InspectOptions): string {
  try {
    return inspection().inspect(value, options);
  } catch {
    return "[a value that cannot be inspected]";
  }
}

/** A line of a log: printf-style, as the console standard and Node have it. Never throws. */
export function formatLine(values: unknown[]): string {
  if (values.length === 1 && typeof values[0] === "string") return values[0];
  try {
    return inspection().format(...values);
  } catch {
    return values.map((value) => (typeof value === "string" ? value : inspect(value))).join(" ");
  }
}
