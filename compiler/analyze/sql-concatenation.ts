import type { CallExpression, Expression, ObjectExpression } from "@swc/core";
import { isFunction } from "./bindings.ts";
import type { Flow } from "./flow.ts";
import type { Check } from "./rule.ts";
import { bindingOf, propertyName, unwrap } from "./tree.ts";

/** Methods that take a statement as text, of the drivers and query builders in use. */
const SINKS = new Set(
  `unsafe query execute exec raw prepare run all get one many none any queryRaw executeRaw
   $queryRawUnsafe $executeRawUnsafe queryArray queryObject simple`.split(/\s+/),
);

const STATEMENT =
  /^\s*(?:--[^\n]*\n\s*)*(?:select\b[\s\S]*\bfrom\b|insert\s+into\b|update\b[\s\S]*\bset\b|delete\s+from\b|with\b[\s\S]*\bas\b|merge\s+into\b|(?:create|drop|alter|truncate)\s+(?:table|index|view|schema|database|role|user|type|function|table)\b|call\s|grant\s|copy\s)/i;

/** Statements put together from text and values that are not constant. */
export const sqlConcatenation: Check = ({ flow, report }) => ({
  CallExpression(node) {
    const { callee, arguments: args } = node as unknown as CallExpression;
    const first = args[0];
    if (!first || first.spread || !isSink(unwrap(callee), flow)) return;
    for (const statement of statementsIn(first.expression, flow)) {
      const pieces = new Pieces(flow);
      pieces.add(statement);
      if (!pieces.hasForeign || !STATEMENT.test(pieces.text)) continue;
      report("sql-concatenation", node, "This SQL is put together from text and values");
      return;
    }
  },
});

function isSink(callee: Expression, flow: Flow): boolean {
  if (callee.type === "MemberExpression") {
    const name = propertyName(callee.property);
    return name !== undefined && SINKS.has(name);
  }
  return flow
    .values(callee)
    .some((value) => value.kind === "reference" && SINKS.has(value.names.at(-1) ?? ""));
}

/** The text itself, or the `text` or `sql` of an object. */
function statementsIn(argument: object, flow: Flow): object[] {
  const objects = flow.values(argument).flatMap((value) => (value.kind === "object" ? [value.node] : []));
  if (objects.length === 0) return [argument];
  return objects.flatMap((object) =>
    (object as ObjectExpression).properties.flatMap((property) =>
      property.type === "KeyValueProperty" && /^(?:text|sql)$/.test(propertyName(property.key) ?? "")
        ? [property.value]
        : [],
    ),
  );
}

/** What a text is made of, gathered without order of conditions: its constant parts, and whether anything else is in it. */
class Pieces {
  text = "";
  hasForeign = false;
  readonly #flow: Flow;
  readonly #seen = new Set<object | string>();

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  add(expression: object): void {
    const node = unwrap(expression);
    if (this.#seen.has(node) || this.#seen.size > 500) return;
    this.#seen.add(node);
    switch (node.type as string) {
      case "StringLiteral":
        this.text += (node as { value: string }).value;
        return;
      case "NumericLiteral":
      case "BooleanLiteral":
      case "NullLiteral":
        this.text += "0";
        return;
      case "TemplateLiteral": {
        const { quasis, expressions } = node as unknown as {
          quasis: { cooked?: string }[];
          expressions: object[];
        };
        for (const [index, quasi] of quasis.entries()) {
          this.text += quasi.cooked ?? "";
          if (expressions[index]) this.add(expressions[index]);
        }
        return;
      }
      case "BinaryExpression":
        this.#addBinary(node as unknown as { operator: string; left: object; right: object });
        return;
      case "ConditionalExpression": {
        const { consequent, alternate } = node as unknown as { consequent: object; alternate: object };
        this.add(consequent);
        this.add(alternate);
        return;
      }
      case "UpdateExpression":
      case "UnaryExpression":
        this.text += "0";
        return;
      case "AwaitExpression":
        this.add((node as unknown as { argument: object }).argument);
        return;
      case "Identifier":
        this.#addVariable(node);
        return;
      case "MemberExpression":
        this.#addMember(node as unknown as { object: object; property: object });
        return;
      case "ArrayExpression":
        for (const element of (node as unknown as { elements: ({ expression: object } | null)[] }).elements)
          if (element) this.add(element.expression);
        return;
      case "CallExpression":
        this.#addCall(node as CallExpression);
        return;
      default:
        this.#addForeign();
    }
  }

  #addForeign(): void {
    this.text += " ? ";
    this.hasForeign = true;
  }

  #addBinary({ operator, left, right }: { operator: string; left: object; right: object }): void {
    if (operator === "+" || operator === "||" || operator === "??" || operator === "&&") {
      this.add(left);
      this.add(right);
    } else this.text += "0";
  }

  #addVariable(node: object): void {
    const key = bindingOf(node);
    if (key !== undefined && this.#seen.has(key)) return;
    const sources = key === undefined ? [] : this.#flow.bindings.sourcesOf(key);
    if (key !== undefined) this.#seen.add(key);
    if (sources.length === 0) this.#addForeign();
    for (const source of sources) {
      if (source.kind === "expression" || source.kind === "append") this.add(source.node);
      // What another file exports is the program's own; the index that a list's callback is given is a number.
      else if (source.kind === "import") this.text += "0";
      else if (source.kind === "parameter" && source.index === 1 && this.#isListCallback(source.of))
        this.text += "0";
      else if (this.#flow.source(source).length === 0) this.#addForeign();
    }
  }

  #isListCallback(fn: object): boolean {
    const callee = unwrap(this.#flow.bindings.callbackOf(fn)?.call.callee ?? fn);
    return (
      callee.type === "MemberExpression" &&
      /^(?:map|flatMap|forEach)$/.test(propertyName(callee.property) ?? "")
    );
  }

  /** A member of an object that is written down, by whatever key, is one of its values. */
  #addMember({ object, property }: { object: object; property: object }): void {
    if (propertyName(property) === "length") {
      this.text += "0";
      return;
    }
    if (/^(?:process|Deno)\.env\b/.test(this.#flow.path(object) ?? "")) return;
    const [value] = this.#flow.values(object);
    const items = value?.kind === "list" ? value.items : [];
    const members = value?.kind === "object" ? (value.node as ObjectExpression).properties : [];
    if (items.length + members.length === 0 || items.some((item) => item.length === 0)) this.#addForeign();
    for (const member of members) {
      if (member.type === "KeyValueProperty") this.add(member.value);
      else this.#addForeign();
    }
  }

  #addCall(call: CallExpression): void {
    const callee = unwrap(call.callee);
    const path = this.#flow.path(callee) ?? "";
    if (/^(?:Number|parseInt|parseFloat|BigInt|Boolean|Math\..*|Date\.now|Number\..*)$/.test(path)) {
      this.text += "0";
      return;
    }
    if (callee.type !== "MemberExpression") {
      this.#addResults(callee);
      return;
    }
    const name = propertyName(callee.property) ?? "";
    const [first] = call.arguments;
    if (
      /^(?:join|concat|trim|toLowerCase|toUpperCase|toString|slice|filter|reverse|sort|repeat|fill)$/.test(
        name,
      )
    ) {
      this.add(callee.object);
      if (name === "join" || name === "concat")
        for (const { expression } of call.arguments) this.add(expression);
      return;
    }
    if (/^(?:map|flatMap)$/.test(name) && first && isFunction(unwrap(first.expression))) {
      for (const value of this.#flow.bindings.returnsOf(unwrap(first.expression))) this.add(value);
      return;
    }
    this.#addForeign();
  }

  #addResults(callee: Expression): void {
    const functions = this.#flow
      .values(callee)
      .flatMap((value) => (value.kind === "function" ? [value.node] : []));
    if (functions.length === 0) this.#addForeign();
    for (const fn of functions) for (const value of this.#flow.bindings.returnsOf(fn)) this.add(value);
  }
}
