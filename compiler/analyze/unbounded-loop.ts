import { isFunction } from "./bindings.ts";
import type { Check, FileContext } from "./rule.ts";
import { bindingOf, type SyntaxNode, unwrap, walk } from "./tree.ts";

type Loop = SyntaxNode & { test?: SyntaxNode | null; body: SyntaxNode; update?: SyntaxNode | null };

/** Loops whose end can't come: nothing in them ends them, waits, or changes what they ask for. */
export const unboundedLoop: Check = (context) => {
  const check = (node: SyntaxNode) => checkLoop(node as Loop, context);
  return { WhileStatement: check, DoWhileStatement: check, ForStatement: check };
};

function checkLoop(loop: Loop, { flow, report }: FileContext): void {
  const facts = factsOf(loop);
  if (facts.leaves) return;
  const test = loop.test ? unwrap(loop.test) : undefined;
  if (!test || isTrue(test)) {
    report("unbounded-loop", loop, "This loop has no end and awaits nothing");
    return;
  }
  const asked = questionOf(test);
  if (asked.clock && !asked.calls) {
    const clock = flow.isGlobal(asked.clock, "Date") || flow.isGlobal(asked.clock, "performance");
    if (!clock || facts.calls > asked.clockReads) return;
    report(
      "unbounded-loop",
      loop,
      "This loop waits for a clock, which stands still while a function computes",
      {
        hint: "To wait, await a timer: await new Promise((resolve) => setTimeout(resolve, 50)).",
      },
    );
  } else if (
    !asked.calls &&
    !asked.clock &&
    facts.calls === 0 &&
    asked.names.every((name) => !facts.changed.has(name))
  ) {
    report(
      "unbounded-loop",
      loop,
      "Nothing in this loop changes what it waits for, and nothing else runs meanwhile",
    );
  }
}

const isTrue = (test: object) => {
  const { type, value } = test as { type: string; value: unknown };
  return (type === "BooleanLiteral" && value === true) || (type === "NumericLiteral" && value !== 0);
};

interface Facts {
  /** break, return, throw, await, yield: something may end the loop, or lets others run. */
  leaves: boolean;
  calls: number;
  changed: Set<string>;
}

/** Nodes of one loop that are looked at; of a larger one nothing is said. */
const MAX_NODES = 5_000;

function factsOf(loop: Loop): Facts {
  const facts: Facts = { leaves: false, calls: 0, changed: new Set() };
  let count = 0;
  walk(loop, (node) => {
    if (++count > MAX_NODES) facts.leaves = true;
    if (facts.leaves || isFunction(node)) return false;
    if (/^(?:Break|Return|Throw)Statement$|^(?:Await|Yield)Expression$/.test(node.type)) facts.leaves = true;
    if (node.type === "ForOfStatement" && (node as unknown as { isAwait?: boolean }).isAwait)
      facts.leaves = true;
    if (/^(?:Call|New)Expression$|^TaggedTemplate/.test(node.type)) facts.calls++;
    const { left, argument } = node as unknown as { left?: object; argument?: object };
    if (node.type === "AssignmentExpression") noteChanged(left!, facts);
    if (node.type === "UpdateExpression") noteChanged(argument!, facts);
    return undefined;
  });
  return facts;
}

/** Whatever is named on the left side of an assignment may have changed. */
function noteChanged(target: object, { changed }: Facts): void {
  walk(target, (node) => {
    const name = node.type === "Identifier" ? bindingOf(node) : undefined;
    if (name !== undefined) changed.add(name);
  });
}

interface Question {
  names: string[];
  /** Asks for more than variables, constants and a clock. */
  calls: boolean;
  /** The object whose `now` is called. */
  clock: SyntaxNode | undefined;
  clockReads: number;
}

function questionOf(test: object): Question {
  const question: Question = { names: [], calls: false, clock: undefined, clockReads: 0 };
  walk(test, (node) => {
    const { callee, object, property } = node as unknown as Record<string, SyntaxNode & { value?: string }>;
    if (node.type === "CallExpression") {
      const target = unwrap(callee!) as unknown as {
        type: string;
        object: SyntaxNode;
        property: { value?: string };
      };
      if (target.type === "MemberExpression" && target.property.value === "now") {
        question.clock = target.object;
        question.clockReads++;
        return false;
      }
      question.calls = true;
    }
    // A getter may be behind it, or somebody else's object.
    if (node.type === "MemberExpression" && object && property) question.calls = true;
    if (/^(?:New|Assignment|Update|TaggedTemplate|Await)/.test(node.type)) question.calls = true;
    const name = node.type === "Identifier" ? bindingOf(node) : undefined;
    if (name !== undefined) question.names.push(name);
    return undefined;
  });
  return question;
}
