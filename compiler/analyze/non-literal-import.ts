import type { CallExpression } from "@swc/core";
import { loadsModule } from "./dangerous-import.ts";
import type { Rule } from "./rule.ts";
import { constantString } from "./tree.ts";

/** A module whose name is computed can be neither analysed nor bundled. */
export const nonLiteralImport: Rule = {
  name: "non-literal-import",
  create: (context) => (node) => {
    if (node.type !== "CallExpression") return;
    const call = node as unknown as CallExpression;
    const first = call.arguments[0];
    if (!first || !loadsModule(call, context)) return;
    if (first.spread || constantString(first.expression) === undefined) {
      context.report(
        first.expression,
        "The name of the imported module is computed",
        "Write the module's name as a string; to choose among several, map each choice to its own import.",
      );
    }
  },
};
