import type { CallExpression, Expression } from "@swc/core";
import type { Flow } from "./flow.ts";
import { loadedDanger } from "./forbidden.ts";
import type { Check } from "./rule.ts";
import { constantString, unwrap } from "./tree.ts";
import { referencesOf, textsOf } from "./value.ts";

/** A module whose name is computed can be neither analysed nor bundled. */
export const nonLiteralImport: Check = ({ flow, report }) => ({
  CallExpression(node) {
    const { callee, arguments: args } = node as unknown as CallExpression;
    const first = args[0];
    if (!first || !isLoader(unwrap(callee), flow)) return;
    if (!first.spread && constantString(first.expression) !== undefined) return;
    if (textsOf(flow.values(first.expression)).some(loadedDanger)) return;
    report("non-literal-import", first.expression, "The name of the imported module is computed");
  },
});

const isLoader = (callee: Expression, flow: Flow) =>
  (callee.type as string) === "Import" ||
  referencesOf(flow.values(callee)).some((found) => flow.loads(found));
