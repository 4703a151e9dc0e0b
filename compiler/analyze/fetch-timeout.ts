import type { CallExpression } from "@swc/core";
import type { Flow } from "./flow.ts";
import type { Check } from "./rule.ts";
import { propertyName, type SyntaxNode, unwrap } from "./tree.ts";

/** `fetch` of an address without a signal. What is passed a Request goes by that request's own signal. */
export const fetchTimeout: Check = ({ flow, report }) => ({
  CallExpression(node) {
    const { callee, arguments: args } = node as unknown as CallExpression;
    if (flow.path(callee) !== "fetch" || args.some(({ spread }) => spread)) return;
    const [target, options] = args;
    if (!target || (options ? !lacksSignal(options.expression, flow) : !isAddress(target.expression, flow)))
      return;
    report("fetch-timeout", node, "This fetch has no time-out of its own");
  },
});

function isAddress(expression: object, flow: Flow): boolean {
  const node = unwrap(expression);
  if (node.type === "TemplateLiteral" || node.type === "StringLiteral" || node.type === "BinaryExpression")
    return true;
  if (node.type === "NewExpression") return flow.path(node.callee) === "URL";
  return flow.values(node).some(({ kind }) => kind === "text");
}

/** Whether options are written down, all of them, without a signal. */
function lacksSignal(options: object, flow: Flow): boolean {
  const values = flow.values(options);
  return (
    values.length > 0 &&
    values.every((value) => {
      if (value.kind !== "object") return false;
      const { properties } = value.node as { properties: (SyntaxNode & { key?: object; value?: string })[] };
      return properties.every(
        (property) =>
          property.type !== "SpreadElement" &&
          (property.key ? propertyName(property.key) : property.value) !== "signal" &&
          !(property.key && propertyName(property.key) === undefined),
      );
    })
  );
}
