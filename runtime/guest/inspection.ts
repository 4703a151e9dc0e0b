// How values are shown: a part of the library that is loaded when it is first needed.

import { colors, defaultOptions, type InspectOptions, styles, withoutColors } from "./inspection-options.ts";
import { customInspect, inspect as inspectValue } from "./inspection-values.ts";

export { format, formatWithOptions } from "./inspection-format.ts";
export { formatTable } from "./inspection-table.ts";
export { withoutColors };

/** With what Node has beside it. */
export const inspect = Object.assign(inspectValue, { custom: customInspect, colors, styles });
Object.defineProperty(inspect, "defaultOptions", {
  get: () => defaultOptions,
  set: (options: InspectOptions) => void Object.assign(defaultOptions, options),
});
